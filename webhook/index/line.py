"""Base's own line is read up to where it is: what it tells is kept, and which tasks its files concern is found."""

import sqlite3
from typing import NamedTuple

from runner import git
from runner.sight import Sight
from webhook import store
from webhook.index import landings


class Moved(NamedTuple):
    """What base's way from one commit to another concerns: these tasks, or everything."""

    tasks: set[str]
    everything: bool


def follow(conn: sqlite3.Connection, sight: Sight, before: str | None, now: str) -> Moved:
    """Read base's line from the commit `before` (None: from nothing) to `now`; `sight` stands there then."""
    line = sight.pipes.first_parents(now, before) if before else None
    if before is None or line is None:  # from nothing, or base was rewritten
        return _from_nothing(conn, sight, now)
    if sight.base != before:
        sight.stand_on(before)
    depth = int(store.get(conn, "depth") or 0)
    told = landings.told(sight.pipes, line, depth, sight.pipes.tree(before))
    landings.store(conn, told)
    store.put(conn, "depth", str(depth + len(line)))
    return Moved(_touched(sight, now), bool(told.settings))


def _from_nothing(conn: sqlite3.Connection, sight: Sight, now: str) -> Moved:
    for table in ("births", "landings", "settings"):
        conn.execute(f"DELETE FROM {table}")
    line = sight.pipes.first_parents(now) or []
    landings.store(conn, landings.told(sight.pipes, line, 0, git.EMPTY_TREE))
    store.put(conn, "depth", str(len(line)))
    sight.stand_on(now)
    sight.pipes.make_ready(sight.ground.contents())
    return Moved(set(), True)


def _touched(sight: Sight, now: str) -> set[str]:
    """The ids that changed paths concern, by what lay there before and by what lies there now."""
    pipes, ground = sight.pipes, sight.ground
    paths = [change.path for change in pipes.difference(pipes.tree(sight.base), pipes.tree(now))]
    before = [ground.touched(path) for path in paths]
    sight.stand_on(now)
    return set().union(*before, *(ground.touched(path) for path in paths))
