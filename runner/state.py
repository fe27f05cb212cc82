"""Where one task stands, as values: what `progress` reads and `decide` decides by."""

import msgspec

from runner.commands import Command, Standing
from runner.complexity import Judgement
from runner.lifecycle import Stage, StageRef, first_open, status
from runner.record import Entry, Record, Update
from runner.record import Request as Frozen
from runner.task import Task


class Change(msgspec.Struct, frozen=True):
    """What merging a ready stage would do.

    `paths`: what differs from both the target and the base commit last merged in. `new_tasks`: those that are task
    files of their own. `as_gated`: outside the record, the head is what the gates saw. `base_inside`: base's present
    head is part of what the gates saw.
    """

    paths: tuple[str, ...]
    new_tasks: tuple[str, ...]
    as_gated: bool
    base_inside: bool


class OpenStage(msgspec.Struct, frozen=True):
    """The branch of the stage at which a task stands.

    `mine`: claimed by this host. `expired`: this host has itself seen the same head for a whole lease. `heard`: ids of
    the commands that its history holds. `findings`: what the gates or the loop reported of the last run, for the agent.
    """

    ref: StageRef
    branch: str
    head: str
    entry: Entry
    mine: bool
    expired: bool
    heard: frozenset[str] = frozenset()
    findings: str = ""
    change: Change | None = None


class TaskState(msgspec.Struct, frozen=True):
    """All that can be known of a task from refs, records and commands.

    `stages` and `frozen` are the request's as first claimed (None: never claimed). `attempts` is the highest attempt of
    the current stage so far (0: none). `superseded` is a branch of it that no longer counts and is still to be closed,
    `closed` one that is: the next attempt goes on from it, whoever closed it and whatever happened to them then.
    `waits` names what the task waits for, `missing` what of that is no task. `trouble` is a hold that no branch
    carries, in words: `reverted`, `task changed`, … `reverted` is the commit that took the record off base, where work
    must begin anew. `base_name` is the branch whose head is `base`: a subtask's is its parent's task branch. `judged`
    is the complexity of a task that names none, until the first claim freezes it.
    """

    task: Task
    stages: tuple[Stage, ...]
    done: frozenset[Stage]
    base: str
    work: str | None
    record: Record | None = None
    frozen: Frozen | None = None
    open: OpenStage | None = None
    superseded: OpenStage | None = None
    closed: OpenStage | None = None
    attempts: int = 0
    started: bool = False
    commands: tuple[Command, ...] = ()
    standing: Standing = Standing()
    updates: tuple[Update, ...] = ()
    waits: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    trouble: str | None = None
    reverted: str | None = None
    base_name: str = "main"
    has_subtasks: bool = False
    judged: Judgement | None = None

    @property
    def current(self) -> Stage | None:
        """The first stage that is not done; None when the task is complete."""
        return first_open(self.stages, self.done)

    @property
    def is_last(self) -> bool:
        """Whether the current stage is the task's last, whose proposal goes into base."""
        return self.current == self.stages[-1]

    @property
    def status(self) -> str:
        """`not_started`, a stage's name, or `complete`."""
        return status(self.stages, self.done, self.started)

    @property
    def progress(self) -> int:
        """Per cent of the current stage; 100 when the task is complete."""
        if self.current is None:
            return 100
        return self.open.entry.progress if self.open else 0

    @property
    def builder(self) -> str | None:
        """Who built: a review prefers another agent."""
        entry = self.record.stages.get(Stage.BUILD) if self.record else None
        return entry.agent if entry else None

    def complexity(self, default: int) -> int:
        """The frozen complexity, else the one the task names, else what was judged, else the policy's default."""
        if self.frozen is not None:
            return self.frozen.complexity
        return self.task.request.complexity or (self.judged.complexity if self.judged else default)
