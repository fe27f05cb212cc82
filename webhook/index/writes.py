"""How rows are written so that only differences are: a row that is as it was costs a read."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache

from runner.backlog import Problem
from webhook.rows import COLUMNS, KEYS, OF_TASK, Names, Row, TaskRows
from webhook.telling import Event, tell_task, tell_updates


def write_tasks(
    conn: sqlite3.Connection, names: Names, tasks: Sequence[TaskRows], gone: Iterable[str], events: list[Event]
) -> bool:
    """Make the rows of `tasks` so, and take out those of the tasks `gone`; whether anything differed."""
    _ensure_agents(conn, names, {name for task in tasks for name in task.agents})
    wrote = False
    fresh = conn.execute("SELECT 1 FROM tasks LIMIT 1").fetchone() is None
    for slug in gone:
        wrote |= _remove(conn, names.task(slug), slug, events)
    if fresh:
        with _words_afterwards(conn):
            _insert_all(conn, tasks, events)
        return bool(tasks) or wrote
    for task in tasks:
        wrote |= _write_task(conn, names.task(task.slug), task, events)
    return wrote


def _ensure_agents(conn: sqlite3.Connection, names: Names, mentioned: Iterable[str]) -> None:
    """A row for everyone who is mentioned, so that the others can point there; `write_agents` fills it."""
    rows = [(names.agent(name), name) for name in sorted(mentioned)]
    conn.executemany("INSERT INTO agents (id, name, status) VALUES (?, ?, 'offline') ON CONFLICT DO NOTHING", rows)


@contextmanager
def _words_afterwards(conn: sqlite3.Connection) -> Iterator[None]:
    """Many rows are written: the full-text indexes are made of all at once, which takes a third of the time.

    https://sqlite.org/fts5.html#the_rebuild_command
    """
    where = "type = 'trigger' AND tbl_name IN ('tasks', 'task_updates')"
    triggers = conn.execute(f"SELECT name, sql FROM sqlite_master WHERE {where}").fetchall()
    for name, _ in triggers:
        conn.execute(f"DROP TRIGGER {name}")
    yield
    for table in ("tasks_fts", "task_updates_fts"):
        conn.execute(f"INSERT INTO {table} ({table}) VALUES ('rebuild')")
    for _, statement in triggers:
        conn.execute(statement)


def _insert_all(conn: sqlite3.Connection, tasks: Sequence[TaskRows], events: list[Event]) -> None:
    for table in ("tasks", *OF_TASK):
        if rows := [row for task in tasks for row in task.rows[table]]:
            conn.executemany(_insert(table), rows)
    for task in tasks:
        tell_task(events, task.slug, None, task.rows["tasks"][0])
        tell_updates(events, task.slug, set(), task.rows["task_updates"])


def _write_task(conn: sqlite3.Connection, id: str, task: TaskRows, events: list[Event]) -> bool:
    old = conn.execute(f"SELECT {', '.join(COLUMNS['tasks'])} FROM tasks WHERE id = ?", (id,)).fetchone()
    new = task.rows["tasks"][0]
    if old is None:  # it has no other rows either
        _insert_all(conn, [task], events)
        return True
    wrote = bool(old != new)
    if wrote:
        conn.execute(_upsert("tasks"), new)
    for table in OF_TASK:
        changed, known = _write_rows(conn, table, id, task.rows[table])
        wrote |= changed
        if table == "task_updates" and changed:
            tell_updates(events, task.slug, {row[0] for row in known}, task.rows[table])
    tell_task(events, task.slug, old, new)
    return wrote


def _write_rows(conn: sqlite3.Connection, table: str, task_id: str, rows: Sequence[Row]) -> tuple[bool, list[Row]]:
    """Make the rows of one task in one table so; whether they differed, and what they were."""
    columns, keys = COLUMNS[table], KEYS[table]
    old = conn.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE task_id = ?", (task_id,)).fetchall()
    places = [columns.index(key) for key in keys]
    had = {tuple(row[place] for place in places): row for row in old}
    want = {tuple(row[place] for place in places): row for row in rows}
    if had == want:
        return False, old
    where = " AND ".join(f"{key} = ?" for key in keys)
    conn.executemany(f"DELETE FROM {table} WHERE {where}", [key for key in had if key not in want])
    conn.executemany(_upsert(table), [row for key, row in want.items() if had.get(key) != row])
    return True, old


def _remove(conn: sqlite3.Connection, id: str, slug: str, events: list[Event]) -> bool:
    if conn.execute("SELECT 1 FROM tasks WHERE id = ?", (id,)).fetchone() is None:
        return False
    for table in OF_TASK:
        conn.execute(f"DELETE FROM {table} WHERE task_id = ?", (id,))
    conn.execute("DELETE FROM tasks WHERE id = ?", (id,))
    events.append(Event("removed", id, {"task": slug}))
    return True


@cache
def _insert(table: str) -> str:
    marks = ", ".join("?" * len(COLUMNS[table]))
    return f"INSERT INTO {table} ({', '.join(COLUMNS[table])}) VALUES ({marks})"


@cache
def _upsert(table: str) -> str:
    """`INSERT OR REPLACE` would not fire the triggers that keep the full-text index."""
    keys = KEYS[table]
    rest = [f"{column} = excluded.{column}" for column in COLUMNS[table] if column not in keys]
    act = f"UPDATE SET {', '.join(rest)}" if rest else "NOTHING"
    return f"{_insert(table)} ON CONFLICT ({', '.join(keys)}) DO {act}"


def write_agents(conn: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Make the agents' rows so."""
    kept = [row[0] for row in rows]
    for (id,) in conn.execute("SELECT id FROM agents").fetchall():
        if id not in kept:
            conn.execute("DELETE FROM agents WHERE id = ?", (id,))
    old = set(conn.execute(f"SELECT {', '.join(COLUMNS['agents'])} FROM agents"))
    conn.executemany(_upsert("agents"), [row for row in rows if row not in old])


def write_problems(conn: sqlite3.Connection, slugs: Iterable[str], problems: Mapping[str, Sequence[Problem]]) -> None:
    """What is wrong with the files of these names now."""
    had = {slug for (slug,) in conn.execute("SELECT DISTINCT slug FROM problems")}
    conn.executemany("DELETE FROM problems WHERE slug = ?", [(slug,) for slug in had & set(slugs)])
    rows = [(p.path, slug, p.what, p.remedy) for slug, found in problems.items() for p in found]
    conn.executemany("INSERT OR REPLACE INTO problems (path, slug, what, remedy) VALUES (?, ?, ?, ?)", rows)
