"""One task as rows of the index. Pure: what `runner.progress` says of it in, tuples in the tables' own order out."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha1
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from runner.agents import Settings
from runner.commands import unheard
from runner.decide import Crew, Hold, decide
from runner.history import spoken
from runner.lifecycle import Stage, work_branch
from runner.record import Entry, Record, Update
from runner.state import TaskState

Row = tuple[Any, ...]

COLUMNS = {
    "tasks": (
        "id", "title", "description", "complexity", "status", "stage_progress", "created_at", "updated_at",
        "completed_at", "assigned_agent_id", "result_path", "priority", "slug", "path", "source", "parent", "stage",
        "stages", "hold", "remedy",
    ),
    "task_updates": ("id", "task_id", "agent_id", "update_type", "content", "timestamp", "actor", "position"),
    "stages": (
        "task_id", "stage", "attempt", "state", "open", "agent_id", "model", "claim", "host", "base", "gated",
        "gates", "progress", "started", "finished", "steps", "tokens", "cost", "reworks", "hold",
    ),
    "proposals": ("id", "task_id", "stage", "attempt", "branch", "head", "target"),
    "agent_workspaces": (
        "id", "agent_id", "task_id", "workspace_path", "venv_path", "created_at", "last_accessed", "host",
    ),
    "dependencies": ("task_id", "slug"),
    "agents": (
        "id", "name", "model", "endpoint", "status", "min_complexity", "max_complexity", "workspace_path",
        "created_at", "last_active",
    ),
}  # fmt: skip
KEYS = {
    "tasks": ("id",),
    "task_updates": ("task_id", "id"),
    "stages": ("task_id", "stage", "attempt"),
    "proposals": ("id",),
    "agent_workspaces": ("id",),
    "dependencies": ("task_id", "slug"),
    "agents": ("id",),
}
OF_TASK = ("task_updates", "stages", "proposals", "agent_workspaces", "dependencies")
"""The tables whose rows belong to one task, by `task_id`."""


@lru_cache(maxsize=8)
def _space(repository: str) -> bytes:
    return UUID(repository).bytes


@lru_cache(maxsize=4096)
def _uuid5(repository: str, what: str) -> str:
    """As `uuid.uuid5` makes it (RFC 9562, section 5.5), without the object."""
    made = bytearray(sha1(_space(repository) + what.encode(), usedforsecurity=False).digest()[:16])
    made[6], made[8] = made[6] & 0x0F | 0x50, made[8] & 0x3F | 0x80
    text = made.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Names(NamedTuple):
    """Makes the ids of one repository: the same for the same thing, wherever they are made."""

    repository: str

    def _of(self, what: str) -> str:
        return _uuid5(self.repository, what)

    def task(self, slug: str) -> str:
        """The id of a task."""
        return self._of(f"task/{slug}")

    def agent(self, name: str) -> str:
        """The id of an agent."""
        return self._of(f"agent/{name}")

    def workspace(self, agent: str, task: str) -> str:
        """The id of an agent's workspace for a task."""
        return self._of(f"workspace/{agent}/{task}")

    def proposal(self, branch: str) -> str:
        """The id of the proposal on a stage branch."""
        return self._of(f"proposal/{branch}")

    def update(self, slug: str, id: str) -> str:
        """The id of an update: its own where that is a UUID (a forge's comments have others)."""
        try:
            return str(UUID(id))
        except ValueError:
            return self._of(f"update/{slug}/{id}")


class Dates(NamedTuple):
    """When a task came to be and when it was completed (ISO 8601, UTC)."""

    created: str | None
    completed: str | None


class Family(NamedTuple):
    """A task's state with what the rows need beside it.

    `record` is the one that has come furthest; `disk` names the agents that have a workspace for it on this host.
    """

    state: TaskState
    record: Record | None
    dates: Dates
    parent: str | None = None
    disk: tuple[str, ...] = ()


class TaskRows(NamedTuple):
    """All rows of one task, by table; `agents` are the names that they mention."""

    slug: str
    rows: dict[str, list[Row]]
    agents: frozenset[str]


def task_rows(names: Names, settings: Settings, workspaces: str, host: str, found: Family) -> TaskRows:
    """The rows of one task. `workspaces` is the folder of this host's workspaces, `host` its name."""
    state = found.state
    slug, id = state.task.id, names.task(state.task.id)
    entries = _entries(found)
    updates = _updates(state)
    rows: dict[str, list[Row]] = {
        "tasks": [_task(names, settings, found, entries, updates)],
        "task_updates": [_update(names, slug, id, update, at) for at, update in enumerate(updates)],
        "stages": [_stage(names, id, state, stage, entry) for (stage, _), entry in entries.items()],
        "proposals": list(_proposal(names, id, state)),
        "agent_workspaces": _workspaces(names, slug, entries.values(), workspaces, host, found.disk),
        "dependencies": [(id, name) for name in dict.fromkeys(_depends(state))],
    }
    mentioned = {entry.agent for entry in entries.values()} | {update.agent for update in updates if update.agent}
    assigned = _assigned(state, list(entries.values()))
    return TaskRows(slug, rows, frozenset(mentioned | set(found.disk) | ({assigned} if assigned else set())))


Entries = dict[tuple[Stage, int], Entry]


def _entries(found: Family) -> Entries:
    """Every attempt by stage and number, in the stages' order."""
    record, opened = found.record, found.state.open
    entries: Entries = {}
    if record is not None:
        entries |= {(past.stage, past.entry.attempt): past.entry for past in record.attempts}
        entries |= {(stage, entry.attempt): entry for stage, entry in record.stages.items()}
    if opened is not None:
        entries[opened.ref.stage, opened.entry.attempt] = opened.entry
    if not entries:
        return entries
    order = list(Stage)
    return {key: entries[key] for key in sorted(entries, key=lambda key: (order.index(key[0]), key[1]))}


def _updates(state: TaskState) -> list[Update]:
    """The history: what the record holds, and what people have said since."""
    new = unheard(state.commands, {update.id for update in state.updates})
    said = {command.id: Update(command.id, command.at, None, command.who, "note", spoken(command)) for command in new}
    return [*state.updates, *said.values()]


def _depends(state: TaskState) -> tuple[str, ...]:
    return state.frozen.depends_on if state.frozen else state.task.request.depends_on


def _assigned(state: TaskState, entries: list[Entry]) -> str | None:
    """Who has the task: the agent of its open stage, else the one that a person named, else who worked last."""
    if state.open is not None:
        return state.open.entry.agent
    named = state.standing.agent or state.task.request.agent
    latest = max(entries, key=lambda entry: entry.started).agent if entries else None
    return (latest or named) if state.current is None else (named or latest)


def _task(names: Names, settings: Settings, found: Family, entries: Entries, updates: list[Update]) -> Row:
    state, frozen, request = found.state, found.state.frozen, found.state.task.request
    assigned = _assigned(state, list(entries.values()))
    hold = _hold(state, settings)
    return (
        names.task(state.task.id),
        frozen.title if frozen else request.title,
        frozen.body if frozen else request.description,
        frozen.complexity if frozen else request.complexity,
        state.status,
        state.progress,
        found.dates.created,
        max((update.timestamp for update in updates), default=found.dates.created),
        found.dates.completed,
        names.agent(assigned) if assigned else None,
        found.record.result_path if found.record else None,
        request.priority,
        state.task.id,
        state.task.path,
        (frozen.source if frozen else state.task.source) or state.task.path,
        found.parent,
        str(state.current) if state.current else None,
        msgspec.json.encode(state.stages).decode(),
        hold.reason if hold else None,
        (hold.remedy or None) if hold else None,
    )


def _hold(state: TaskState, settings: Settings) -> Hold | None:
    """Why nothing can be done until a person acts, whoever is busy or away just now."""
    action = decide(state, settings, Crew())
    return action if isinstance(action, Hold) else None


def _update(names: Names, slug: str, id: str, update: Update, at: int) -> Row:
    agent = names.agent(update.agent) if update.agent else None
    key = names.update(slug, update.id)
    return (key, id, agent, update.update_type, update.content, update.timestamp, update.actor, at)


def _stage(names: Names, id: str, state: TaskState, stage: Stage, entry: Entry) -> Row:
    opened = state.open is not None and state.open.ref.stage is stage and state.open.entry.attempt == entry.attempt
    done = stage in state.done and entry.state == "ready" and not opened
    return (
        id, str(stage), entry.attempt, "done" if done else entry.state, int(opened), names.agent(entry.agent),
        entry.model, entry.claim, entry.host, entry.base, entry.gated, msgspec.json.encode(entry.gates).decode(),
        entry.progress, entry.started, entry.finished, entry.steps, entry.tokens, entry.cost, entry.reworks,
        msgspec.json.encode(entry.hold).decode() if entry.hold else None,
    )  # fmt: skip


def _proposal(names: Names, id: str, state: TaskState) -> Iterator[Row]:
    """The stage branch that waits for its merge."""
    opened = state.open
    if opened is None or opened.entry.state != "ready":
        return
    ref = opened.ref
    if any(said.verb == "reject" and said.about(ref.stage, ref.attempt) for said in state.commands):
        return
    target = state.base_name if state.is_last else work_branch(state.task.id)
    yield names.proposal(opened.branch), id, str(ref.stage), ref.attempt, opened.branch, opened.head, target


def _workspaces(
    names: Names, slug: str, entries: Iterable[Entry], folder: str, host: str, disk: Iterable[str]
) -> list[Row]:
    """A row for each agent that has worked on the task, and for each folder that lies on this host."""
    by_agent: dict[str, list[Entry]] = {name: [] for name in disk}
    for entry in entries:
        by_agent.setdefault(entry.agent, []).append(entry)
    rows = []
    for agent, own in by_agent.items():
        path = f"{folder}/{agent}/tasks/{slug}"
        latest = max(own, key=lambda entry: entry.started) if own else None
        rows.append((
            names.workspace(agent, slug), names.agent(agent), names.task(slug), path, f"{path}/venv",
            min((entry.started for entry in own), default=None),
            (latest.finished or latest.started) if latest else None, latest.host if latest else host,
        ))  # fmt: skip
    return rows
