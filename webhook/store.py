"""The index's file: its connection, and how rows are written so that only differences are.

A row that is as it was costs a read. What differs is told as events, in the same transaction.
"""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from runner.backlog import Problem
from webhook import migrations
from webhook.rows import COLUMNS, KEYS, OF_TASK, Names, Row, TaskRows

ORDER = "-priority, coalesce(created_at, '~'), slug"
"""The order in which tasks are taken: higher priority first, then oldest (`runner.assign.order`)."""
KEPT = 20_000  # events that a client may have missed and still catch up with
HOST = {"agents": ("workspace_path",), "agent_workspaces": COLUMNS["agent_workspaces"]}
"""Facts of this host, which `index verify` leaves out."""
TALK = ("discussions", "discussion_messages", "discussion_files")
COMPARED = (*COLUMNS, *TALK, "problems", "births", "landings", "settings", "refs")


class Event(NamedTuple):
    """Something that those who follow hear: `update`, `stage`, `hold`, `removed` or `said` (of a discussion)."""

    kind: str
    task_id: str
    data: dict[str, Any]


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """The index's file, made if it is not there. Transactions are begun and ended by hand."""
    if not readonly:
        path.parent.mkdir(parents=True, exist_ok=True)
    conn = sqlite3.connect(str(path), isolation_level=None, check_same_thread=False, timeout=30)
    # In WAL mode NORMAL never corrupts (https://sqlite.org/pragma.html#pragma_synchronous); what a power cut takes
    # away is derived again. Deliveries, which Git does not hold, are written by a connection of their own.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        conn.execute(f"PRAGMA {pragma}")
    if readonly:
        conn.execute("PRAGMA query_only=ON")
    elif int(conn.execute("PRAGMA user_version").fetchone()[0]) != len(migrations.STEPS):
        import sqlite_utils

        migrations.migrate(sqlite_utils.Database(conn))
        conn.execute("INSERT INTO meta VALUES ('line', ?) ON CONFLICT DO NOTHING", (uuid.uuid4().hex[:8],))
    return conn


@contextmanager
def writing(conn: sqlite3.Connection) -> Iterator[None]:
    """One transaction, alone among writers; all of it or nothing."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        conn.execute("PRAGMA defer_foreign_keys=ON")
        yield
    except BaseException:
        conn.rollback()
        raise
    conn.commit()


def get(conn: sqlite3.Connection, key: str) -> str | None:
    """A word that is kept with the index."""
    row = conn.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def put(conn: sqlite3.Connection, key: str, value: str) -> None:
    """Keep a word."""
    conn.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def counter(conn: sqlite3.Connection) -> int:
    """How many refreshes have been written, by anybody."""
    return int(get(conn, "counter") or 0)


def count(conn: sqlite3.Connection) -> int:
    """One more."""
    number = counter(conn) + 1
    put(conn, "counter", str(number))
    return number


def refs(conn: sqlite3.Connection) -> dict[str, str]:
    """What the rows were derived from."""
    return dict(conn.execute("SELECT name, oid FROM refs"))


def put_refs(conn: sqlite3.Connection, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Note what the rows are derived from now."""
    if not before:
        conn.execute("DELETE FROM refs")
    conn.executemany("DELETE FROM refs WHERE name = ?", [(name,) for name in before.keys() - now.keys()])
    new = [(name, oid) for name, oid in now.items() if before.get(name) != oid]
    conn.executemany("INSERT INTO refs VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET oid = excluded.oid", new)


def stood(conn: sqlite3.Connection, slug: str) -> bool | None:
    """Whether a task of base was complete at the last refresh; None: there was none."""
    row = conn.execute("SELECT completed_at NOT NULL AND parent IS NULL FROM tasks WHERE slug = ?", (slug,)).fetchone()
    return bool(row[0]) if row else None


def dependents(conn: sqlite3.Connection, slug: str) -> set[str]:
    """The tasks that name this one in `depends_on`."""
    query = "SELECT tasks.slug FROM dependencies JOIN tasks ON id = task_id WHERE dependencies.slug = ?"
    return {row[0] for row in conn.execute(query, (slug,))}


def clear(conn: sqlite3.Connection) -> None:
    """Take out every derived row."""
    for table in (*OF_TASK, "tasks", "agents"):
        conn.execute(f"DELETE FROM {table}")


def held(conn: sqlite3.Connection) -> dict[str, str]:
    """Task → why this host leaves it alone."""
    return dict(conn.execute("SELECT slug, reason FROM left_alone"))


def hold(conn: sqlite3.Connection, reasons: Mapping[str, str]) -> None:
    """Note which tasks this host leaves alone, and why."""
    with writing(conn):
        conn.execute("DELETE FROM left_alone")
        conn.executemany("INSERT INTO left_alone VALUES (?, ?)", reasons.items())


# --- writing rows --------------------------------------------------------------------------------------------------


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
        _tell_task(events, task.slug, None, task.rows["tasks"][0])
        _tell_updates(events, task.slug, set(), task.rows["task_updates"])


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
            _tell_updates(events, task.slug, {row[0] for row in known}, task.rows[table])
    _tell_task(events, task.slug, old, new)
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


# --- telling those who follow --------------------------------------------------------------------------------------


def _tell_task(events: list[Event], slug: str, old: Row | None, new: Row) -> None:
    was = dict(zip(COLUMNS["tasks"], old, strict=True)) if old else {}
    now = dict(zip(COLUMNS["tasks"], new, strict=True))
    about = ("status", "stage", "stage_progress", "completed_at")
    if any(was.get(name) != now[name] for name in about):
        events.append(Event("stage", now["id"], {"task": slug} | {name: now[name] for name in about}))
    if was.get("hold") != now["hold"]:
        events.append(Event("hold", now["id"], {"task": slug, "hold": now["hold"], "remedy": now["remedy"]}))


def _tell_updates(events: list[Event], slug: str, known: set[str], rows: Sequence[Row]) -> None:
    for row in rows:
        if row[0] not in known:
            data = dict(zip(COLUMNS["task_updates"], row, strict=True))
            del data["position"]
            events.append(Event("update", row[1], {"task": slug} | data))


def tell(conn: sqlite3.Connection, events: Sequence[Event], *, quiet: bool) -> None:
    """Add to what those who follow will hear, or with `quiet` only note that it was there; the oldest are forgotten.

    An update is told once, also one that a lost branch takes away and a merge brings back.
    """
    new = [event for event in events if event.kind != "update" or _first_time(conn, event)]
    if quiet:
        return
    rows = [(event.kind, event.task_id, msgspec.json.encode(event.data).decode()) for event in new]
    if rows:
        conn.executemany("INSERT INTO events (kind, task_id, data) VALUES (?, ?, ?)", rows)
        conn.execute("DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?", (KEPT,))


def _first_time(conn: sqlite3.Connection, event: Event) -> bool:
    done = conn.execute("INSERT INTO told VALUES (?, ?) ON CONFLICT DO NOTHING", (event.data["id"], event.task_id))
    return done.rowcount == 1


def newest_event(conn: sqlite3.Connection) -> int:
    """The number of the newest event, 0 before the first."""
    row = conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0


# --- comparing -----------------------------------------------------------------------------------------------------


def differences(live: sqlite3.Connection, made: sqlite3.Connection) -> Iterator[str]:
    """Every row that one of two indexes has and the other has not, facts of this host left out."""
    for table in COMPARED:
        columns = [row[1] for row in live.execute(f"PRAGMA table_info({table})")]
        columns = [column for column in columns if column not in HOST.get(table, ())]
        if columns:
            query = f"SELECT {', '.join(columns)} FROM {table}"
            here, there = set(live.execute(query)), set(made.execute(query))
            yield from (f"{table}: only in the index: {_shown(columns, row)}" for row in sorted(here - there, key=repr))
            yield from (f"{table}: missing from it: {_shown(columns, row)}" for row in sorted(there - here, key=repr))


def _shown(columns: Sequence[str], row: Row) -> str:
    return msgspec.json.encode(dict(zip(columns, row, strict=True))).decode()
