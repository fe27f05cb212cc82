"""Agents: who there is, who is busy, who was sent away."""

from typing import Annotated, Literal

from litestar import Response, get, put
from litestar.params import FromQuery, JSONBody, PathParameter

from webhook import writing
from webhook.api import docs
from webhook.api.room import Asked, TheRoom, answer, as_json, missing, who
from webhook.api.tasks import Cursor, Limit
from webhook.queries import Page
from webhook.shapes import Agent, Agents, Availability, Said, Tasks

TAGS = ["agents"]
Name = Annotated[str, PathParameter(description="The id, or the name.", max_length=63)]


@get("/api/agents", sync_to_thread=False, tags=TAGS, responses=docs.reads(Agents), summary="List agents")
def list_agents(
    room: TheRoom,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: FromQuery[Literal["available", "busy", "offline"] | None] = None,
) -> Response[bytes]:
    """By name; those that agents.yaml no longer lists are offline."""
    return answer(room.reader.agents(Page(limit, cursor), status), "no agents")


@get("/api/agents/{id:str}", sync_to_thread=False, tags=TAGS, responses=docs.reads(Agent, 404), summary="Show an agent")
def show_agent(room: TheRoom, id: Name) -> Response[bytes]:
    """One agent."""
    found = room.reader.agent_id(id)
    return answer(room.reader.agent(found) if found else None, f"there is no agent {id}")


@get(
    "/api/agents/{id:str}/tasks",
    sync_to_thread=False,
    tags=TAGS,
    responses=docs.reads(Tasks, 404),
    summary="An agent's tasks",
)
def list_tasks_of(room: TheRoom, id: Name, limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    """The tasks that are assigned to it."""
    found = room.reader.agent_id(id)
    body = room.reader.tasks(Page(limit, cursor), status=None, agent=found, priority=None, q=None) if found else None
    return answer(body, f"there is no agent {id}")


@put(
    "/api/agents/{id:str}/status",
    sync_to_thread=True,
    status_code=202,
    tags=TAGS,
    guards=[as_json],
    responses=docs.writes(400, 404, 413, 415),
    summary="Send an agent away, or call it back",
)
def put_availability(room: TheRoom, request: Asked, id: Name, data: JSONBody[Availability]) -> Response[Said]:
    """Remembered in Git: no host gives it a new stage while it is offline."""
    found = room.keeper.ask(lambda index, refs: index.agent(id))
    if found is None:
        raise missing(f"there is no agent {id}")
    said = writing.set_availability(room.site, found, data.status, who(room, request, data.who), data.reason)
    room.keeper.ask(lambda index, refs: None)
    return Response(said, status_code=202, headers={"Location": f"/api/agents/{found}"})


ROUTES = [list_agents, show_agent, list_tasks_of, put_availability]
