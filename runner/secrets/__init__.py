"""Secrets that must not get out: known values in all their usual spellings, and what looks like a token or a key.

Agents never get a secret to see (docs/sandbox.md); this is the second wall, for what a person pasted into an issue or
left in a file. It is applied to what is stored, printed, pushed and sent. Pure.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, quote_plus, unquote, urlsplit

import msgspec

from runner.secrets.pieces import Pieces

T = TypeVar("T")

MARK = "<secret removed>"
"""Means nothing to YAML, JSON, Markdown or a shell's history, so that what it stands in stays readable."""

SHORTEST = 8
"""Characters of a value that is looked for: shorter ones occur by chance."""

_BEGUN = 2
"""Characters of a value that may be seen before it is known for one: texts end so by chance all the time."""

_WORD = re.compile(r"[a-z_]{1,10}")
"""Short words are no secrets, and taking them out would take our own words apart."""

# Up to the next dashes, so that a text full of beginnings takes no time; cut off in the middle it is a key as well.
_PEM = (
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY[A-Z ]{0,6}-----(?:[^-]|-(?!----)){40,20000}"
    r"(?:-----END [A-Z0-9 ]+-----)?"
)

# Forms that their issuers publish. GitHub's installation tokens are `ghs_<app>_<JWT>` since April 2026, with dots and
# dashes, some 520 characters long: https://github.com/github/gh-aw/issues/35016
SHAPES: tuple[tuple[str, str], ...] = (
    ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9][A-Za-z0-9._-]{30,}"),
    ("a GitHub token", r"\bgithub_pat_[A-Za-z0-9_]{22,}"),
    ("a GitLab token", r"\bgl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_.-]{20,}"),
    ("a model provider's key", r"\bsk-(?:or-v1-|ant-|proj-|svcacct-)?[A-Za-z0-9_-]{32,}"),
    ("a Google key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}"),
    ("an AWS key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    ("a Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}"),
    ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    ("a package registry's token", r"\b(?:npm_[A-Za-z0-9]{36}|py..-AgE[A-Za-z0-9_-]{40,})"),
    ("a signed token", r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{16,}"),
    ("a private key", _PEM),
    ("a password in an address", r"(?<=://)[^\s/:@<>\"']{1,100}:[^\s/@<>\"']{3,200}(?=@[\w.-])"),
    ("an authorization header", r"(?i)(?<=authorization: )(?:bearer|basic|token) +[A-Za-z0-9._~+/=-]{16,}"),
)  # fmt: skip

_KNOWN = "a secret of this host"
_SECRETIVE = re.compile(r"(?i)(token|secret|passw|passphrase|private|credential|api_?key|_key$|_pat$|_pwd$)")
_PLACE = re.compile(r"(?i)(_file|_path|_dir|_url|_sock|_socket|_name|_user|_id)$")


class Found(NamedTuple):
    """A secret in a text: what kind it is of, and the words themselves, which go nowhere."""

    kind: str
    words: str


class Redactor:
    """Takes secrets out of texts. `values` are those that are known; what has the shape of one always goes.

    `pieces` finds the known ones that were taken apart, `wide` are those that hold more than ASCII without spaces.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = {value for value in values if len(value) >= SHORTEST and not _WORD.fullmatch(value)}
        self._known, self.pieces = tuple(known), Pieces(known)
        self.wide = tuple(value for value in known if not value.isascii() or len(value.split()) > 1)
        forms = [form for value in sorted(known, key=len, reverse=True) for form in _spellings(value)]
        self._patterns = [(_KNOWN, re.compile("|".join(forms)))] if forms else []
        self._patterns += [(kind, re.compile(shape)) for kind, shape in SHAPES]

    def clean(self, text: str) -> str:
        """`text` with `MARK` in the place of each secret."""
        for _, pattern in self._patterns:
            text = pattern.sub(MARK, text)
        return text

    def settled(self, text: str) -> str:
        """`text` without an end that may be the beginning of a known value, of which the rest is still coming."""
        ends = (
            size
            for value in self._known
            for size in range(min(len(value) - 1, len(text)), _BEGUN, -1)
            if text.endswith(value[:size])
        )
        return text[: len(text) - max(ends, default=0)]

    def clean_bytes(self, data: bytes) -> bytes:
        """The same for a file; one that holds none is left byte for byte."""
        text = data.decode("utf-8", "surrogateescape")
        clean = self.clean(text)
        return data if clean == text else clean.encode("utf-8", "surrogateescape")

    def clean_all(self, value: Any) -> Any:
        """The same for every text in lists and mappings, keys included."""
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, Mapping):
            return {self.clean_all(key): self.clean_all(item) for key, item in value.items()}
        return [self.clean_all(item) for item in value] if isinstance(value, list | tuple) else value

    def clean_struct(self, value: T) -> T:
        """The same for a value of ours, such as a record; one without secrets is answered itself."""
        plain = msgspec.to_builtins(value)
        clean = self.clean_all(plain)
        return value if clean == plain else msgspec.convert(clean, type(value))

    def find(self, text: str) -> tuple[Found, ...]:
        """Every secret in `text`."""
        return tuple(Found(kind, hit[0]) for kind, pattern in self._patterns for hit in pattern.finditer(text))


def new_secret(redactor: Redactor, path: str, old: bytes, new: bytes) -> str | None:
    """Why a file's change may not be pushed, with the file and the kind named; None if it brings no secret.

    What the file held before is there anyway; what is compressed or encrypted is not seen.
    """
    if redactor.find(path):
        return f"the name of {redactor.clean(path)} holds a secret"
    there = {found.words for found in redactor.find(as_text(old))}
    kinds = sorted({found.kind for found in redactor.find(as_text(new)) if found.words not in there})
    return f"{path} holds {' and '.join(kinds)}" if kinds else None


def as_text(data: bytes) -> str:
    """A file as text. UTF-16 shows itself by its zeros; tokens are ASCII in whatever encoding is left."""
    return data.replace(b"\0", b"").decode("utf-8", "replace")


def known_values(
    environment: Mapping[str, str], named: Iterable[str] = (), urls: Iterable[str] = ()
) -> tuple[str, ...]:
    """What this host knows to be secret.

    The variables that `agents.yaml` names (`env:NAME`), those whose name says so, and passwords in addresses, be it in
    a variable or one of `urls`.
    """
    wanted = {name.removeprefix("env:") for name in named}
    wanted |= {name for name in environment if _SECRETIVE.search(name) and not _PLACE.search(name)}
    values = [environment[name] for name in wanted if name in environment]
    for text in (*environment.values(), *urls):
        values += _passwords(text) if "://" in text else []
    lines = [value.strip() for value in values]
    return tuple(dict.fromkeys(value for value in lines if len(value) >= SHORTEST))


def _passwords(url: str) -> list[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return []
    return [password, unquote(password)] if password else []


def _spellings(value: str) -> list[str]:
    """Patterns for a value as it is, escaped, percent-encoded, in hexadecimal and in base64 and base32."""
    plain = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], escape(value), value[::-1]}
    plain |= {quote(value, safe=""), quote_plus(value), quote(value), repr(value)[1:-1]}
    return [re.escape(word) for word in sorted(plain, key=len, reverse=True)] + _encodings(value.encode())


def _encodings(data: bytes) -> list[str]:
    pairs = [f"{byte:02x}" for byte in data]
    hexadecimal = r"(?:[\s:,\\%-]|0x|x|u00){0,4}".join(pairs)  # as xxd, od, C, Python and URLs write bytes
    return [f"(?i:{hexadecimal})", *_base64(data), _broken(base64.b32encode(data).decode().rstrip("=")[:-1])]


def _base64(data: bytes) -> list[str]:
    """Wherever in a longer text the value begins, its inner part is always one of three strings."""
    found = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data).decode().rstrip("=")
        inner = encoded[(0, 2, 3)[before] : len(encoded) if (len(data) + before) % 3 == 0 else -1]
        found += [_broken(inner)] + ([_broken(inner.translate(_URL_SAFE))] if set(inner) & set("+/") else [])
    return found


_URL_SAFE = str.maketrans("+/", "-_")


def _broken(word: str) -> str:
    """A pattern for a word that may be broken into lines."""
    return r"(?:\r?\n|\\n)?".join(re.escape(char) for char in word)
