"""The index's file: its connection and its transactions, and the few words that are kept beside the rows."""

import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from webhook import migrations
from webhook.rows import OF_TASK

ORDER = "-priority, coalesce(created_at, '~'), slug"
"""The order in which tasks are taken: higher priority first, then oldest (`runner.assign.order`)."""


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


def newest_event(conn: sqlite3.Connection) -> int:
    """The number of the newest event, 0 before the first."""
    row = conn.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0
