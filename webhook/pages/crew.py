"""The agents: who does what just now, how well each does at which complexity, what that takes."""

import sqlite3
from asyncio import to_thread
from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from runner.errors import UserError
from webhook import writing
from webhook.api.room import TheRoom, missing
from webhook.pages import evidence, reading
from webhook.pages.frame import Ask, page, visitor


class Agent(NamedTuple):
    """An agent as its row has it."""

    id: str
    name: str
    model: str | None
    endpoint: str | None
    status: str
    lowest: int | None
    highest: int | None
    active: str | None


class Work(NamedTuple):
    """A stage that an agent has just now, and the last thing that it did there."""

    slug: str
    title: str
    stage: str
    state: str
    progress: int
    last: str


class Score(NamedTuple):
    """What came of an agent's attempts at stages of one complexity (`None`: of all).

    `seconds` is the time that attempts which are done were open, `tokens` what those took.
    """

    complexity: int | None
    done: int
    failed: int
    open: int
    tokens: int
    cost: float
    seconds: float

    @property
    def rate(self) -> int | None:
        """Per cent of the attempts that ended well."""
        ended = self.done + self.failed
        return round(100 * self.done / ended) if ended else None

    @property
    def speed(self) -> float | None:
        """Tokens a second, over the attempts that are done."""
        return self.tokens / self.seconds if self.seconds >= 1 else None

    @property
    def each(self) -> float | None:
        """Seconds that a stage was open, on average over those that are done."""
        return self.seconds / self.done if self.done else None


_AGENT = "SELECT id, name, model, endpoint, status, min_complexity, max_complexity, last_active FROM agents"
_FAILED = (  # a stage that waits for an answer or for more budget has not failed
    "stages.state = 'closed' OR"
    " (stages.state = 'held' AND coalesce(json_extract(stages.hold, '$.kind'), 'failure') = 'failure')"
)
_SCORE = (
    "SELECT tasks.complexity, sum(stages.state IN ('ready', 'done')),"
    f" sum({_FAILED}), sum(stages.state NOT IN ('ready', 'done') AND NOT ({_FAILED})), sum(tokens), sum(cost),"
    " sum(CASE WHEN stages.state IN ('ready', 'done') THEN (julianday(finished) - julianday(started)) * 86400 END)"
    " FROM stages JOIN tasks ON tasks.id = task_id WHERE agent_id = ? GROUP BY tasks.complexity ORDER BY 1"
)


def scores(conn: sqlite3.Connection, id: str) -> tuple[Score, ...]:
    """An agent's scores by complexity."""
    return tuple(Score(*(value or 0 for value in row)) for row in conn.execute(_SCORE, (id,)))


def total(found: tuple[Score, ...]) -> Score:
    """Pure: scores of several complexities as one."""
    return Score(None, *(sum(column) for column in zip(*(one[1:] for one in found), strict=True))) if found else NOTHING


NOTHING = Score(None, 0, 0, 0, 0, 0.0, 0.0)


def _now(room: Any, id: str) -> list[Work]:
    query = (
        "SELECT slug, title, stages.stage, stages.state, progress FROM stages JOIN tasks ON tasks.id = task_id"
        " WHERE agent_id = ? AND open = 1 AND stages.state = 'working' ORDER BY started LIMIT 12"
    )
    return [Work(*(*row, _last(room, row[0]))) for row in room.reader.conn.execute(query, (id,))]


def _last(room: Any, slug: str) -> str:
    found = evidence.steps(room.site, slug)
    return next((step.tool or step.text for step in reversed(found) if step.tool or step.text), "")[:200]


@get("/agents", sync_to_thread=False)
def show_agents(room: TheRoom, request: Ask) -> Response[str]:
    """Everybody, with what they do."""
    conn = room.reader.conn
    rows = [Agent(*row) for row in conn.execute(f"{_AGENT} ORDER BY model IS NULL, name LIMIT 200")]
    crew = [(agent, _now(room, agent.id), total(scores(conn, agent.id))) for agent in rows]
    return page(room, request, "agents.html", crew=crew)


@get("/agents/{name:str}", sync_to_thread=False)
def show_agent(room: TheRoom, request: Ask, name: FromPath[str]) -> Response[str]:
    """One agent."""
    return _agent_page(room, request, name)


def _agent_page(room: Any, request: Ask, name: str, status: int = 200, problem: str = "") -> Response[str]:
    conn = room.reader.conn
    id = room.reader.agent_id(name)
    row = conn.execute(f"{_AGENT} WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise missing(f"there is no agent {name}")
    found = scores(conn, row[0])
    return page(
        room, request, "agent.html", status, agent=Agent(*row), now=_now(room, row[0]), scores=found,
        total=total(found), tasks=reading.of_agent(room.reader, row[0]), problem=problem,
    )  # fmt: skip


@post("/agents/{name:str}/status")
async def send(room: TheRoom, request: Ask, name: FromPath[str]) -> Response[Any]:
    """Send an agent away, or call it back."""
    form = {key: str(value).strip() for key, value in (await request.form()).items()}
    me, status = visitor(room, request), form.get("status", "")
    known = room.reader.agent_id(name)
    if known is None:
        raise missing(f"there is no agent {name}")
    if status not in ("available", "offline"):
        return _agent_page(room, request, name, 422, "an agent is available or offline")

    def said() -> None:
        found = room.keeper.ask(lambda index, refs: index.agent(name))
        writing.set_availability(room.site, found or name, status, me.who, form.get("text", "")[:2000])
        room.keeper.ask(lambda index, refs: None)

    try:
        await to_thread(said)
    except UserError as error:
        return _agent_page(room, request, name, 409, str(error))
    return Redirect(f"/agents/{name}", status_code=303)
