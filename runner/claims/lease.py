"""A stage branch that this host owns: how it is claimed, and every commit on it until it is ready, held or lost."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from runner import claims, git, history, wording
from runner.agents import Agent, Settings
from runner.claims import Lost, Won
from runner.commands import Command, unheard
from runner.history import History
from runner.host import Host
from runner.lifecycle import Stage, StageRef, stage_branch
from runner.progress import kept
from runner.record import Entry, Update, UpdateType, update_id
from runner.task import Task

TRAJECTORY = "trajectory.jsonl"
MEETINGS = 3  # how often one push may meet commits that people pushed in between


class Sent(NamedTuple):
    """A commit of ours whose push had no answer: the hub may have it, with the trajectory that went along."""

    commit: str
    trajectory: str


@dataclass
class Lease:
    """Our hold on a stage: `head` is the last commit that the hub has of us, `pushed` when (monotonic seconds).

    `pending` is base's head where it conflicts with the work: merging it is the agent's first task. `target` is the
    commit that the stage's change is measured against, `accepted` the task branch: what it holds was merged before.
    `met` names the files that people changed on our branch meanwhile, `sent` is what the hub may have of us besides.
    """

    host: Host
    settings: Settings
    task: Task
    ref: StageRef
    agent: Agent
    head: str
    history: History
    target: str
    accepted: str
    pending: str | None = None
    conflicts: tuple[str, ...] = ()
    trajectory: str = ""
    met: tuple[str, ...] = ()
    sent: tuple[Sent, ...] = ()
    clock: Callable[[], float] = time.monotonic
    pushed: float = field(init=False)

    def __post_init__(self) -> None:
        self.pushed = self.clock()

    @property
    def branch(self) -> str:
        """The name of the stage branch."""
        return stage_branch(*self.ref)

    @property
    def entry(self) -> Entry:
        """The stage's entry as it will stand in the next commit."""
        return self.history.entry(self.ref.stage)

    def change(self, **fields: object) -> None:
        """Replace fields of the entry, for the next commit."""
        self.history = history.with_entry(
            self.history,
            self.ref.stage,
            msgspec.structs.replace(self.entry, **fields),
        )

    def note(self, kind: UpdateType, content: str, *, by_agent: bool = False) -> None:
        """Add an update, for the next commit."""
        at = self.host.timestamp()
        self.history = history.note(self.history, self.ref.stage, kind, content, at, by_agent=by_agent)

    def hear(self, everything: tuple[Command, ...]) -> tuple[Command, ...]:
        """Copy people's commands into the history; returns those that it did not hold."""
        new = unheard(everything, {update.id for update in self.history.updates})
        self.history = history.heard(self.history, everything)
        return new

    def own_notes(self) -> int:
        """How many notes of the agent the history holds under the present claim."""
        ids = {update_id(self.entry.claim, number) for number in range(len(self.history.updates) + 1)}
        notes = [update for update in self.history.updates if update.update_type == "note" and update.agent]
        return sum(update.id in ids for update in notes)

    def result(self, path: str | None) -> None:
        """Name the task's result in the record."""
        record = msgspec.structs.replace(self.history.record, result_path=path)
        self.history = msgspec.structs.replace(self.history, record=record)

    def commit(self, tree: str | None, message: str, *parents: str) -> str:
        """A commit of `tree` with the record as it stands, on the head (or on `parents` too). Nothing is pushed.

        Without `tree`, only the record differs from the first of the parents.

        No secret gets into the record or the message; `runner.stage.outgoing` looks at the files of `tree` before.
        """
        redactor = self.host.redactor
        written = redactor.clean_struct(self.history).files(self.task.folder)
        author = wording.agent_identity(self.agent.name)
        above = parents if any(git.is_ancestor(self.host.repo, self.head, each) for each in parents) else ()
        above = above or (*parents, self.head)
        told = redactor.clean(message)
        when = self.host.timestamp()
        return git.commit_with(self.host.repo, written, above, told, tree=tree, author=author, when=when)

    def push(self, commit: str, trajectory: bytes | None = None) -> Won | Lost:
        """Move the branch to `commit` and the trajectory with it, in one atomic push.

        Where people pushed onto the branch meanwhile, `commit` is merged with theirs first; `met` then names the files
        that they changed. Lost says why the branch is not ours any more.
        """
        old = self.head
        for _ in range(MEETINGS):
            answer = self.advance(commit, old, *self.with_trajectory(trajectory))
            if isinstance(answer, Won):
                return answer
            theirs = self._there()
            why = self._why_lost(theirs) if theirs else answer.reason
            if theirs is None or why:
                return Lost(why)
            commit, old = self._upon(commit, theirs), theirs
        return Lost(f"{self.branch} keeps moving: look again")

    def advance(self, commit: str, old: str, *also: git.Push) -> Won | Lost:
        """Move the branch from `old`, which it holds, to `commit`, and the trajectory with it.

        The lease is as old as the push: whoever watches the branch may have seen the commit long before we hear of it.
        """
        began, trajectory = self.clock(), also[0].new if also else self.trajectory
        self.sent = (*self.sent, Sent(commit, trajectory))
        answer = claims.advance(self.host.repo, self.host.hub.url, self.branch, commit, old, *also)
        if isinstance(answer, Won):
            self.head, self.pushed, self.trajectory, self.sent = commit, began, trajectory, ()
        return answer

    def _there(self) -> str | None:
        """The head of the branch on the hub, fetched."""
        ref, url = claims.ref(self.branch), self.host.hub.url
        there = claims.look(self.host.repo, url, ref).get(ref)
        if there is not None:
            git.fetch(self.host.repo, url, f"+{ref}:refs/remotes/hub/heads/{self.branch}")
        return there

    def _why_lost(self, there: str) -> str:
        """Why the branch is not ours any more at `there`; nothing where it is our last commit with people's on top."""
        now, ours = _entry_at(self.host.repo, there, self.ref), _entry_at(self.host.repo, self.head, self.ref)
        lost = f"{self.branch} is no longer ours"
        if now is None or ours is None:
            return f"{lost}: it is at {there}, which is no claim"
        if now.claim != ours.claim:
            return f"{lost}: {now.agent} on {now.host} has taken it over"
        if now.state != ours.state:
            return f"{lost}: it is {now.state}"
        return "" if git.is_ancestor(self.host.repo, self.head, there) else f"{lost}: somebody has rewritten it"

    def _upon(self, commit: str, theirs: str) -> str:
        """Our commit upon what the hub has: a push of our own of which we had heard nothing, or people's commits."""
        repo = self.host.repo
        landed = next((one for one in reversed(self.sent) if git.is_ancestor(repo, one.commit, theirs)), None)
        if landed is not None:
            self.head, self.trajectory = landed
            commit = git.commit(repo, git.tree_of(repo, commit), (commit, self.head), "Take up what had arrived\n")
        return commit if theirs == self.head else self._with_theirs(commit, theirs)

    def _with_theirs(self, commit: str, theirs: str) -> str:
        """Our commit merged with people's."""
        repo = self.host.repo
        changed = set(git.changed(repo, self.head, theirs)) - set(self.history.files(self.task.folder))
        self.met = tuple(sorted({*self.met, *changed}))
        self.note("note", f"People pushed onto {self.branch}; their commits are kept: {', '.join(sorted(changed))}")
        tree = with_theirs(repo, commit, theirs)
        return self.commit(tree, f"Take up what was pushed onto {self.branch}\n", commit, theirs)

    @property
    def told(self) -> str:
        """What the agent is to be told under this claim: why it was made. Nothing under a stage's first claim."""
        return told(self.history.updates, self.entry, self.ref.stage)

    def with_trajectory(self, data: bytes | None) -> tuple[git.Push, ...]:
        """What a push takes along so that another host can go on: the attempt's trajectory, where it may leave here."""
        if data is None or self.settings.policy.trajectories == "local":
            return ()
        above = [self.trajectory] if self.trajectory else []
        if above and git.read(self.host.repo, self.trajectory, TRAJECTORY) == data:
            return ()
        message = f"{self.ref.task}: {self.ref.stage}.{self.ref.attempt}\n"
        made = git.commit_with(self.host.repo, {TRAJECTORY: data}, above, message, tree=git.EMPTY_TREE)
        return (git.Push(f"refs/pullwright/{trajectory_name(self.ref)}", made, self.trajectory),)


def with_theirs(repo: git.Repo, ours: str, theirs: str) -> str:
    """The tree of two commits merged. Where they conflict `theirs` stands, path by path."""
    merged = git.merge(repo, ours, theirs)
    kept_ = {file.path: file for file in git.files(repo, theirs, *merged.conflicts)} if merged.conflicts else {}
    lines = [
        f"{kept_[path].mode} {kept_[path].blob}\t{path}" if path in kept_ else f"0 {'0' * 40}\t{path}"
        for path in merged.conflicts
    ]
    return git.tree_from(repo, merged.tree, lines) if lines else merged.tree


def _entry_at(repo: git.Repo, commit: str, ref: StageRef) -> Entry | None:
    record = kept(repo, commit, ref.task).record
    return record.stages.get(ref.stage) if record else None


def told(updates: tuple[Update, ...], entry: Entry, stage: Stage) -> str:
    first = update_id(entry.claim, 0)
    said = next((update.content for update in updates if update.id == first), "")
    return said.partition(goes_on(stage))[2]


def goes_on(stage: Stage) -> str:
    return f" goes on with {stage}: "


def trajectory_name(ref: StageRef) -> str:
    """Where below `refs/pullwright/` an attempt's messages and tool results are kept."""
    return f"trajectories/{ref.task}/{ref.stage}.{ref.attempt}"
