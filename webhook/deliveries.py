"""Deliveries, durable before they are answered: one transaction, and one fsync, for all that wait at that moment."""

import queue
import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from webhook import store
from webhook.events import Notice

MOST = 256  # of one transaction
KEPT = 50_000  # GitHub redelivers those of the last three days


class Entered(NamedTuple):
    """What became of a delivery: `again` where it is to be worked (new, or one that we lost)."""

    again: bool


class _Waiting(NamedTuple):
    notice: Notice
    at: str
    answer: "Future[Entered]"


class Deliveries:
    """The thread that writes them."""

    def __init__(self, path: Path) -> None:
        self.conn = store.connect(path)
        self.conn.execute("PRAGMA synchronous=FULL")  # Git does not hold them: a power cut must not take them
        self._hook = store.get(self.conn, "hook") or ""
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="deliveries", daemon=True)
        self._thread.start()

    def enter(self, notice: Notice, at: str) -> "Future[Entered]":
        """Have a delivery written; the answer comes when it is on disk."""
        answer: Future[Entered] = Future()
        self._queue.put(_Waiting(notice, at, answer))
        return answer

    def close(self) -> None:
        """Write what waits, and end."""
        self._queue.put(None)
        self._thread.join()
        self.conn.close()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, end = [first], False
            while len(batch) < MOST and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    end = True
                    break
                batch.append(following)
            self._write(batch)
            if end:
                return

    def _write(self, batch: list[_Waiting]) -> None:
        hooks = [waiting.notice.hook for waiting in batch if waiting.notice.hook not in ("", self._hook)]
        try:
            with store.writing(self.conn):
                found = [_enter(self.conn, waiting) for waiting in batch]
                if hooks:
                    store.put(self.conn, "hook", hooks[-1])
                    self._hook = hooks[-1]
        except sqlite3.Error as error:
            for waiting in batch:
                waiting.answer.set_exception(error)
            return
        for waiting, entered in zip(batch, found, strict=True):
            waiting.answer.set_result(entered)


def _enter(conn: sqlite3.Connection, waiting: _Waiting) -> Entered:
    """A delivery that is there already is worked again only if it was lost: without having been looked at before."""
    notice = waiting.notice
    row = (
        notice.guid,
        notice.event,
        notice.action,
        waiting.at,
        "received",
        0,
        " ".join(sorted(notice.tasks)),
        notice.note,
    )
    made = conn.execute("INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", row).rowcount
    if made:
        return Entered(True)
    lost = "UPDATE deliveries SET state = 'received', received_at = ? WHERE guid = ? AND state = 'failed'"
    return Entered(conn.execute(lost, (waiting.at, notice.guid)).rowcount > 0)


def unworked(conn: sqlite3.Connection) -> list[tuple[str, frozenset[str]]]:
    """Deliveries that were taken and not worked yet, with their tasks."""
    found = conn.execute("SELECT guid, tasks FROM deliveries WHERE state = 'received' ORDER BY received_at")
    return [(guid, frozenset(tasks.split())) for guid, tasks in found]


def known(conn: sqlite3.Connection, guid: str) -> bool:
    """Whether a delivery has come."""
    return conn.execute("SELECT 1 FROM deliveries WHERE guid = ?", (guid,)).fetchone() is not None


def mark(conn: sqlite3.Connection, guids: list[str], state: str, note: str = "") -> None:
    """Note what became of deliveries, `done` or `failed`, and forget the oldest that are done."""
    act = (
        "UPDATE deliveries SET state = ?, tries = tries + 1, note = CASE ? WHEN '' THEN note ELSE ? END WHERE guid = ?"
    )
    with store.writing(conn):
        conn.executemany(act, [(state, note, note, guid) for guid in guids])
        (last,) = conn.execute("SELECT max(rowid) FROM deliveries").fetchone()
        conn.execute("DELETE FROM deliveries WHERE rowid <= ? AND state = 'done'", ((last or 0) - KEPT,))
