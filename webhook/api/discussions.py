"""Discussions: begun, spoken in, followed, made into tasks; sent.py is what is sent in them."""

from asyncio import to_thread
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.exceptions import HTTPException
from litestar.params import Body, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from runner.git import Identity
from webhook.api import docs
from webhook.api.room import Asked, Room, TheRoom, answer, as_json, missing, over, who, writer
from webhook.api.tasks import Cursor, Limit, write_task
from webhook.queries import Page
from webhook.shapes import Made, NewTask
from webhook.talk import queries
from webhook.talk.shapes import Discussion, Discussions, Draft, FullDiscussion, Message, NewDiscussion, NewMessage
from webhook.talking import Talks, Unknown
from webhook.writing import Conflict

TAGS = ["discussions"]
Id = Annotated[str, PathParameter(description="Its id: the slug of its task, or a UUID.", max_length=63)]
EVENTS = "text/event-stream"
UNCACHED = {"cache-control": "no-store", "x-accel-buffering": "no"}

BEGUN = docs.example("About a task", {"task": "fix-login", "text": "Why did you change app/login.py?", "who": "Pat"})
SAID = docs.example("A question", {"text": "Which test shows it?", "who": "Pat"})


def talks_of(room: Room) -> Talks:
    """The discussions of a service, to be written to."""
    return Talks(room.site, room.keeper, room.replies)


@post(
    "/api/discussions",
    sync_to_thread=True,
    tags=TAGS,
    guards=[as_json],
    responses=docs.or_there(Discussion, 400, 404, 413, 415, 422),
    summary="Begin a discussion",
)
def begin(room: TheRoom, request: Asked, data: Annotated[NewDiscussion, Body(examples=BEGUN)]) -> Response[bytes]:
    """About a task, or free. A task has one: begun again it is answered with 200."""
    try:
        id, new = talks_of(room).begin(msgspec.structs.replace(data, who=who(room, request, data.who)))
    except Unknown as error:
        raise missing(str(error)) from error
    body = room.keeper.ask(lambda index, refs: queries.brief(index.conn, id))
    found = answer(body, f"there is no discussion {id}", 201 if new else 200)
    found.set_header("Location", f"/api/discussions/{id}")
    return found


@get("/api/discussions", tags=TAGS, responses=docs.reads(Discussions), summary="List discussions")
async def list_discussions(
    room: TheRoom,
    request: Request[Any, Any, Any],
    limit: Limit = 50,
    cursor: Cursor = None,
    task: Annotated[str | None, QueryParameter(description="About this task: its slug.", max_length=63)] = None,
    agent: Annotated[str | None, QueryParameter(description="With this agent: its name.", max_length=63)] = None,
    q: Annotated[str | None, QueryParameter(description="Words of the title or of a message.", max_length=500)] = None,
) -> Response[bytes]:
    """The one that was spoken in last first."""
    return _tagged(request, queries.listed(room.reader, Page(limit, cursor), task=task, agent=agent, q=q))


@get("/api/discussions/{id:str}", tags=TAGS, responses=docs.reads(FullDiscussion, 404), summary="Show a discussion")
async def show(room: TheRoom, id: Id, request: Request[Any, Any, Any]) -> Response[bytes]:
    """With all that was said and sent, and the answer that is on its way."""
    reply = room.replies.of(id)
    coming = {"to": reply.to, "agent": reply.agent, "text": reply.shown[1]} if reply and not reply.failed else None
    body = queries.one(room.reader, id, coming)
    if body is None:
        raise missing(f"there is no discussion {id}")
    return _tagged(request, body)


def _tagged(request: Request[Any, Any, Any], body: bytes) -> Response[bytes]:
    """With its ETag; 304 for whoever has it."""
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    known = [word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(",")]
    headers = {"etag": tag, "cache-control": "no-cache"}
    if tag in known or known == ["*"]:
        return Response(b"", status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@post(
    "/api/discussions/{id:str}/messages",
    status_code=202,
    tags=TAGS,
    guards=[as_json],
    responses=docs.said(Message, 400, 404, 409, 413, 415, 422),
    summary="Say something",
)
async def say(
    room: TheRoom, id: Id, data: Annotated[NewMessage, Body(examples=SAID)], request: Request[Any, Any, Any]
) -> Response[bytes] | Stream:
    """With `Accept: text/event-stream` the answer streams in the response; else it comes as it comes.

    The same id again says it no second time, and shows the same answer.
    """
    try:
        given = msgspec.structs.replace(data, who=who(room, request, data.who))
        stored, new = await to_thread(talks_of(room).say, id, given)
    except Unknown as error:
        raise missing(str(error)) from error
    told = queries.told(room.reader.conn, id, stored.id)
    if told is None:
        raise HTTPException(status_code=503, detail="it is stored, and the index has not seen it yet: ask again")
    where = {"location": f"/api/discussions/{id}"}
    if EVENTS in request.headers.get("accept", "") and stored.verb == "talk":
        ended = over(room, dict(request.headers))
        parts = room.replies.follow(room.reader, id, told.number - 1, ended, until=stored.id)
        return Stream(parts, status_code=200, media_type=EVENTS, headers=UNCACHED | where)
    return Response(told.data.encode(), media_type="application/json", status_code=202 if new else 200, headers=where)


@get("/api/discussions/{id:str}/events", tags=TAGS, responses=docs.stream(400, 404), summary="Follow a discussion")
async def events(
    room: TheRoom,
    id: Id,
    request: Request[Any, Any, Any],
    after: Annotated[int | None, QueryParameter(ge=0, le=1 << 40, description="From this message on.")] = None,
) -> Stream:
    """Server-sent events: `message`, `reading`, `delta`, `failed`; after `Last-Event-ID` or `after`, else from now on.

    `delta`: what was shown is its first `at` characters and then `text`.
    """
    newest = queries.newest(room.reader.conn, id)
    if newest is None:
        raise missing(f"there is no discussion {id}")
    last = request.headers.get("last-event-id", "")
    start = int(last) if last.isascii() and last.isdigit() and len(last) < 12 else after
    ended = over(room, dict(request.headers))
    parts = room.replies.follow(room.reader, id, newest if start is None else start, ended)
    return Stream(parts, media_type=EVENTS, headers=UNCACHED)


@delete(
    "/api/discussions/{id:str}/reply",
    status_code=204,
    tags=TAGS,
    responses=docs.writes(400, 404),
    summary="Stop the answer",
)
async def stop(room: TheRoom, id: Id) -> None:
    """What was said so far stays, as an answer that was stopped. Where nothing is on its way, nothing happens."""
    if queries.newest(room.reader.conn, id) is None:
        raise missing(f"there is no discussion {id}")
    room.replies.cancel(id)


@post(
    "/api/discussions/{id:str}/draft",
    sync_to_thread=True,
    status_code=200,
    tags=TAGS,
    responses=docs.writes(400, 404, 409, 415),
    summary="Draft a task",
)
def draft(room: TheRoom, id: Id) -> Response[Draft]:
    """What the agent would write. Nothing is made: a person changes it, and makes the task."""
    try:
        return Response(talks_of(room).draft(id))
    except Unknown as error:
        raise missing(str(error)) from error


@post(
    "/api/discussions/{id:str}/tasks",
    sync_to_thread=True,
    tags=TAGS,
    guards=[as_json],
    responses=docs.writes(400, 404, 409, 413, 415, 422),
    summary="Make a task of it",
)
def make_task(room: TheRoom, request: Asked, id: Id, data: JSONBody[NewTask]) -> Response[Made]:
    """As `POST /api/tasks` does; the task says where it comes from, the discussion what became of it."""
    try:
        made = task_of(room, id, data, who(room, request, ""), writer(room, request))
    except Unknown as error:
        raise missing(str(error)) from error
    return Response(made, status_code=201, headers={"Location": f"/api/tasks/{made.slug}"})


def task_of(room: Room, id: str, asked: NewTask, by: str, author: Identity | None) -> Made:
    """Write the task that a discussion became, and note it there; asked again, the same task is noted, not another one.

    Raises `Unknown`, and what `write_task` raises.
    """
    talks = talks_of(room)
    talks.found(id)
    origin = f"From discussion {id}"
    description = asked.description if origin in asked.description else f"{asked.description}\n\n{origin}".strip()
    try:
        made = write_task(room, msgspec.structs.replace(asked, description=description), author)
    except Conflict:
        there = _written(room, asked.title, description)  # by somebody who was killed before it was noted
        if there is None:
            raise
        made = there
    talks.made(id, made.slug, asked.title, by)
    return made


def _written(room: Room, title: str, description: str) -> Made | None:
    """The task that says just this, if there is one."""
    query = "SELECT id, slug, path FROM tasks WHERE title = ? AND description = ?"
    row = room.keeper.ask(lambda index, refs: index.conn.execute(query, (title, description)).fetchone())
    return Made(*row) if row else None


# Litestar wraps a handler for a thread again when a later one comes to its path: those without a thread go first.
ROUTES = [list_discussions, begin, show, say, events, stop, draft, make_task]
