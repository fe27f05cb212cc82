"""What every page has: who looks at it, the frame around it, and a policy under which nothing of others runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response

from runner.approval import person
from runner.git import Identity, public
from webhook import access
from webhook.api.room import Room
from webhook.authors import is_taken, signed
from webhook.pages import assets, text

HERE = Path(__file__).parent
NAME = "pullwright-name"
"""The cookie with the name under which a visitor acts."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
Ask = Request[Any, Any, Any]
HEADERS = {"content-security-policy": POLICY, "cache-control": "no-store", "x-frame-options": "DENY"}


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page: whether they may change anything, and under which name (empty: it is not known).

    `inside`: whether they showed a token; `own`: whether the name is that of the token, and not for them to choose.
    """

    may_write: bool
    name: str
    email: str = ""
    inside: bool = False
    own: bool = False

    @property
    def who(self) -> str:
        """As histories write it."""
        return f"{self.name} <{self.email}>" if self.email else self.name or "somebody on the pages"

    @property
    def identity(self) -> Identity:
        """As Git writes it."""
        return Identity(self.name or "somebody on the pages", self.email or "pages@localhost")


def visitor(room: Room, request: Ask) -> Visitor:
    """Who asks: by the name of their token, else by the one that they gave, else on their own machine by the one that
    its Git has for them."""
    options, shown = room.options, token(room, request)
    scope, name = access.scope(options, shown), access.name(options, shown)
    may_write, inside = scope == "write", scope is not None
    if name:
        return Visitor(may_write, name, "token", inside, own=True)
    given = one_name(unquote(request.cookies.get(NAME, "")))
    if is_taken(options, given):
        given = ""
    if given or not options.loopback:
        return Visitor(may_write, given, inside=inside)
    found = _person(room.site.folder)
    return Visitor(may_write, found.name, found.email, inside)


def token(room: Room, request: Ask) -> str:
    """The token of whoever asks, nothing without one."""
    return room.sessions.token(dict(request.headers))


_NO_NAME = " .,:;\"'\\"
"""What Git takes away around a name; it refuses one of which nothing is left (`strbuf_addstr_without_crud`)."""


def one_name(given: str) -> str:
    """A name as a person may give it: one short line, nothing in it that Git or GitHub would have said."""
    plain = " ".join("".join(char for char in given if char.isprintable() and char not in "<>").split())[:80]
    return signed(plain) if plain.strip(_NO_NAME) else ""


@lru_cache(maxsize=8)
def _person(folder: Path) -> Identity:
    return person(folder)


def page(room: Room, request: Ask, template: str, status: int = 200, /, **values: Any) -> Response[str]:
    """One page, or a part of one."""
    frame = {
        "me": visitor(room, request),
        "here": request.url.path,
        "hub": hub(room) if room.options.loopback or access.scope(room.options, token(room, request)) else "",
        "style": assets.address("style.css"),
        "script": assets.address("page.js"),
        "icon": assets.address("icon.svg"),
        "printed": bool(room.options.ticket),
        "fault": room.keeper.health.fault.partition("\n")[0] if room.options.loopback else "",
    }
    html = environment().get_template(template).render(frame | values)
    return Response(html, status_code=status, media_type="text/html", headers=HEADERS)


def hub(room: Room) -> str:
    """The repository's name: the last part of where it lies. Strangers are not told it."""
    return public(room.site.hub.url).rstrip("/").removesuffix("/.git").rpartition("/")[2].removesuffix(".git")


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates. Whatever they show is escaped, and every character of it is seen."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=text.seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "markdown": text.markdown, "fitted": text.fitted, "amount": amount, "money": money, "span": span,
        "clock": clock, "words": words, "segment": lambda word: quote(word, safe=""), "path": quote,
    }  # fmt: skip
    return made


# --- how values look -----------------------------------------------------------------------------------------------


def amount(number: float) -> str:
    """1234 → 1.2k."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.1f}{unit}"
    return f"{number:.0f}"


def money(cost: float) -> str:
    """US dollars, with as many digits as say something."""
    return "–" if not cost else f"${cost:.2f}" if cost >= 0.1 else f"${cost:.4f}"


def span(seconds: float | None) -> str:
    """A length of time, in its two largest units."""
    return "–" if seconds is None else " ".join(_parts(round(seconds))) or "0 s"


def _parts(seconds: int) -> Iterator[str]:
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    first = next((number for number, (_, size) in enumerate(units) if seconds >= size), len(units))
    for name, size in units[first : first + 2]:
        if seconds // size:
            yield f"{seconds // size} {name}"
        seconds %= size


def clock(at: str) -> str:
    """A moment (ISO 8601, UTC) as it stands where no script has made it relative."""
    try:
        return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return at


def words(name: str) -> str:
    """`not_started` → `not started`."""
    return name.replace("_", " ")
