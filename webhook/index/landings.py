"""What base's own line tells: when a task's file came, when a record landed or was taken off, which settings held.

Read commit by commit, the same way from the first commit and from the one that was read last.
"""

import re
import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from runner.agents import Settings, parse_settings
from runner.backlog import RECORD
from runner.errors import UserError
from runner.lifecycle import Stage
from runner.record import Record, parse_record
from runner.sight.listing import stem
from runner.sight.pipes import Change, Commit, Pipes

SETTINGS = "agents.yaml"
_RECORD = re.compile(rf"tasks/(?:.*/)?([^/]+)/{re.escape(RECORD)}")


class Told(NamedTuple):
    """What a stretch of base's line says, as rows."""

    births: list[tuple[str, str]]
    landings: list[tuple[str, int, str, str, str | None]]
    settings: list[tuple[int, str, str, str]]


def told(pipes: Pipes, line: Iterable[Commit], depth: int, before: str) -> Told:
    """Read the commits of `line`, oldest first. `depth` commits came before it, `before` is the last one's tree."""
    found = Told([], [], [])
    for number, commit in enumerate(line, depth + 1):
        changes = pipes.difference(before, commit.tree)
        before = commit.tree
        found.births.extend((stem(c.path), commit.at) for c in changes if c.added and c.path.endswith(".yaml"))
        for slug, blob in _landed(changes).items():
            found.landings.append((slug, number, commit.oid, commit.at, blob))
        found.settings.extend((number, commit.oid, commit.at, c.blob) for c in changes if c.path == SETTINGS and c.blob)
    return found


def _landed(changes: Iterable[Change]) -> dict[str, str | None]:
    """Id → the blob of its record now, None where it was taken off (moved is not taken off)."""
    found: dict[str, str | None] = {}
    for change in changes:
        match = _RECORD.fullmatch(change.path)
        if match and (change.blob or match[1] not in found):
            found[match[1]] = change.blob
    return found


def store(conn: sqlite3.Connection, what: Told) -> None:
    """Keep what was told; a task is born once."""
    conn.executemany("INSERT OR IGNORE INTO births (slug, at) VALUES (?, ?)", what.births)
    conn.executemany("INSERT INTO landings (slug, depth, commit_id, at, blob) VALUES (?, ?, ?, ?, ?)", what.landings)
    conn.executemany("INSERT INTO settings (depth, commit_id, at, blob) VALUES (?, ?, ?, ?)", what.settings)


def born(conn: sqlite3.Connection, slug: str) -> str | None:
    """When a task's file first came to base."""
    row = conn.execute("SELECT at FROM births WHERE slug = ?", (slug,)).fetchone()
    return row[0] if row else None


def reverted(conn: sqlite3.Connection, slug: str) -> str | None:
    """The commit that took the record off base, if base has none now."""
    row = conn.execute(
        "SELECT commit_id, blob FROM landings WHERE slug = ? ORDER BY depth DESC LIMIT 1", (slug,)
    ).fetchone()
    return row[0] if row and row[1] is None else None


def completed(conn: sqlite3.Connection, pipes: Pipes, slug: str, last: Stage) -> str | None:
    """When the record that is on base now first landed with its last stage finished."""
    found = None
    rows = conn.execute("SELECT at, blob FROM landings WHERE slug = ? ORDER BY depth DESC", (slug,))
    for at, blob in rows.fetchall():
        if blob is None or not finished(pipes, blob, last):
            break
        found = at
    return found


def finished(pipes: Pipes, blob: str, last: Stage) -> bool:
    """Whether a record holds a finished entry of the stage."""
    try:
        record: Record = parse_record(pipes.blob(blob))
    except UserError:
        return False
    return last in record.stages and record.stages[last].state in ("ready", "done")


class Version(NamedTuple):
    """The settings that held from `at` on."""

    at: str
    settings: Settings


def versions(conn: sqlite3.Connection, pipes: Pipes) -> list[Version]:
    """Every agents.yaml that base ever had and that can be read, oldest first."""
    found = []
    for at, blob in conn.execute("SELECT at, blob FROM settings ORDER BY depth").fetchall():
        settings = _settings(pipes, blob)
        if settings is not None:  # else the last one that can be read stays in force for those who only look
            found.append(Version(at, settings))
    return found


def in_force(versions: list[Version]) -> Settings:
    """The last settings that can be read. Raises `UserError` where there are none."""
    if not versions:
        raise UserError("agents.yaml on the base branch cannot be read", "pullwright task list says what is wrong")
    return versions[-1].settings


@lru_cache(maxsize=64)
def _settings(pipes: Pipes, blob: str) -> Settings | None:
    """The settings in a blob, whose content never changes: every look asks for them. None: they cannot be read."""
    try:
        return parse_settings(pipes.blob(blob))
    except UserError:
        return None
