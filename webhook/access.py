"""Who may ask: tokens with the scopes read and write, and what loopback means. Pure.

A browser is a visitor from elsewhere too: on loopback a name that is not this machine's is refused (DNS rebinding,
https://github.com/advisories?query=dns+rebinding), and no answer allows another origin to read it.
"""

import hmac
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from webhook.options import Options, is_loopback

COOKIE = "pullwright"
OPEN = frozenset({"/healthz", "/readyz", "/webhook"})
"""Paths that need no token: they tell nothing, or have a signature."""


class Denied(NamedTuple):
    """Why not: an HTTP status and a reason."""

    status: int
    reason: str


def check(options: Options, method: str, path: str, headers: Mapping[str, str]) -> Denied | None:
    """Whether a request may go on; None: it may."""
    if options.loopback and not is_loopback(_name(headers.get("host", ""))):
        return Denied(403, "this service is for its own machine: ask it as localhost or 127.0.0.1")
    if path in OPEN:
        return None
    writes = method not in ("GET", "HEAD", "OPTIONS")
    given = token(headers)
    if given and _among(given, options.writers):
        return None if _same_origin(headers) or not writes else Denied(403, "another site sent this request")
    if given and _among(given, options.readers):
        return Denied(403, "this token may read and not write") if writes else None
    if given:
        return Denied(401, "this token is not known")
    if options.loopback and not writes:
        return None
    return Denied(401, "a token is needed: Authorization: Bearer …")


def token(headers: Mapping[str, str]) -> str:
    """The token that a request carries: in its header, else in our cookie."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _among(given: str, known: Iterable[str]) -> bool:
    return any([hmac.compare_digest(given.encode(), one.encode()) for one in known])  # noqa: C419 (no time is told)


def _same_origin(headers: Mapping[str, str]) -> bool:
    """A browser says where a request comes from; whoever carries a token in a header is no browser's visitor."""
    origin = headers.get("origin", "")
    return "authorization" in headers or not origin or origin.partition("://")[2] == headers.get("host", "")


def _name(host: str) -> str:
    """A Host header without its port."""
    return host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]


def ticket(query: str) -> tuple[str, str] | None:
    """The token in the query of a link that `serve` printed, and the query without it."""
    pairs = parse_qsl(query, keep_blank_values=True)
    found = [value for name, value in pairs if name == "token"]
    return (found[0], urlencode([pair for pair in pairs if pair[0] != "token"])) if found else None
