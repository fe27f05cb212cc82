"""What every request meets first: who asks, the webhook, and answers that are still true.

A plain ASGI function around the framework. An answer is kept as bytes until the index changes
(`PRAGMA data_version`), by path, query and what is accepted, so that what is unchanged costs no handler; the same bytes
make the ETag.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import quote

from webhook import access
from webhook.intake import Intake
from webhook.options import Options
from webhook.problems import problem
from webhook.queries import Reader
from webhook.sessions import LIFE, Sessions

KEPT = 512
MIRRORED = ("/api/tasks", "/api/agents")
"""Paths whose answers are made of the index alone."""
SAFE = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Answer(NamedTuple):
    """An answer as it was sent."""

    headers: list[tuple[bytes, bytes]]
    body: bytes
    tag: bytes


Key = tuple[bytes, bytes, bytes]


class Front:
    """The application as the server sees it."""

    def __init__(
        self,
        options: Options,
        sessions: Sessions,
        inner: Any,
        intake: Intake,
        reader: Callable[[], Reader],
        log: Callable[..., None],
    ) -> None:
        self.options = options
        self.sessions = sessions
        self.inner = inner
        self.intake = intake
        self.reader = reader
        self.log = log
        self.requests: dict[tuple[str, int], int] = {}
        self._version = -1
        self._answers: OrderedDict[Key, Answer] = OrderedDict()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request, or the server's own start and end."""
        if scope["type"] != "http":
            await self.inner(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if path == "/webhook" and method == "POST":
            await self._count(method, "/webhook", self.intake, scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if await self._ticket(scope, headers, send):
            return
        denied = access.check(self.options, method, path, headers, self.sessions.token(headers))
        if denied is not None and denied.status == 401 and access.is_page(headers):
            await _see(send, f"/login?then={quote(path)}")
            return
        if denied is not None:
            await self._count(method, path, _refusal(denied), scope, receive, send)
            return
        if method == "HEAD" and not path.endswith("/events"):  # the server leaves the body out; a stream has no end
            method, scope = "GET", {**scope, "method": "GET"}
        if method == "GET" and path.startswith(MIRRORED):
            await self._mirrored(headers, scope, receive, send)
        else:
            await self._count(method, path, self.inner, scope, receive, send)

    async def _ticket(self, scope: Any, headers: dict[str, str], send: Any) -> bool:
        """A printed link: its word, good once, becomes a session. What browsers keep of it is worth nothing."""
        found = access.ticket(scope["query_string"].decode("latin-1")) if b"ticket=" in scope["query_string"] else None
        if found is None or scope["method"] != "GET" or access.check(self.options, "GET", "/login", headers, ""):
            return False
        given, rest = found
        where = "/" + quote(scope["path"].lstrip("/")) + (f"?{rest}" if rest else "")  # never another host
        begun = self.sessions.admit(given)
        if begun is not None:
            cookie = f"{access.cookie(headers)}={begun}; Path=/; Max-Age={LIFE}; HttpOnly; SameSite=Strict"
            await _see(send, where, (b"set-cookie", cookie.encode()))
        elif access.scope(self.options, self.sessions.token(headers)):  # the link once more, in the same browser
            await _see(send, where)
        else:
            await _see(send, f"/login?used=1&then={quote(where)}")
        return True

    async def _mirrored(self, headers: dict[str, str], scope: Any, receive: Any, send: Any) -> None:
        """From memory while nothing was written, else from the handler."""
        version = self.reader().version()
        if version != self._version:
            self._answers.clear()
            self._version = version
        key = (scope["raw_path"], scope["query_string"], headers.get("accept", "").encode())
        answer = self._answers.get(key)
        if answer is None:
            answer = await self._made(scope, receive, send)
            if answer is None:
                return
            if version == self._version:  # else somebody else has seen a newer one meanwhile
                self._answers[key] = answer
            if len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        await self._send(answer, headers.get("if-none-match", ""), send)

    async def _made(self, scope: Any, receive: Any, send: Any) -> Answer | None:
        """The handler's answer if it may be kept; any other has been sent."""
        started: dict[str, Any] = {}
        parts: list[bytes] = []

        async def catch(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                started["passed"] = True
            if "passed" in started:
                await send(message)
            elif message["type"] == "http.response.start":
                started.update(message)
            else:
                parts.append(message.get("body", b""))

        await self._count(scope["method"], scope["path"], self.inner, scope, receive, catch)
        if "passed" in started:
            return None
        body = b"".join(parts)
        tag = b'"%s"' % blake2b(body, digest_size=12).hexdigest().encode()
        return Answer([*started["headers"], (b"etag", tag), (b"cache-control", b"no-cache")], body, tag)

    async def _send(self, answer: Answer, known: str, send: Any) -> None:
        same = known == "*" or answer.tag.decode() in [word.strip().removeprefix("W/") for word in known.split(",")]
        if same:
            kept = [pair for pair in answer.headers if pair[0] in (b"etag", b"cache-control")]
            await send({"type": "http.response.start", "status": 304, "headers": kept})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _count(self, method: str, path: str, app: Any, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, noting what came of it and how long it took."""
        began, status = time.perf_counter(), 0

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *self._safe(app)]}
            await send(message)

        await app(scope, receive, noting)
        key = _group(path), status
        self.requests[key] = self.requests.get(key, 0) + 1
        delivery = dict(scope["headers"]).get(b"x-github-delivery", b"").decode("latin-1")
        more = {"delivery": delivery[:64]} if delivery else {}
        self.log("request", method=method, path=path, status=status, ms=_ms(began), **more)

    def _safe(self, app: Any) -> list[tuple[bytes, bytes]]:
        return [] if app is self.intake else SAFE  # a hook is no browser


def _refusal(denied: access.Denied) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """An application that answers nothing else. What was sent with the request is not waited for."""
    more = ((b"www-authenticate", b"Bearer"),) if denied.status == 401 else ()

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await problem(send, denied.status, denied.reason, close=True, more=more)

    return refuse


async def _see(send: Any, where: str, *more: tuple[bytes, bytes]) -> None:
    """Send a browser to another of our pages."""
    answer = [(b"location", where.encode()), (b"content-length", b"0"), *more, *SAFE]
    await send({"type": "http.response.start", "status": 303, "headers": answer})
    await send({"type": "http.response.body", "body": b""})


def _group(path: str) -> str:
    """The part of a path that is counted: whatever strangers ask for, there are few of them."""
    start = "/".join(path.split("/")[:3])
    known = (
        "/api/tasks",
        "/api/agents",
        "/api/workspaces",
        "/api/discussions",
        "/api/events",
        "/webhook",
        "/metrics",
        "/healthz",
        "/readyz",
    )
    return start if start in known else "other"


def _ms(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 2)
