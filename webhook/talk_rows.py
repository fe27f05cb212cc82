"""Discussions as rows of the index: brought to their refs with everything else, in the same transaction."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec

from runner.sight.pipes import Pipes
from runner.talk import files as kinds
from runner.talk.discussions import ABOUT, SAID
from runner.talk.messages import Discussion, Message, assemble, is_id, newest, unanswered
from webhook.telling import Event

REFS = "discussions/"
TABLES = ("discussion_files", "discussion_messages", "discussions")
Row = tuple[Any, ...]


def write(conn: sqlite3.Connection, pipes: Pipes, now: Mapping[str, str], changed: Iterable[str]) -> list[Event]:
    """Make the rows of the `changed` refs so, and take out those whose ref is gone; what was said since is told."""
    events: list[Event] = []
    known = {id for (id,) in conn.execute("SELECT id FROM discussions")}
    there = {name.removeprefix(REFS) for name in now if name.startswith(REFS)}
    for id in known - there:
        remove(conn, id)
    for name in sorted(changed):
        id = name.removeprefix(REFS)
        if id == name or name not in now:
            continue
        found = read(pipes, id, now[name]) if is_id(id) else None
        if found is None:
            remove(conn, id)
        else:
            events += _write(conn, pipes, *found)
    return events


def remove(conn: sqlite3.Connection, id: str) -> None:
    """Take a discussion out."""
    for table in TABLES:
        key = "id" if table == "discussions" else "discussion_id"
        conn.execute(f"DELETE FROM {table} WHERE {key} = ?", (id,))


def clear(conn: sqlite3.Connection) -> None:
    """Take all of them out."""
    for table in TABLES:
        conn.execute(f"DELETE FROM {table}")


def read(pipes: Pipes, id: str, commit: str) -> tuple[Discussion, dict[str, str]] | None:
    """A discussion at a commit of its ref, and file → blob; None for what cannot be read as one."""
    about, said, tree = (pipes.object(f"{commit}:{path}") for path in (ABOUT, SAID, "files"))
    if about is None:
        return None
    entries = _entries(tree[1], len(commit) // 2) if tree else ()
    blobs = dict(islice((entry for entry in entries if kinds.is_name(entry[0])), kinds.MOST_NUMBER))
    found = assemble(id, about[1], said[1] if said else b"", {}, commit)
    return (found, blobs) if found else None


def _entries(tree: bytes, width: int) -> Iterator[tuple[str, str]]:
    """Name and blob of the regular files of a tree (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects)."""
    at = 0
    while at < len(tree):
        end = tree.index(b"\0", at)
        mode, _, name = tree[at:end].partition(b" ")
        at = end + 1 + width
        with suppress(UnicodeDecodeError):
            if mode.startswith(b"100"):
                yield name.decode(), tree[end + 1 : at].hex()


def _write(conn: sqlite3.Connection, pipes: Pipes, found: Discussion, blobs: Mapping[str, str]) -> list[Event]:
    id, about = found.about.id, found.about
    asked = unanswered(found.messages)
    row = (
        id, about.title, about.task, about.agent, about.created.at, about.created.who, newest(found),
        len(found.messages), asked[0].id if asked else None, max((one.at for one in asked), default=None), found.head,
    )  # fmt: skip
    conn.execute(
        "INSERT INTO discussions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
        " title = excluded.title, task = excluded.task, agent = excluded.agent, created_at = excluded.created_at,"
        " created_by = excluded.created_by, updated_at = excluded.updated_at, messages = excluded.messages,"
        " waiting = excluded.waiting, waiting_since = excluded.waiting_since, head = excluded.head",
        row,
    )
    _files(conn, pipes, id, blobs)
    return _messages(conn, id, found.messages)


def _messages(conn: sqlite3.Connection, id: str, said: tuple[Message, ...]) -> list[Event]:
    """The log only grows; one that somebody rewrote is written anew."""
    query = "SELECT position, data FROM discussion_messages WHERE discussion_id = ? ORDER BY position"
    had = conn.execute(query, (id,)).fetchall()
    want = [(number, as_json(message)) for number, message in enumerate(said, 1)]
    if had != want[: len(had)]:
        conn.execute("DELETE FROM discussion_messages WHERE discussion_id = ?", (id,))
        had = []
    new = said[len(had) :]
    rows = [(id, n, m.id, m.at, m.role, m.who, m.text, as_json(m)) for n, m in enumerate(new, len(had) + 1)]
    conn.executemany("INSERT INTO discussion_messages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    about = ({"discussion": id, "number": row[1], "id": row[2], "role": row[4], "who": row[5]} for row in rows)
    return [Event("said", id, data) for data in about]


def _files(conn: sqlite3.Connection, pipes: Pipes, id: str, blobs: Mapping[str, str]) -> None:
    had = dict(conn.execute("SELECT name, blob FROM discussion_files WHERE discussion_id = ?", (id,)))
    gone = [(id, name) for name in had if had[name] != blobs.get(name)]
    conn.executemany("DELETE FROM discussion_files WHERE discussion_id = ? AND name = ?", gone)
    for name, blob in blobs.items():
        if had.get(name) == blob:
            continue
        data = pipes.blob(blob)
        try:
            media = kinds.media_type(name, data)
        except kinds.Refused:  # pushed by somebody else: it is there, and nothing shows it
            media = "application/octet-stream"
        conn.execute("INSERT INTO discussion_files VALUES (?, ?, ?, ?, ?)", (id, name, len(data), media, blob))


def as_json(message: Message) -> str:
    """A message as the API shows it: every field, also those that say nothing."""
    fields = {field: getattr(message, field) for field in message.__struct_fields__}
    return msgspec.json.encode(fields).decode()
