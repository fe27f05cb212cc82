"""Browsers that came in: each has a random word in its cookie, which is worth nothing elsewhere and for a while here.

Each is a file of this host, so that it outlives the service. It holds neither the word nor the token: its name is a
hash of the word, its seal one of the token under that word. Whoever reads it can ask nothing, and whoever came with a
token that counts no more is out.
"""

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from webhook import access
from webhook.options import Options

LIFE = 7 * 24 * 3600
"""Seconds after which somebody has to come in again."""
MOST = 1000
"""Sessions at a time; the oldest goes first."""


class _Session(msgspec.Struct, frozen=True):
    until: float
    seal: str


class Sessions:
    """Who came in, by the token that they came with. `known` are the tokens that count, each by what it is sealed as;
    `tickets` are words that let a browser in once, and their tokens. `now` gives seconds since 1970, `most` is how
    many there are at a time.
    """

    def __init__(
        self,
        folder: Path,
        known: Mapping[str, str],
        tickets: Mapping[str, str],
        now: Callable[[], float] = time.time,
        most: int = MOST,
    ) -> None:
        self._folder = folder
        self._known = known
        self._tickets = {_key(word): token for word, token in tickets.items()}
        self._now, self._most = now, most

    def begin(self, token: str) -> str:
        """A new session of whoever has this token; the word for its cookie."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._make_room()
        word = secrets.token_urlsafe(24)
        name = next(name for name, known in self._known.items() if known == token)
        made = os.open(self._folder / _key(word), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(msgspec.json.encode(_Session(self._now() + LIFE, _seal(word, name))))
        return word

    def admit(self, ticket: str) -> str | None:
        """The session that a ticket begins; None for one that was used, or never given."""
        token = self._tickets.pop(_key(ticket), None)
        return self.begin(token) if token is not None else None

    def end(self, word: str) -> None:
        """That one is over."""
        (self._folder / _key(word)).unlink(missing_ok=True)

    def token(self, headers: Mapping[str, str]) -> str:
        """The token that a request carries, in its header or by the session of its cookie; nothing for none."""
        given = access.bearer(headers)
        return given or self._of(access.session(headers))

    def _of(self, word: str) -> str:
        found = _read(self._folder / _key(word)) if word else None
        if found is None or found.until <= self._now():
            return ""
        sealed = (known for name, known in self._known.items() if hmac.compare_digest(_seal(word, name), found.seal))
        return next(sealed, "")

    def _make_room(self) -> None:
        """Take out what has ended, and the oldest where there are too many."""
        for number, (until, path) in enumerate(sorted(self._all(), reverse=True)):
            if until <= self._now() or number >= self._most - 1:
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[tuple[float, Path]]:
        for path in self._folder.iterdir():
            found = _read(path)
            with suppress(FileNotFoundError):  # another service beside this one may take it out
                yield (found.until if found else path.stat().st_mtime + LIFE), path


def sessions(options: Options) -> Sessions:
    """The sessions of a service. The token that it makes for a run of its own is another one each time, and those who
    came with it were let in by whoever sits at this machine: they stay while the service goes on making its own."""
    known = {"" if token == options.own else token: token for token in (*options.writers, *options.readers)}
    tickets = {options.ticket: options.writers[0]} if options.ticket else {}
    return Sessions(options.site.state / "sessions", known, tickets)


def _read(path: Path) -> _Session | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Session)
    except (OSError, msgspec.DecodeError):
        return None


def _key(word: str) -> str:
    """What is looked up in place of the word itself, so that the time it takes tells nothing of it."""
    return hashlib.sha256(word.encode("utf-8", "replace")).hexdigest()


def _seal(word: str, name: str) -> str:
    return hmac.new(word.encode("utf-8", "replace"), name.encode(), "sha256").hexdigest()
