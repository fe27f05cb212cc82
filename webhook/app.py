"""The application: `create_app(options)` puts the rooms together. Start reading here."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from runner.errors import UserError
from runner.host import timestamp
from webhook import problems
from webhook.api import agents, discussions, live, sent, tasks, workspaces
from webhook.api.room import Room, refused
from webhook.authors import Taken
from webhook.deliveries import Deliveries
from webhook.events import Notice
from webhook.front import Front
from webhook.hearing import Ear
from webhook.intake import Intake
from webhook.keeper import Keeper
from webhook.options import Options
from webhook.pages.routes import PAGES
from webhook.queries import BadCursor, Reader
from webhook.sessions import sessions
from webhook.shelf import Refused
from webhook.steps import Steps
from webhook.talk.papers import Papers
from webhook.talk.replies import Replies
from webhook.talking import desk
from webhook.writing import Conflict, Senseless

BODY_LIMIT = 1 << 20
"""Bytes of a JSON body; files are streamed and have a limit of their own."""


def create_app(options: Options, log: Callable[..., None] | None = None) -> Front:
    """The service for one repository, as an ASGI application. Nothing runs before the server starts it."""
    say = log or to_stderr
    keeper = Keeper(options, say)
    deliveries = Deliveries(options.index)
    replies = Replies(options.site, lambda: desk(options.site, keeper), lambda: keeper.ask(lambda *_: None), say)
    papers = Papers(options.site, lambda: desk(options.site, keeper).sandbox(), say)
    coming = sessions(options)
    room = Room(options, keeper, Reader(options.index), replies, papers, coming, Steps(options.site.state))
    ear = Ear(options, keeper.ask, say)
    keeper.changed = ear.look_at

    def hear(notice: Notice) -> None:
        keeper.hear(notice)
        ear.look_at()  # it finds the delivery on disk

    intake = Intake(deliveries, options.secrets, _now, hear)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        keeper.start()
        ear.start()
        watching = asyncio.create_task(replies.watch(room.reader, lambda: room.ending))
        try:
            yield
        finally:
            room.ending = True
            replies.close()
            await watching
            ear.end()
            keeper.close()
            ear.join()
            deliveries.close()
            room.reader.close()

    inner = _framework(room, lifespan)
    front = Front(options, coming, inner, intake, lambda: room.reader, say)
    inner.state.front = front
    inner.state.room = room
    return front


def _framework(room: Room, lifespan: Any) -> Litestar:
    return Litestar(
        route_handlers=[
            *tasks.ROUTES,
            *agents.ROUTES,
            *workspaces.ROUTES,
            *discussions.ROUTES,
            *sent.ROUTES,
            *live.ROUTES,
            PAGES,
        ],
        dependencies={"room": Provide(lambda: room, sync_to_thread=False, use_cache=True)},
        lifespan=[lifespan],
        openapi_config=_openapi(),
        exception_handlers={
            HTTPException: refused,
            BadCursor: refused,
            Refused: _refused_file,
            Taken: _status(403),
            Conflict: _status(409),
            Senseless: _status(422),
            UserError: _status(503),
            UnicodeDecodeError: _status(400),  # of a JSON body; everything else is read with its errors in mind
            RecursionError: _status(400),
            Exception: _fault,
        },
        request_max_body_size=BODY_LIMIT,
        logging_config=None,
    )


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", description="A token of `pullwright serve`.")
    return OpenAPIConfig(
        title="Pullwright",
        version="1",
        description="Tasks for AI agents that work in Git. Reads come from the index, writes go to Git.",
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        components=Components(security_schemes={"token": bearer}),
        security=[{"token": []}],
    )


Handler = Callable[[Request[Any, Any, Any], Any], Response[bytes]]


def _status(status: int) -> Handler:
    def handler(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        return _problem(status, str(error))

    return handler


def _refused_file(request: Request[Any, Any, Any], error: Refused) -> Response[bytes]:
    return _problem(error.status, str(error))


def _fault(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Our fault: the log has the trace, the answer does not."""
    import traceback

    front: Front = request.app.state.front
    front.log("fault", path=request.url.path, trace="".join(traceback.format_exception(error)))
    return _problem(500, "this is our fault; the service's log says more")


def _problem(status: int, detail: str) -> Response[bytes]:
    return Response(problems.document(status, detail), status_code=status, media_type=problems.MEDIA)


def _now() -> str:
    return timestamp(datetime.now(UTC))


def to_stderr(what: str, **more: Any) -> None:
    """One structured line of the log. That nobody reads it any more, or the disk is full, ends no service."""
    with suppress(OSError):
        sys.stderr.write(msgspec.json.encode({"at": _now(), "what": what, **more}).decode() + "\n")
