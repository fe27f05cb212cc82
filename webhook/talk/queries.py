"""Reads of discussions: SQL that makes the JSON itself, as in `queries`."""

import sqlite3
from typing import NamedTuple

import msgspec

from webhook.queries import Page, Reader, match, page_of, values

DISCUSSION = (
    "json_object('id', discussions.id, 'title', title, 'task', task, 'agent', agent,"
    " 'created', json_object('at', created_at, 'who', created_by), 'updated', updated_at, 'count', messages,"
    " 'waiting', waiting)"
)
MESSAGE = "json_set(data, '$.number', position)"
FILE = "json_object('name', name, 'size', size, 'media_type', media_type)"


class Told(NamedTuple):
    """One message: its number in the log, its id, and its JSON."""

    number: int
    id: str
    data: str


def listed(reader: Reader, page: Page, *, task: str | None, agent: str | None, q: str | None) -> bytes:
    """A page of discussions, the one that was spoken in last first, as JSON."""
    where, given = ["1"], []
    for column, value in (("task", task), ("agent", agent)):
        if value is not None:
            where.append(f"{column} = ?")
            given.append(value)
    if q is not None and (words := match(q)):
        where.append(
            "(discussions.rowid IN (SELECT rowid FROM discussions_fts WHERE discussions_fts MATCH ?) OR discussions.id"
            " IN (SELECT discussion_id FROM discussion_messages JOIN discussion_messages_fts"
            " ON discussion_messages.rowid = discussion_messages_fts.rowid WHERE discussion_messages_fts MATCH ?))"
        )
        given += [words, words]
    if page.cursor is not None:
        where.append("(updated_at, id) < (?, ?)")
        given += values(page.cursor, (str, str))
    query = (
        f"SELECT {DISCUSSION}, updated_at, id FROM discussions WHERE {' AND '.join(where)}"
        " ORDER BY updated_at DESC, id DESC LIMIT ?"
    )
    return page_of(reader.conn, query, given, page)


def one(reader: Reader, id: str, replying: object) -> bytes | None:
    """One discussion with all that was said and sent; `replying` goes in as it is."""
    query = (
        f"SELECT {DISCUSSION}, (SELECT json_group_array(json(item)) FROM (SELECT {MESSAGE} AS item"
        " FROM discussion_messages WHERE discussion_id = discussions.id ORDER BY position)),"
        f" (SELECT json_group_array(json({FILE})) FROM discussion_files WHERE discussion_id = discussions.id)"
        " FROM discussions WHERE id = ?"
    )
    row = reader.conn.execute(query, (id,)).fetchone()
    if row is None:
        return None
    coming = msgspec.json.encode(replying).decode()
    return f'{row[0][:-1]},"messages":{row[1]},"files":{row[2]},"replying":{coming}}}'.encode()


def brief(conn: sqlite3.Connection, id: str) -> bytes | None:
    """One discussion without what was said."""
    row = conn.execute(f"SELECT {DISCUSSION} FROM discussions WHERE id = ?", (id,)).fetchone()
    return row[0].encode() if row else None


def after(conn: sqlite3.Connection, id: str, number: int, most: int = 8) -> list[Told]:
    """The messages of a discussion after one, oldest first: few, since a reader who is slow keeps them in memory."""
    query = (
        f"SELECT position, id, {MESSAGE} FROM discussion_messages WHERE discussion_id = ? AND position > ?"
        " ORDER BY position LIMIT ?"
    )
    return [Told(*row) for row in conn.execute(query, (id, number, most))]


def told(conn: sqlite3.Connection, id: str, message: str) -> Told | None:
    """One message by its id."""
    query = f"SELECT position, id, {MESSAGE} FROM discussion_messages WHERE discussion_id = ? AND id = ?"
    row = conn.execute(query, (id, message)).fetchone()
    return Told(*row) if row else None


def newest(conn: sqlite3.Connection, id: str) -> int | None:
    """The number of the last message, 0 before the first; None where there is no such discussion."""
    row = conn.execute("SELECT messages FROM discussions WHERE id = ?", (id,)).fetchone()
    return int(row[0]) if row else None


def media(conn: sqlite3.Connection, id: str, name: str) -> tuple[str, str] | None:
    """The kind of a file and its blob."""
    query = "SELECT media_type, blob FROM discussion_files WHERE discussion_id = ? AND name = ?"
    row = conn.execute(query, (id, name)).fetchone()
    return (row[0], row[1]) if row else None


def waiting(conn: sqlite3.Connection, since: str) -> list[tuple[str, str]]:
    """Discussion and head wherever a question has no answer that was asked after `since` (ISO 8601, UTC)."""
    query = "SELECT id, head FROM discussions WHERE waiting_since > ? ORDER BY waiting_since"
    return conn.execute(query, (since,)).fetchall()
