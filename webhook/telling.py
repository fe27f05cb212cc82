"""What those who follow are told of rows that have changed: events, in the transaction that changes the rows."""

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from webhook.rows import COLUMNS, Row

KEPT = 20_000  # events that a client may have missed and still catch up with


class Event(NamedTuple):
    """Something that those who follow hear: `update`, `stage`, `hold`, `removed` or `said` (of a discussion)."""

    kind: str
    task_id: str
    data: dict[str, Any]


def tell_task(events: list[Event], slug: str, old: Row | None, new: Row) -> None:
    """Add to `events` that a task's row has changed: where it stands, or whether it is held."""
    was = dict(zip(COLUMNS["tasks"], old, strict=True)) if old else {}
    now = dict(zip(COLUMNS["tasks"], new, strict=True))
    about = ("status", "stage", "stage_progress", "completed_at")
    if any(was.get(name) != now[name] for name in about):
        events.append(Event("stage", now["id"], {"task": slug} | {name: now[name] for name in about}))
    if was.get("hold") != now["hold"]:
        events.append(Event("hold", now["id"], {"task": slug, "hold": now["hold"], "remedy": now["remedy"]}))


def tell_updates(events: list[Event], slug: str, known: set[str], rows: Sequence[Row]) -> None:
    """Add to `events` each of a task's updates whose id was not `known`."""
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
