"""What the handlers share: the index to read, the thread that keeps it, and where the service stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from runner.git import Identity
from runner.host import Site
from webhook import access, problems
from webhook.authors import author
from webhook.keeper import Keeper
from webhook.options import Options
from webhook.queries import BadCursor, Page, Reader
from webhook.sessions import Sessions
from webhook.steps import Steps
from webhook.talk.papers import Papers
from webhook.talk.replies import Replies

JSON = "application/json"


@dataclass
class Room:
    """One service. `reader` is the event loop's own connection, `replies` the answers that it is at, `papers` the PDFs,
    `sessions` the browsers that came in, `steps` what runs on this host do just now.

    `ending` is set when the server stops.
    """

    options: Options
    keeper: Keeper
    reader: Reader
    replies: Replies
    papers: Papers
    sessions: Sessions
    steps: Steps
    ending: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def site(self) -> Site:
        """The repository that this service stands beside."""
        return self.options.site


def over(room: Room, headers: Mapping[str, str]) -> Callable[[], bool]:
    """Tells whether a stream for whoever sent these headers is over: the service stops, or they may read no more."""

    def is_over() -> bool:
        inside = room.options.loopback or access.scope(room.options, room.sessions.token(headers))
        return room.ending or not inside

    return is_over


def who(room: Room, request: Request[Any, Any, Any], given: str) -> str:
    """Who asks, as histories write it; `given` is the name that they say. Raises `Taken`."""
    return author(room.options, room.sessions.token(dict(request.headers)), given)


def writer(room: Room, request: Request[Any, Any, Any]) -> Identity | None:
    """Who asks, as Git writes it: whoever has a token of their own."""
    own = access.name(room.options, room.sessions.token(dict(request.headers)))
    return Identity(own, "token") if own else None


def as_json(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Take a body only as what it is: no form of another site can send JSON under its own name.

    Raises `HTTPException` (415).
    """
    kind = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise HTTPException(status_code=415, detail=f"the body is JSON: send it as content-type: {JSON}")


Asked = Request[Any, Any, Any]
TheRoom = NamedDependency[Room]
"""As a handler asks for it."""


def page(limit: int, cursor: str | None) -> Page:
    """Which page is asked for."""
    return Page(limit, cursor)


def answer(body: bytes | None, what: str, status: int = 200) -> Response[bytes]:
    """JSON that is ready to be sent, or that there is nothing. Raises `HTTPException` (404)."""
    if body is None:
        raise missing(what)
    return Response(body, media_type=JSON, status_code=status)


def missing(what: str) -> HTTPException:
    """There is no such thing."""
    return HTTPException(status_code=404, detail=what)


def refused(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Any refusal as a problem document."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    extra = error.extra if isinstance(error, HTTPException) else None
    if isinstance(error, BadCursor):
        detail = "this cursor is none that was given: take `next` of the page before"
    if isinstance(extra, list):
        detail = "; ".join([detail, *(f"{one.get('key', '')}: {one.get('message', '')}" for one in extra)])
    headers = error.headers if isinstance(error, HTTPException) else None
    return Response(problems.document(status, detail), status_code=status, media_type=problems.MEDIA, headers=headers)
