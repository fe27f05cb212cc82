"""Who may ask: tokens with the scopes read and write, and what loopback means. Pure.

A browser is a visitor from elsewhere too: on loopback a name that is not this machine's is refused (DNS rebinding,
https://github.com/advisories?query=dns+rebinding), and no answer allows another origin to read it.
"""

import hmac
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, urlencode

from webhook.options import Options, is_loopback

FROM = "sec-fetch-site"
OPEN = frozenset({"/healthz", "/readyz", "/webhook", "/login", "/logout"})
"""Paths that need no token: they tell nothing, have a signature, ask for the token, or give it back."""
ASSETS = "/static/"
Scope = Literal["read", "write"]


class Denied(NamedTuple):
    """Why not: an HTTP status and a reason."""

    status: int
    reason: str


def check(options: Options, method: str, path: str, headers: Mapping[str, str], given: str) -> Denied | None:
    """Whether a request that carries the token `given` (nothing: none) may go on; None: it may."""
    if options.loopback and not is_loopback(_name(headers.get("host", ""))):
        return Denied(403, "this service is for its own machine: ask it as localhost or 127.0.0.1")
    if path in OPEN or path.startswith(ASSETS):
        return None
    writes = method not in ("GET", "HEAD", "OPTIONS")
    allowed = scope(options, given)
    if allowed == "write":
        return None if not writes or same_origin(headers) else Denied(403, "another site sent this request")
    if allowed == "read":
        return Denied(403, "this token may read and not write") if writes else None
    if bearer(headers):  # a browser's cookie may be that of an earlier service
        return Denied(401, "this token is not known")
    if options.loopback and not writes:
        return None
    return Denied(401, "a token is needed: Authorization: Bearer …")


def scope(options: Options, given: str) -> Scope | None:
    """What a token allows; None for one that is not known."""
    if given and _among(given, options.writers):
        return "write"
    return "read" if given and _among(given, options.readers) else None


def name(options: Options, given: str) -> str:
    """What a token that is known is called; nothing for one of nobody's own."""
    return options.names.get(given, "") if scope(options, given) else ""


def session(headers: Mapping[str, str]) -> str:
    """The word of a browser's session, which stands in our cookie; nothing without one."""
    ours, pairs = cookie(headers), (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == ours), "")


def cookie(headers: Mapping[str, str]) -> str:
    """The name of the cookie of the service that was asked.

    Browsers send cookies to every port of a host (RFC 6265, 8.5): two services side by side have each its own.
    """
    port = headers.get("host", "").rpartition(":")[2]
    return f"pullwright-{port}" if port.isdigit() else "pullwright"


def bearer(headers: Mapping[str, str]) -> str:
    """The token of an Authorization header."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether a person's browser asks for something to look at."""
    return "text/html" in headers.get("accept", "")


def _among(given: str, known: Iterable[str]) -> bool:
    return any([hmac.compare_digest(given.encode(), one.encode()) for one in known])  # noqa: C419 (no time is told)


def same_origin(headers: Mapping[str, str]) -> bool:
    """Whether our own pages sent a request that changes something, which a browser has to say with it.

    By `Sec-Fetch-Site`, which no page can set (https://www.w3.org/TR/fetch-metadata/) and a proxy in front of us leaves
    as it is; by `Origin` where a browser has none, as over plain HTTP. Whoever carries a token in a header is no
    browser's visitor; a password for a proxy is no token, for browsers send it by themselves.
    """
    if bearer(headers):
        return True
    if FROM in headers:
        return headers[FROM] == "same-origin"
    origin, host = headers.get("origin", ""), headers.get("host", "")
    return bool(host) and origin.partition("://")[2] == host


def _name(host: str) -> str:
    """A Host header without its port."""
    return host.partition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]


def ticket(query: str) -> tuple[str, str] | None:
    """The word that lets a browser in once, in the query of a link that `serve` printed, and the query without it."""
    pairs = parse_qsl(query, keep_blank_values=True)
    found = [value for name, value in pairs if name == "ticket"]
    return (found[0], urlencode([pair for pair in pairs if pair[0] != "ticket"])) if found else None
