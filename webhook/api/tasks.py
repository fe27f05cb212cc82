"""Tasks: made, listed, shown, put at a stage."""

from typing import Annotated

from litestar import Response, get, post, put
from litestar.params import Body, FromQuery, JSONBody, PathParameter, QueryParameter

from runner.git import Identity
from runner.state import TaskState
from webhook import writing
from webhook.api import docs
from webhook.api.room import Asked, Room, TheRoom, answer, as_json, missing, who, writer
from webhook.queries import Page
from webhook.shapes import FullTask, Made, NewStatus, NewTask, Said, Status, Tasks, Updates

TAGS = ["tasks"]
Word = Annotated[str, PathParameter(description="The id, or the slug.", max_length=63)]
Limit = Annotated[int, QueryParameter(ge=1, le=200, description="At most so many.")]
Cursor = Annotated[str | None, QueryParameter(description="`next` of the page before.", max_length=500)]


@get("/api/tasks", sync_to_thread=False, tags=TAGS, responses=docs.reads(Tasks), summary="List tasks")
def list_tasks(
    room: TheRoom,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: FromQuery[Status | None] = None,
    agent: Annotated[str | None, QueryParameter(description="Assigned to this agent: its id, or its name.")] = None,
    priority: Annotated[int | None, QueryParameter(ge=-1_000_000_000, le=1_000_000_000)] = None,
    q: Annotated[
        str | None, QueryParameter(description="Words in title, description or history.", max_length=500)
    ] = None,
) -> Response[bytes]:
    """In the order in which they are taken: higher priority first, then oldest."""
    return answer(
        room.reader.tasks(Page(limit, cursor), status=status, agent=agent, priority=priority, q=q), "no tasks"
    )


@get("/api/tasks/{id:str}", sync_to_thread=False, tags=TAGS, responses=docs.reads(FullTask, 404), summary="Show a task")
def show_task(room: TheRoom, id: Word) -> Response[bytes]:
    """With its attempts and the proposals that wait."""
    found = room.reader.task_id(id)
    return answer(room.reader.task(found) if found else None, f"there is no task {id}")


@get(
    "/api/tasks/{id:str}/updates",
    sync_to_thread=False,
    tags=TAGS,
    responses=docs.reads(Updates, 404),
    summary="A task's history",
)
def list_updates(room: TheRoom, id: Word, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """Oldest first."""
    found = room.reader.task_id(id)
    return answer(room.reader.updates(found, Page(limit, cursor)) if found else None, f"there is no task {id}")


@post(
    "/api/tasks",
    sync_to_thread=True,
    tags=TAGS,
    guards=[as_json],
    responses=docs.writes(400, 409, 413, 415, 422),
    summary="Make a task",
)
def make_task(room: TheRoom, request: Asked, data: Annotated[NewTask, Body(examples=docs.NEW_TASK)]) -> Response[Made]:
    """As `policy.new_tasks` says: its file onto base (where base takes no commit, onto a branch), or as an issue."""
    made = write_task(room, data, writer(room, request))
    return Response(made, status_code=201, headers={"Location": f"/api/tasks/{made.slug}"})


def write_task(room: Room, asked: NewTask, by: Identity | None) -> Made:
    """Write a task, so that whoever asks for it next finds it; `by` is who wants it, None where nobody said so.

    Raises `Conflict`, `Senseless`, `UserError`.
    """
    settings = room.keeper.ask(lambda index, refs: index.settings())
    if settings.policy.new_tasks == "issue":
        return writing.new_issue(room.options.hosting(room.site, settings), settings, asked)
    made: Made = room.keeper.ask(lambda index, refs: writing.new_task(room.site, index, refs, asked, by))
    room.keeper.ask(lambda index, refs: None)
    if made.proposal is None:
        return made
    return writing.offered(room.options.hosting(room.site, settings), settings, made, asked.title)


@put(
    "/api/tasks/{id:str}/status",
    sync_to_thread=True,
    status_code=202,
    tags=TAGS,
    guards=[as_json],
    responses=docs.writes(400, 404, 409, 413, 415, 422),
    summary="Put a task at a stage",
)
def put_status(room: TheRoom, request: Asked, id: Word, data: JSONBody[NewStatus]) -> Response[Said]:
    """Backward: from that stage on only new attempts count. Forward: the stages before it count as done."""
    state, settings = room.keeper.ask(lambda index, refs: (index.look(refs, id), index.settings()))
    found: TaskState | None = state
    if found is None:
        raise missing(f"there is no task {id}")
    said = writing.set_status(room.site, found, settings, data.status, who(room, request, data.who), data.reason)
    room.keeper.ask(lambda index, refs: None)
    return Response(said, status_code=202, headers={"Location": f"/api/tasks/{found.task.id}"})


ROUTES = [list_tasks, show_task, list_updates, make_task, put_status]
