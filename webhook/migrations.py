"""The index's tables, made step by step: each function takes a database from one version to the next.

`PRAGMA user_version` counts the steps taken. The index holds nothing that Git does not hold (but facts of this host),
so a step may also drop a table that the next refresh fills.
"""

from typing import TYPE_CHECKING

from runner.errors import UserError

if TYPE_CHECKING:
    from sqlite_utils import Database


def first(db: "Database") -> None:
    """The tables of docs/design.md, section 6, and those beside them."""
    _work(db)
    _evidence(db)
    _memory(db)
    for name, columns in (("tasks", ["title", "description"]), ("task_updates", ["content"])):
        db.table(name).enable_fts(columns, create_triggers=True, tokenize="unicode61 remove_diacritics 2")


def _work(db: "Database") -> None:
    """Who works on what, and what was said."""
    text, number = str, int
    db.table("agents").create(
        {
            "id": text, "name": text, "model": text, "endpoint": text, "status": text, "min_complexity": number,
            "max_complexity": number, "workspace_path": text, "created_at": text, "last_active": text,
        },
        pk="id", not_null={"name", "status"},
    )  # fmt: skip
    db.table("tasks").create(
        {
            "id": text, "title": text, "description": text, "complexity": number, "status": text,
            "stage_progress": number, "created_at": text, "updated_at": text, "completed_at": text,
            "assigned_agent_id": text, "result_path": text, "priority": number,
            "slug": text, "path": text, "source": text, "parent": text, "stage": text, "stages": text,
            "hold": text, "remedy": text,
        },
        pk="id", not_null={"title", "status", "slug"}, foreign_keys=[("assigned_agent_id", "agents", "id")],
    )  # fmt: skip
    db.table("task_updates").create(
        {
            "id": text, "task_id": text, "agent_id": text, "update_type": text, "content": text, "timestamp": text,
            "actor": text, "position": number,
        },
        pk=("task_id", "id"), foreign_keys=[("task_id", "tasks", "id"), ("agent_id", "agents", "id")],
    )  # fmt: skip
    db.table("agent_workspaces").create(
        {
            "id": text, "agent_id": text, "task_id": text, "workspace_path": text, "venv_path": text,
            "created_at": text, "last_accessed": text, "host": text,
        },
        pk="id", foreign_keys=[("agent_id", "agents", "id"), ("task_id", "tasks", "id")],
    )  # fmt: skip
    db.table("task_updates").create_index(["task_id", "position"])
    db.table("task_updates").create_index(["agent_id", "timestamp"])
    db.table("tasks").create_index(["slug"], unique=True)
    db.table("tasks").create_index(["assigned_agent_id"])
    db.conn.execute("CREATE INDEX tasks_in_order ON tasks (-priority, coalesce(created_at, '~'), slug)")
    db.table("tasks").create_index(["parent"])
    db.table("agent_workspaces").create_index(["task_id"])


def _evidence(db: "Database") -> None:
    """What each attempt at a stage came to, and what waits for a person."""
    text, number = str, int
    db.table("stages").create(
        {
            "task_id": text, "stage": text, "attempt": number, "state": text, "open": number, "agent_id": text,
            "model": text, "claim": text, "host": text, "base": text, "gated": text, "gates": text,
            "progress": number, "started": text, "finished": text, "steps": number, "tokens": number, "cost": float,
            "reworks": number, "hold": text,
        },
        pk=("task_id", "stage", "attempt"),
        foreign_keys=[("task_id", "tasks", "id"), ("agent_id", "agents", "id")],
    )  # fmt: skip
    db.table("proposals").create(
        {"id": text, "task_id": text, "stage": text, "attempt": number, "branch": text, "head": text, "target": text},
        pk="id", foreign_keys=[("task_id", "tasks", "id")],
    )  # fmt: skip
    db.table("dependencies").create(
        {"task_id": text, "slug": text}, pk=("task_id", "slug"), foreign_keys=[("task_id", "tasks", "id")]
    )
    db.table("problems").create({"path": text, "slug": text, "what": text, "remedy": text}, pk="path")
    db.table("stages").create_index(["agent_id", "open", "state"])
    db.table("proposals").create_index(["task_id"])
    db.table("dependencies").create_index(["slug"])
    db.table("problems").create_index(["slug"])


def _memory(db: "Database") -> None:
    """What the rows were derived from, and facts of this host: deliveries, and events for those who follow."""
    text, number = str, int
    db.table("meta").create({"key": text, "value": text}, pk="key")
    db.table("refs").create({"name": text, "oid": text}, pk="name")
    db.table("births").create({"slug": text, "at": text}, pk="slug")
    db.table("landings").create(
        {"slug": text, "depth": number, "commit_id": text, "at": text, "blob": text}, pk=("slug", "depth")
    )
    db.table("settings").create({"depth": number, "commit_id": text, "at": text, "blob": text}, pk="depth")
    db.table("deliveries").create(
        {
            "guid": text, "event": text, "action": text, "received_at": text, "state": text, "tries": number,
            "tasks": text, "note": text,
        },
        pk="guid",
    )  # fmt: skip
    db.table("deliveries").create_index(["state"])
    db.table("deliveries").create_index(["received_at"])
    db.table("left_alone").create({"slug": text, "reason": text}, pk="slug")
    db.table("told").create({"id": text, "task_id": text}, pk=("task_id", "id"))
    # A number is never given twice, also when the newest rows are gone: clients remember it.
    db.conn.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT, task_id TEXT, data TEXT)")


def second(db: "Database") -> None:
    """Discussions, what was said in them, their files; and full-text indexes."""
    text, number = str, int
    db.table("discussions").create(
        {
            "id": text, "title": text, "task": text, "agent": text, "created_at": text, "created_by": text,
            "updated_at": text, "messages": number, "waiting": text, "waiting_since": text, "head": text,
        },
        pk="id", not_null={"title", "updated_at"},
    )  # fmt: skip
    db.table("discussion_messages").create(
        {
            "discussion_id": text, "position": number, "id": text, "at": text, "role": text, "who": text, "text": text,
            "data": text,
        },
        pk=("discussion_id", "position"), foreign_keys=[("discussion_id", "discussions", "id")],
    )  # fmt: skip
    db.table("discussion_files").create(
        {"discussion_id": text, "name": text, "size": number, "media_type": text, "blob": text},
        pk=("discussion_id", "name"), foreign_keys=[("discussion_id", "discussions", "id")],
    )  # fmt: skip
    db.table("discussions").create_index(["updated_at", "id"])
    db.table("discussions").create_index(["task"])
    db.table("discussion_messages").create_index(["discussion_id", "id"])
    for name, columns in (("discussions", ["title"]), ("discussion_messages", ["text"])):
        db.table(name).enable_fts(columns, create_triggers=True, tokenize="unicode61 remove_diacritics 2")


STEPS = (first, second)


def migrate(db: "Database") -> None:
    """Bring a database to the present version. Raises `UserError` for one that a newer Pullwright made."""
    found = int(db.conn.execute("PRAGMA user_version").fetchone()[0])
    if found > len(STEPS):
        raise UserError("the index was made by a newer Pullwright", "delete the file: it is made anew")
    for number, step in enumerate(STEPS[found:], found + 1):
        with db.conn:
            db.conn.execute("BEGIN IMMEDIATE")
            if int(db.conn.execute("PRAGMA user_version").fetchone()[0]) < number:  # nobody else was quicker
                step(db)
                db.conn.execute(f"PRAGMA user_version = {number}")
