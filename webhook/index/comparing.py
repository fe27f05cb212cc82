"""Two indexes row for row."""

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from webhook.rows import COLUMNS, Row

HOST = {"agents": ("workspace_path",), "agent_workspaces": COLUMNS["agent_workspaces"]}
"""Facts of this host, which `index verify` leaves out."""
TALK = ("discussions", "discussion_messages", "discussion_files")
COMPARED = (*COLUMNS, *TALK, "problems", "births", "landings", "settings", "refs")


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
