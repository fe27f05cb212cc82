"""Whom a task's change concerns besides it: parents, subtasks, dependents. As the index had them, and as names say."""

import sqlite3
from collections.abc import Iterable

from webhook import store
from webhook.index.families import Seen


def family(conn: sqlite3.Connection, works: set[str], slugs: Iterable[str]) -> set[str]:
    """The tasks with the parents that they may belong to, and the subtasks that those had.

    `works` are the tasks that have a branch of their own, as every parent has.
    """
    parents = works | {name for (name,) in conn.execute("SELECT DISTINCT parent FROM tasks WHERE parent NOT NULL")}
    found = {*slugs, *(name for slug in slugs for name in _beginnings(slug) if name in parents)}
    query = "SELECT slug FROM tasks WHERE parent = ?"
    return found | {slug for parent in found & parents for (slug,) in conn.execute(query, (parent,))}


def _beginnings(slug: str) -> list[str]:
    """The ids that a subtask's id may begin with: `a` and `a-b` of `a-b-c`."""
    return [slug[:at] for at, letter in enumerate(slug) if letter == "-"]


def concerned(conn: sqlite3.Connection, seen: Seen, slugs: Iterable[str]) -> set[str]:
    """The tasks that depend on one which has just come, gone, become complete, or is so no more."""
    found: set[str] = set()
    for slug in slugs:
        looked = seen.families.get(slug)
        now = None if looked is None else looked.parent is None and looked.state.current is None
        if now != store.stood(conn, slug):
            found |= store.dependents(conn, slug)
    return found


def going_into_base(conn: sqlite3.Connection) -> set[str]:
    """Tasks whose open stage ends in base: whether it is still open depends on base's head."""
    query = (
        "SELECT slug FROM tasks JOIN stages ON task_id = id"
        " WHERE stages.open = 1 AND stages.stage = json_extract(tasks.stages, '$[#-1]')"
    )
    return {slug for (slug,) in conn.execute(query)}
