"""What the API takes and gives, as the OpenAPI document shows it. Field names are the columns'."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runner.lifecycle import Stage
from runner.task import Budget

Status = Literal["not_started", "design", "build", "test", "review", "complete"]


class Attempt(msgspec.Struct, frozen=True):
    """One attempt at one stage."""

    stage: str
    attempt: int
    state: str
    agent: str | None
    model: str | None
    host: str | None
    progress: int
    started: str | None
    finished: str | None
    steps: int
    tokens: int
    cost: float
    gates: list[dict[str, str | int | float | None]]
    hold: dict[str, str] | None


class Proposal(msgspec.Struct, frozen=True):
    """A stage branch that waits for its merge."""

    id: str
    stage: str
    attempt: int
    branch: str
    head: str
    target: str


class Task(msgspec.Struct, frozen=True):
    """A task as the index has it. `hold` says why nothing can be done until a person acts, `remedy` what ends that.

    `left_alone` says why this host starts no runner for it any more, until something about it changes.
    """

    id: str
    slug: str
    title: str
    description: str | None
    complexity: int | None
    status: str
    stage: str | None
    stage_progress: int
    stages: list[str]
    created_at: str | None
    updated_at: str | None
    completed_at: str | None
    assigned_agent_id: str | None
    agent: str | None
    result_path: str | None
    priority: int
    path: str | None
    source: str | None
    parent: str | None
    hold: str | None
    remedy: str | None
    left_alone: str | None


class FullTask(Task, frozen=True):
    """A task with its attempts, its open proposals and what it depends on."""

    attempts: list[Attempt]
    proposals: list[Proposal]
    depends_on: list[str]


class Tasks(msgspec.Struct, frozen=True):
    """A page of tasks; `next` is the `cursor` of the following page, null on the last."""

    items: list[Task]
    next: str | None


class Update(msgspec.Struct, frozen=True):
    """One line of a task's history: an agent's, a person's (`actor`), or the runner's own."""

    id: str
    task_id: str
    agent_id: str | None
    actor: str | None
    update_type: str
    content: str
    timestamp: str


class Updates(msgspec.Struct, frozen=True):
    """A page of a task's history, oldest first."""

    items: list[Update]
    next: str | None


class Agent(msgspec.Struct, frozen=True):
    """An agent. One that agents.yaml no longer lists is offline."""

    id: str
    name: str
    model: str | None
    endpoint: str | None
    status: str
    min_complexity: int | None
    max_complexity: int | None
    workspace_path: str | None
    created_at: str | None
    last_active: str | None


class Agents(msgspec.Struct, frozen=True):
    """A page of agents, by name."""

    items: list[Agent]
    next: str | None


class NewTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task to be written: the keys of a task file, and the id, which is made from the title if it is left out."""

    title: Annotated[str, Meta(min_length=1, max_length=200, examples=["Login fails for names with a dot"])]
    id: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None
    description: Annotated[str, Meta(max_length=100_000)] = ""
    complexity: Annotated[int, Meta(ge=1, le=10)] | None = None
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] | None = None
    stages: Annotated[list[Stage], Meta(min_length=1, max_length=5)] | None = None
    depends_on: list[str] = []
    acceptance: list[str] = []
    agent: str | None = None
    budget: Budget | None = None
    tests_must_fail_before: bool | None = None


class Made(msgspec.Struct, frozen=True):
    """Where a new task stands: on base in `commit`, in a `proposal` (a branch, or the address of its pull request) that
    has to be merged first, or in an `issue` that somebody with write access has to label first.
    """

    id: str
    slug: str
    path: str | None = None
    commit: str | None = None
    proposal: str | None = None
    issue: str | None = None


class NewStatus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a task is put, and why."""

    status: Annotated[Stage, Meta(examples=["build"])]
    reason: Annotated[str, Meta(max_length=10_000)] = ""
    who: Annotated[str, Meta(max_length=200, description="Your name.")] = ""


class Availability(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether an agent takes stages, and why not."""

    status: Literal["available", "offline"]
    reason: Annotated[str, Meta(max_length=10_000)] = ""
    who: Annotated[str, Meta(max_length=200, description="Your name.")] = ""


class Said(msgspec.Struct, frozen=True):
    """A command that is on its ref now, under this id."""

    id: str
    ref: str


class NewWorkspace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The folder of one agent for one task, by their names or ids."""

    agent: str
    task: str


class Workspace(msgspec.Struct, frozen=True):
    """A workspace; its files are here only if `host` is this service's host."""

    id: str
    agent_id: str
    task_id: str
    workspace_path: str
    venv_path: str
    created_at: str | None
    last_accessed: str | None
    host: str | None


class Entry(msgspec.Struct, frozen=True):
    """A file of a workspace: its path there, its kind, its size in bytes and when it was changed (ISO 8601, UTC)."""

    path: str
    kind: Literal["file", "folder", "link", "other"]
    size: int
    modified: str


class Files(msgspec.Struct, frozen=True):
    """The files of a workspace; `cut` says that there are more than are listed."""

    items: list[Entry]
    cut: bool


class Stored(msgspec.Struct, frozen=True):
    """A file that was received."""

    path: str
    size: int
