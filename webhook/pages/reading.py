"""What the pages read from the index: cards, columns, a task with its attempts and its history."""

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from webhook import store
from webhook.queries import Reader

COLUMNS = ("not_started", "design", "build", "test", "review", "complete")
A_COLUMN = 40
"""Cards that a column of the board shows."""
MOST_NEEDS = 30


class Card(NamedTuple):
    """A task as the board shows it. `ready` is the stage whose proposal waits, `state` that of the open stage."""

    slug: str
    title: str
    status: str
    stage: str | None
    progress: int
    priority: int
    complexity: int | None
    agent: str | None
    hold: str | None
    remedy: str | None
    updated: str | None
    completed: str | None
    parent: str | None
    ready: str | None
    state: str | None

    @property
    def waits(self) -> bool:
        """Whether what holds it ends by itself."""
        return (self.hold or "").startswith("waits for ")

    @property
    def mark(self) -> str:
        """How it stands, in one word: `hold`, `ready`, `work`, `done`, `wait` or `next`."""
        if self.completed:
            return "done"
        if self.hold:
            return "wait" if self.waits else "hold"
        return "ready" if self.ready else "work" if self.state == "working" else "next"


class Column(NamedTuple):
    """A column of the board; `number` is how many tasks there are, of which `cards` are the first."""

    status: str
    number: int
    cards: tuple[Card, ...]


_CARD = (
    "SELECT slug, title, status, stage, stage_progress, priority, complexity,"
    " (SELECT name FROM agents WHERE agents.id = assigned_agent_id), hold, remedy, updated_at, completed_at, parent,"
    " (SELECT stage FROM proposals WHERE task_id = tasks.id LIMIT 1),"
    " (SELECT state FROM stages WHERE task_id = tasks.id AND open = 1 LIMIT 1) FROM tasks"
)
_OPEN = "completed_at IS NULL"
_NEEDS = (
    f"{_OPEN} AND ((hold IS NOT NULL AND hold NOT LIKE 'waits for %')"
    " OR (hold IS NULL AND EXISTS (SELECT 1 FROM proposals WHERE task_id = tasks.id)))"
)


class Wanted(NamedTuple):
    """What a visitor looks for; an empty word is not looked at."""

    q: str = ""
    agent: str = ""
    status: str = ""
    needs: bool = False

    def __bool__(self) -> bool:
        return any(self)


def _where(reader: Reader, wanted: Wanted) -> tuple[str, list[Any]]:
    agent = wanted.agent or None
    where, given = reader.wanted(status=wanted.status or None, agent=agent, priority=None, q=wanted.q or None)
    return " AND ".join([*where, _NEEDS] if wanted.needs else where), given


def board(reader: Reader, wanted: Wanted) -> tuple[Column, ...]:
    """The columns, each with its first cards; with a status alone that one, to a length of its own."""
    where, given = _where(reader, wanted)
    most = 5 * A_COLUMN if wanted.status else A_COLUMN
    count = f"SELECT status, count(*) FROM tasks WHERE {where} GROUP BY status"
    counts = dict(reader.conn.execute(count, given))
    shown = [wanted.status] if wanted.status else list(COLUMNS)
    return tuple(Column(s, counts.get(s, 0), _cards(reader, where, given, s, most)) for s in shown)


def _cards(reader: Reader, where: str, given: list[Any], status: str, most: int) -> tuple[Card, ...]:
    order = "completed_at DESC, slug" if status == "complete" else store.ORDER
    query = f"{_CARD} WHERE {where} AND status = ? ORDER BY {order} LIMIT ?"
    return tuple(Card(*row) for row in reader.conn.execute(query, [*given, status, most]))


def needs(reader: Reader) -> tuple[tuple[Card, ...], int]:
    """The tasks that go on only when a person acts, the first of them, and how many there are."""
    (number,) = reader.conn.execute(f"SELECT count(*) FROM tasks WHERE {_NEEDS}").fetchone()
    query = f"{_CARD} WHERE {_NEEDS} ORDER BY hold IS NULL, {store.ORDER} LIMIT ?"
    return tuple(Card(*row) for row in reader.conn.execute(query, (MOST_NEEDS,))), number


def of_agent(reader: Reader, id: str, most: int = 50) -> tuple[Card, ...]:
    """The tasks that an agent has, those under way first."""
    query = f"{_CARD} WHERE assigned_agent_id = ? ORDER BY completed_at IS NOT NULL, updated_at DESC LIMIT ?"
    return tuple(Card(*row) for row in reader.conn.execute(query, (id, most)))


def card(reader: Reader, id: str) -> Card:
    """One task's card."""
    return Card(*reader.conn.execute(f"{_CARD} WHERE id = ?", (id,)).fetchone())


def asked(reader: Reader, id: str) -> str:
    """When the question was asked with which a task's agent waits, which names it; nothing where it asks nothing."""
    query = "SELECT json_extract(hold, '$.since') FROM stages WHERE task_id = ? AND open = 1 AND state = 'held'"
    return str((reader.conn.execute(query, (id,)).fetchone() or ("",))[0] or "")


def names(conn: sqlite3.Connection) -> tuple[str, ...]:
    """The names of the agents that agents.yaml lists."""
    return tuple(name for (name,) in conn.execute("SELECT name FROM agents WHERE model IS NOT NULL ORDER BY name"))


class Problem(NamedTuple):
    """A file below `tasks/` that cannot be read as a task."""

    path: str
    what: str
    remedy: str


def problems(conn: sqlite3.Connection) -> tuple[Problem, ...]:
    """What is wrong with task files."""
    return tuple(
        Problem(*row) for row in conn.execute("SELECT path, what, remedy FROM problems ORDER BY path LIMIT 20")
    )


class Attempt(NamedTuple):
    """One attempt at a stage. `gates` and `hold` are as records have them; `seconds` is how long it has been open."""

    stage: str
    attempt: int
    state: str
    open: bool
    agent: str | None
    model: str | None
    host: str | None
    base: str | None
    gated: str | None
    gates: Sequence[dict[str, Any]]
    progress: int
    started: str | None
    finished: str | None
    steps: int
    tokens: int
    cost: float
    reworks: int
    hold: dict[str, str] | None
    seconds: float | None


def attempts(conn: sqlite3.Connection, id: str) -> tuple[Attempt, ...]:
    """Every attempt at a task's stages, as they followed each other."""
    query = (
        "SELECT stage, attempt, state, open, (SELECT name FROM agents WHERE agents.id = agent_id), model, host, base,"
        " gated, gates, progress, started, finished, steps, tokens, cost, reworks, hold,"
        " (julianday(finished) - julianday(started)) * 86400 FROM stages WHERE task_id = ?"
        " ORDER BY started, attempt"
    )
    return tuple(_attempt(list(row)) for row in conn.execute(query, (id,)))


def _attempt(row: list[Any]) -> Attempt:
    row[9], row[17] = msgspec.json.decode(row[9] or "[]"), msgspec.json.decode(row[17] or "null")
    return Attempt(*row)


class Entry(NamedTuple):
    """One line of a history. `who` is a person, an agent, or empty where the runner saw it itself."""

    kind: str
    content: str
    at: str
    agent: str | None
    actor: str | None


def history(conn: sqlite3.Connection, id: str, most: int) -> tuple[tuple[Entry, ...], int]:
    """The newest entries of a task's history, newest first, and how many there are."""
    (number,) = conn.execute("SELECT count(*) FROM task_updates WHERE task_id = ?", (id,)).fetchone()
    query = (
        "SELECT update_type, content, timestamp, (SELECT name FROM agents WHERE agents.id = agent_id), actor"
        " FROM task_updates WHERE task_id = ? ORDER BY position DESC LIMIT ?"
    )
    return tuple(Entry(*row) for row in conn.execute(query, (id, most))), number
