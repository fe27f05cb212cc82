"""Reads for the API: SQL that makes the JSON itself, so that a page is a string from the first byte to the last.

A connection belongs to the thread that made it; the index is read while others write it (WAL).
"""

import base64
import re
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from webhook import store
from webhook.rows import COLUMNS, Names


class Page(NamedTuple):
    """What a list is asked for: `cursor` is where the page before ended."""

    limit: int = 50
    cursor: str | None = None


class BadCursor(ValueError):
    """A cursor that we never gave."""


_TASK = (*COLUMNS["tasks"][:9], *(c for c in COLUMNS["tasks"][9:] if c != "stages"))
TASK = (
    "json_object(" + ", ".join(f"'{c}', tasks.{c}" for c in _TASK) + ", 'stages', json(tasks.stages),"
    " 'agent', (SELECT name FROM agents WHERE agents.id = assigned_agent_id),"
    " 'left_alone', (SELECT reason FROM left_alone WHERE left_alone.slug = tasks.slug))"
)
UPDATE = "json_object(" + ", ".join(f"'{c}', {c}" for c in COLUMNS["task_updates"] if c != "position") + ")"
AGENT = "json_object(" + ", ".join(f"'{c}', {c}" for c in COLUMNS["agents"]) + ")"
WORKSPACE = "json_object(" + ", ".join(f"'{c}', {c}" for c in COLUMNS["agent_workspaces"]) + ")"
ATTEMPT = (
    "json_object('stage', stage, 'attempt', attempt, 'state', state, 'agent',"
    " (SELECT name FROM agents WHERE agents.id = agent_id), 'model', model, 'host', host, 'progress', progress,"
    " 'started', started, 'finished', finished, 'steps', steps, 'tokens', tokens, 'cost', cost,"
    " 'gates', json(gates), 'hold', json(hold))"
)
PROPOSAL = "json_object('id', id, 'stage', stage, 'attempt', attempt, 'branch', branch, 'head', head, 'target', target)"


class Reader:
    """Reads of the index in the file `path`."""

    def __init__(self, path: Path) -> None:
        self.conn = store.connect(path, readonly=True)

    def close(self) -> None:
        """Let go of the file."""
        self.conn.close()

    def version(self) -> int:
        """A number that changes when anybody has written (https://sqlite.org/pragma.html#pragma_data_version)."""
        return int(self.conn.execute("PRAGMA data_version").fetchone()[0])

    def names(self) -> Names | None:
        """The makers of ids; None before the first refresh."""
        repository = store.get(self.conn, "repository")
        return Names(repository) if repository else None

    def task_id(self, word: str) -> str | None:
        """The id that a slug or an id stands for, if there is such a task."""
        return self._find("tasks", "slug", word)

    def agent_id(self, word: str) -> str | None:
        """The id that a name or an id stands for, if there is such an agent."""
        return self._find("agents", "name", word)

    def _find(self, table: str, column: str, word: str) -> str | None:
        key = column if _uuid(word) is None else "id"
        row = self.conn.execute(f"SELECT id FROM {table} WHERE {key} = ?", (_uuid(word) or word,)).fetchone()
        return row[0] if row else None

    def tasks(self, page: Page, *, status: str | None, agent: str | None, priority: int | None, q: str | None) -> bytes:
        """A page of tasks in the order in which they are taken, as JSON."""
        where, given = self.wanted(status=status, agent=agent, priority=priority, q=q)
        if page.cursor is not None:
            where.append(f"({store.ORDER}) > (?, ?, ?)")
            given += values(page.cursor, (int, str, str))
        query = f"SELECT {TASK}, {store.ORDER} FROM tasks WHERE {' AND '.join(where)} ORDER BY {store.ORDER} LIMIT ?"
        return page_of(self.conn, query, given, page)

    def wanted(
        self, *, status: str | None, agent: str | None, priority: int | None, q: str | None
    ) -> tuple[list[str], list[Any]]:
        """The conditions on `tasks` that a list is asked for, and the values in them; None asks for nothing."""
        where: list[str] = ["1"]
        given: list[Any] = []
        for clause, value in (
            ("tasks.status = ?", status),
            ("assigned_agent_id = ?", (self.agent_id(agent) or "") if agent is not None else None),
            ("priority = ?", priority),
        ):
            if value is not None:
                where.append(clause)
                given.append(value)
        if q is not None and q.strip():
            words = match(q) or '""'  # what has no word in it is found nowhere
            where.append(
                "(tasks.rowid IN (SELECT rowid FROM tasks_fts WHERE tasks_fts MATCH ?) OR tasks.id IN (SELECT task_id"
                " FROM task_updates JOIN task_updates_fts ON task_updates.rowid = task_updates_fts.rowid"
                " WHERE task_updates_fts MATCH ?))"
            )
            given += [words, words]
        return where, given

    def updates(self, task_id: str, page: Page) -> bytes:
        """A page of a task's history, oldest first."""
        after = values(page.cursor, (int,)) if page.cursor is not None else [-1]
        query = (
            f"SELECT {UPDATE}, position FROM task_updates WHERE task_id = ? AND position > ? ORDER BY position LIMIT ?"
        )
        return page_of(self.conn, query, [task_id, *after], page)

    def agents(self, page: Page, status: str | None) -> bytes:
        """A page of agents by name."""
        after = values(page.cursor, (str,)) if page.cursor is not None else [""]
        query = (
            f"SELECT {AGENT}, name FROM agents WHERE name > ? AND status = coalesce(?, status) ORDER BY name LIMIT ?"
        )
        return page_of(self.conn, query, [*after, status], page)

    def task(self, id: str) -> bytes | None:
        """One task with its attempts, proposals and dependencies."""
        query = (
            f"SELECT {TASK}, (SELECT json_group_array(json(item)) FROM"
            f" (SELECT {ATTEMPT} AS item FROM stages WHERE task_id = tasks.id ORDER BY started, attempt)),"
            f" (SELECT json_group_array(json({PROPOSAL})) FROM proposals WHERE task_id = tasks.id),"
            " (SELECT json_group_array(slug) FROM dependencies WHERE task_id = tasks.id) FROM tasks WHERE id = ?"
        )
        row = self.conn.execute(query, (id,)).fetchone()
        if row is None:
            return None
        return f'{row[0][:-1]},"attempts":{row[1]},"proposals":{row[2]},"depends_on":{row[3]}}}'.encode()

    def agent(self, id: str) -> bytes | None:
        """One agent."""
        return self._one(f"SELECT {AGENT} FROM agents WHERE id = ?", id)

    def workspace(self, id: str) -> bytes | None:
        """One workspace."""
        return self._one(f"SELECT {WORKSPACE} FROM agent_workspaces WHERE id = ?", _uuid(id) or "")

    def _one(self, query: str, id: str) -> bytes | None:
        row = self.conn.execute(query, (id,)).fetchone()
        return row[0].encode() if row else None

    def events(self, after: int, most: int = 500) -> list[tuple[int, str, str]]:
        """Number, kind and JSON of the events after one, oldest first."""
        query = "SELECT seq, kind, data FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
        return self.conn.execute(query, (after, most)).fetchall()

    def span(self) -> tuple[str, int, int]:
        """The name of this line of events, and the numbers of the oldest that is kept and of the newest."""
        newest = store.newest_event(self.conn)
        oldest = self.conn.execute("SELECT min(seq) FROM events").fetchone()[0]
        return store.get(self.conn, "line") or "", oldest if oldest is not None else newest + 1, newest


def page_of(conn: sqlite3.Connection, query: str, given: list[Any], page: Page) -> bytes:
    """The rows of a query for one more than a page holds, as JSON; what stands after the first column is the cursor."""
    found = conn.execute(query, [*given, page.limit + 1]).fetchall()
    rows = found[: page.limit]
    following = msgspec.json.encode(_encoded(rows[-1][1:]) if len(found) > len(rows) else None)
    return b'{"items":[' + ",".join(row[0] for row in rows).encode() + b'],"next":' + following + b"}"


def _uuid(word: str) -> str | None:
    try:
        return str(UUID(word)) if len(word) == 36 else None
    except ValueError:
        return None


def match(q: str) -> str:
    """What a person typed, as a query that finds every word or its beginning; no operator of FTS5 counts."""
    return " ".join(f'"{word}"*' for word in re.findall(r"\w+", q)[:20])


def _encoded(after: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(after)).decode().rstrip("=")


def values(text: str, shape: tuple[type, ...]) -> list[Any]:
    """The values in a cursor. Raises `BadCursor`."""
    try:
        found = msgspec.json.decode(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (ValueError, msgspec.DecodeError, UnicodeError) as error:
        raise BadCursor(text) from error
    if not isinstance(found, list) or [type(value) for value in found] != list(shape):
        raise BadCursor(text)
    if any(isinstance(value, int) and abs(value) >= 1 << 63 for value in found):
        raise BadCursor(text)
    return found
