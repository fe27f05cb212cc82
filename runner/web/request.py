"""One address over HTTP, redirects followed and each looked at anew: status, kind and bytes, within bounds."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit, urlunsplit

from runner.errors import ToolError

SECONDS = 20.0
"""The longest that one page may take, all redirects together."""
MOST = 3 << 20
"""Bytes that are read of a page; the connection is closed on more."""
REDIRECTS = 5
AGENT = "Pullwright/1 (reads single pages for a task)"
_PORTS = {"http": 80, "https": 443}


class Response(NamedTuple):
    """What came: `address` after redirects, the media type in lower case, its charset if one was named."""

    address: str
    status: int
    kind: str
    charset: str
    body: bytes
    cut: bool


class Bounds(NamedTuple):
    """Where requests may go beside the public internet on ports 80 and 443, and for how long. Only tests change it."""

    allowed: frozenset[str] = frozenset()
    seconds: float = SECONDS
    resolve: Callable[[str, int], list[str]] | None = None


def checked(url: str, bounds: Bounds) -> str:
    """`url` if it may be asked for: http or https, no credentials, a usual port. Raises `ToolError`."""
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ToolError(f"{url[:200]} is no address. Give one such as https://example.org/page.") from None
    if parts.scheme not in _PORTS or not host or any(char.isspace() or ord(char) < 33 for char in url.strip()):
        raise ToolError("Only addresses that begin with http:// or https:// can be fetched.")
    if parts.username is not None or parts.password is not None:
        raise ToolError("An address with a user name or password is not fetched.")
    if port not in (None, _PORTS[parts.scheme]) and f"{host}:{port}" not in bounds.allowed:
        raise ToolError("Only the usual ports (80 and 443) are fetched.")
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", parts.query, ""))


def get(url: str, bounds: Bounds, most: int = MOST) -> Response:
    """Fetch `url`. Raises `ToolError` for what may not be or cannot be had; a status is an answer like any other."""
    deadline, at = time.monotonic() + bounds.seconds, checked(url, bounds)
    for _ in range(REDIRECTS + 1):
        response, location = _once(at, bounds, deadline, most)
        if location is None:
            return response
        at = checked(urljoin(at, location), bounds)
    raise ToolError(f"{url} leads from one address to the next without end.")


def _once(url: str, bounds: Bounds, deadline: float, most: int) -> tuple[Response, str | None]:
    import httpcore

    from runner.web.connecting import NotPublic, PublicOnly, resolve

    headers: dict[bytes | str, bytes | str] = {
        "User-Agent": AGENT,
        "Accept": "text/html, text/plain, text/markdown, application/json;q=0.9",
        "Accept-Encoding": "identity",
    }
    waits = {"timeout": {"connect": 10.0, "read": 10.0, "write": 10.0, "pool": 10.0}}
    try:
        with (
            httpcore.ConnectionPool(
                network_backend=PublicOnly(deadline, bounds.allowed, bounds.resolve or resolve)
            ) as pool,
            pool.stream("GET", _ascii(url), headers=headers, extensions=waits) as answer,
        ):
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
            location = told.get("location") if answer.status in (301, 302, 303, 307, 308) else None
            body, cut = (b"", False) if location else _read(answer.iter_stream(), most)
    except NotPublic as error:
        raise ToolError(f"{error}: it is not fetched.") from None
    except httpcore.TimeoutException:
        raise ToolError(f"{url} took too long.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        raise ToolError(f"{url} cannot be reached: {str(error)[:200] or type(error).__name__}") from None
    if told.get("content-encoding", "identity") != "identity" and body:
        raise ToolError(f"{url} came compressed although that was not asked for.")
    kind, _, more = told.get("content-type", "").partition(";")
    charset = more.partition("charset=")[2].strip(" \"'").lower()
    return Response(url, answer.status, kind.strip().lower(), charset, body, cut), location


def _ascii(url: str) -> str:
    """An address as it goes over the wire: other letters of a name in IDNA, of a path percent-encoded."""
    from urllib.parse import quote

    parts = urlsplit(url)
    try:
        host = (
            (parts.hostname or "").encode("idna").decode() if not (parts.hostname or "").isascii() else parts.hostname
        )
    except UnicodeError:
        raise ToolError(f"{url[:200]} is no address.") from None
    netloc = parts.netloc if parts.netloc.isascii() else f"{host}:{parts.port}" if parts.port else str(host)
    keep = "/?#[]@!$&'()*+,;=:%~-._"
    return urlunsplit((parts.scheme, netloc, quote(parts.path, safe=keep), quote(parts.query, safe=keep), ""))


def _read(chunks: Iterable[bytes], most: int) -> tuple[bytes, bool]:
    """At most `most` bytes of a body, and whether there was more."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > most:
            return bytes(data[:most]), True
    return bytes(data), False
