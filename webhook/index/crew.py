"""The agents' rows: who is listed, who was, who is mentioned; and who is busy or away."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runner.agents import Agent, Settings, lease_seconds
from runner.commands import AGENTS, absent
from runner.host import Site
from runner.lifecycle import Stage, stage_branch
from runner.progress import Refs
from runner.seen import unmoved_for
from runner.sight import Sight
from webhook.index.landings import Version
from webhook.rows import Names, Row


class Listed(NamedTuple):
    """An agent as agents.yaml had it last, since when it is listed, and whether it still is."""

    agent: Agent
    since: str
    now: bool


def listed(versions: Sequence[Version]) -> dict[str, Listed]:
    """Pure: every agent that was ever listed, in the present file's order first."""
    found: dict[str, Listed] = {}
    for version in versions:
        for agent in version.settings.agents:
            since = found[agent.name].since if agent.name in found else version.at
            found[agent.name] = Listed(agent, since, False)
    present = {agent.name for agent in versions[-1].settings.agents} if versions else set()
    return {name: one._replace(now=name in present) for name, one in found.items()}


def away(sight: Sight, ours: Mapping[str, str]) -> frozenset[str]:
    """The agents that a person has sent away."""
    refs = {name.removeprefix(AGENTS): oid for name, oid in ours.items() if name.startswith(AGENTS)}
    return frozenset(name for name, oid in refs.items() if absent(sight.said(oid)))


class Claimed(NamedTuple):
    """A stage that is at work: whose, and on which branch."""

    agent_id: str
    branch: str


def claims(conn: sqlite3.Connection, site: Site, refs: Refs, settings: Settings) -> tuple[list[Claimed], list[Claimed]]:
    """The claims that hold, and those whose lease has expired as this host has seen it: anybody may take these over."""
    query = (
        "SELECT agent_id, slug, stages.stage, attempt FROM stages JOIN tasks ON tasks.id = task_id"
        " WHERE open = 1 AND stages.state = 'working' ORDER BY slug"
    )
    held: list[Claimed] = []
    expired: list[Claimed] = []
    for agent, slug, stage, attempt in conn.execute(query):
        branch = stage_branch(slug, Stage(stage), attempt)
        head = refs.branches.get(branch)
        silent = unmoved_for(site.state, branch, head, site.clock()) if head else 0.0
        (expired if silent >= lease_seconds(settings.policy) else held).append(Claimed(agent, branch))
    return held, expired


def rows(
    conn: sqlite3.Connection,
    names: Names,
    workspaces: str,
    versions: Sequence[Version],
    gone: frozenset[str],
    held: Sequence[Claimed],
) -> list[Row]:
    """The rows that `agents` should have, the stages' and updates' rows being there already."""
    known = listed(versions)
    busy = Counter(claim.agent_id for claim in held)
    mentioned = [name for (name,) in conn.execute("SELECT name FROM agents") if name not in known]
    found = [_row(conn, names, workspaces, name, known.get(name), busy, gone) for name in known]
    found += [
        _row(conn, names, workspaces, name, None, busy, gone) for name in mentioned if _used(conn, names.agent(name))
    ]
    return found


def _row(
    conn: sqlite3.Connection,
    names: Names,
    workspaces: str,
    name: str,
    one: Listed | None,
    busy: Mapping[str, int],
    gone: frozenset[str],
) -> Row:
    id, agent = names.agent(name), one.agent if one else None
    taken = busy.get(id, 0)
    status = "offline" if one is None or not one.now or name in gone else ""
    if agent and not status:
        status = "busy" if taken >= agent.concurrency else "available"
    active = conn.execute("SELECT max(timestamp) FROM task_updates WHERE agent_id = ?", (id,)).fetchone()[0]
    return (
        id, name, agent.model if agent else None, agent.endpoint if agent else None, status,
        agent.min_complexity if agent else None, agent.max_complexity if agent else None, f"{workspaces}/{name}",
        one.since if one else None, active,
    )  # fmt: skip


_MENTIONS = (
    ("stages", "agent_id"),
    ("task_updates", "agent_id"),
    ("tasks", "assigned_agent_id"),
    ("agent_workspaces", "agent_id"),
)


def _used(conn: sqlite3.Connection, id: str) -> bool:
    return any(
        conn.execute(f"SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1", (id,)).fetchone()
        for table, column in _MENTIONS
    )
