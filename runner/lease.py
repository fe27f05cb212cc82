"""A stage branch that this host owns: how it is claimed, and every commit on it until it is ready, held or lost."""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from runner import claims, git, history, wording
from runner.agents import Agent, Policy, Settings
from runner.claims import Ground, Lost, Won
from runner.commands import Command, unheard
from runner.complexity import Judgement
from runner.history import History
from runner.host import Host
from runner.lifecycle import Stage, StageRef, stage_branch, work_branch
from runner.progress import done_stages, kept
from runner.record import Entry, Record, Request, Update, UpdateType, update_id
from runner.state import OpenStage, TaskState
from runner.task import Task, digest

TRAJECTORY = "trajectory.jsonl"
MEETINGS = 3  # how often one push may meet commits that people pushed in between


@dataclass
class Lease:
    """Our hold on a stage: `head` is the last commit that the hub has of us, `pushed` when (monotonic seconds).

    `pending` is base's head where it conflicts with the work: merging it is the agent's first task. `target` is the
    commit that the stage's change is measured against, `accepted` the task branch: what it holds was merged before.
    `met` names the files that people changed on our branch meanwhile.
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

    def commit(self, tree: str, message: str, *parents: str) -> str:
        """A commit of `tree` with the record as it stands, on the head (or on `parents` too). Nothing is pushed.

        No secret gets into the record or the message; the files of `tree` are looked at before (`runner.outgoing`).
        """
        redactor = self.host.redactor
        written = redactor.clean_struct(self.history).files(self.task.folder)
        whole = git.tree_with(self.host.repo, tree, written)
        author = wording.agent_identity(self.agent.name)
        above = parents if any(git.is_ancestor(self.host.repo, self.head, each) for each in parents) else ()
        above = above or (*parents, self.head)
        told = redactor.clean(message)
        return git.commit(self.host.repo, whole, above, told, author=author, when=self.host.timestamp())

    def push(self, commit: str, trajectory: bytes | None = None) -> Won | Lost:
        """Move the branch to `commit` and the trajectory with it, in one atomic push.

        Where people pushed onto the branch meanwhile, `commit` is merged with theirs first; `met` then names the files
        that they changed. Lost says why the branch is not ours any more.
        """
        also, old = self.with_trajectory(trajectory), self.head
        for _ in range(MEETINGS):
            answer = claims.advance(self.host.repo, self.host.hub.url, self.branch, commit, old, *also)
            if isinstance(answer, Won):
                self.pushed_at(answer.commit)
                self.trajectory = also[0].new if also else self.trajectory
                return answer
            theirs = self._there()
            why = self._why_lost(theirs) if theirs else answer.reason
            if theirs is None or why:
                return Lost(why)
            commit, old = self._with_theirs(commit, theirs), theirs
        return Lost(f"{self.branch} keeps moving: look again")

    def pushed_at(self, commit: str) -> None:
        """The hub has `commit` of us now: the lease begins anew."""
        self.head, self.pushed = commit, self.clock()

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
        return _told(self.history.updates, self.entry, self.ref.stage)

    def with_trajectory(self, data: bytes | None) -> tuple[git.Push, ...]:
        """What a push takes along so that another host can go on: the attempt's trajectory, where it may leave here."""
        if data is None or self.settings.policy.trajectories == "local":
            return ()
        repo = self.host.repo
        tree = git.tree_with(repo, None, {TRAJECTORY: data})
        if self.trajectory and git.tree_of(repo, self.trajectory) == tree:
            return ()
        above = [self.trajectory] if self.trajectory else []
        made = git.commit(repo, tree, above, f"{self.ref.task}: {self.ref.stage}.{self.ref.attempt}\n")
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


def _told(updates: tuple[Update, ...], entry: Entry, stage: Stage) -> str:
    first = update_id(entry.claim, 0)
    said = next((update.content for update in updates if update.id == first), "")
    return said.partition(_goes_on(stage))[2]


def _goes_on(stage: Stage) -> str:
    return f" goes on with {stage}: "


def trajectory_name(ref: StageRef) -> str:
    """Where below `refs/pullwright/` an attempt's messages and tool results are kept."""
    return f"trajectories/{ref.task}/{ref.stage}.{ref.attempt}"


def freeze(task: Task, accepted_by: str, policy: Policy, judged: Judgement | None = None) -> Request:
    """The task's text as it is now, with its complexity and the reason for that. Pure."""
    asked = task.request
    usual = Judgement(policy.default_complexity, "the task names none: policy.default_complexity")
    found = judged or usual if asked.complexity is None else Judgement(asked.complexity, "the task names it")
    return Request(
        title=asked.title,
        body=asked.description,
        sha256=digest(asked),
        accepted_by=accepted_by,
        source=task.source or task.path,
        complexity=found.complexity,
        complexity_reason=found.reason,
        stages=asked.stages,
        acceptance=asked.acceptance,
        depends_on=asked.depends_on,
        tests_must_fail_before=asked.tests_must_fail_before,
    )


def accepted_by(repo: git.Repo, base: str, path: str) -> str:
    """Who brought a task's file to base, as the last commit that touched it says."""
    found = git.git(repo, "log", "-1", "--format=%an <%ae>", base, "--", path)
    return found or "unknown"


def claim(
    host: Host, settings: Settings, state: TaskState, agent: Agent, stage: Stage, attempt: int, ours: Mapping[str, str]
) -> Lease | Lost:
    """Claim a stage that nobody has: its branch is created by our commit, or somebody was first."""
    ref = StageRef(state.task.id, stage, attempt)
    work = None if state.reverted else state.work
    first = () if work else (git.Push(claims.ref(work_branch(ref.task)), state.base, ""),)
    ground = claims.ground(host.repo, work or state.base, state.base, _last_base(state.record) if work else None)
    before = _after_earlier(host, state, _before(host, settings, state))
    before = history.skipping(before, state.standing.skipped & set(state.stages) & state.done)
    frozen = before.record.request
    entry = _entry(host, agent, attempt, ground)
    lease = _lease(host, settings, state, ref, agent, before, entry, ground, ours)
    lease.note("status_change", f"{agent.name} ({agent.model}) takes {stage}, attempt {attempt}")
    made = lease.commit(ground.tree, wording.claim(ref, frozen.title, entry), *ground.head)
    trajectory = lease.with_trajectory(b"")  # its ref keeps the attempt's number, whatever becomes of the branch
    answer = claims.create(host.repo, host.hub.url, ref, made, *first, *trajectory)
    if isinstance(answer, Lost):
        return answer
    lease.pushed_at(made)
    lease.trajectory = trajectory[0].new if trajectory else lease.trajectory
    return _still_wanted(lease, state) or lease


def _before(host: Host, settings: Settings, state: TaskState) -> History:
    """The history that a new claim goes on from.

    The request is frozen by the first claim, and anew where a person took a changed text or work begins again after a
    revert; then what was there becomes earlier attempts.
    """
    fresh = state.record is None or state.reverted is not None or digest(state.task.request) in state.standing.adopted
    if state.record is not None and not fresh:
        return History(state.record, state.updates)
    by = state.task.accepted_by or accepted_by(host.repo, state.base, state.task.path)
    frozen = freeze(state.task, by, settings.policy, state.judged)
    if state.record is None:
        return history.begin(frozen)
    before = History(state.record, state.updates)
    return history.restarted(before, frozen) if state.reverted is not None else history.reworded(before, frozen)


def _after_earlier(host: Host, state: TaskState, before: History) -> History:
    """The history with that of the attempt before, which only its own branch holds."""
    ended = state.open or state.superseded or state.closed
    found = kept(host.repo, ended.head, state.task.id) if ended is not None else None
    if ended is None or found is None or found.record is None:
        return before
    return history.after(before, ended.ref.stage, History(found.record, found.updates))


def _still_wanted(lease: Lease, state: TaskState) -> Lost | None:
    """Read the target's record again: a branch that is absent since its stage was just merged is not unclaimed."""
    host, ref = lease.host, lease.ref
    work, base = claims.ref(f"work/{ref.task}"), claims.ref(state.base_name)
    now = claims.look(host.repo, host.hub.url, work, base)
    if now.get(base) == state.base and now.get(work, state.base) == (state.work or state.base):
        return None
    wanted = [f"+{name}:refs/remotes/hub/{name.removeprefix('refs/')}" for name in (work, base) if name in now]
    git.fetch(host.repo, host.hub.url, *wanted)
    at_base, at_work = (kept(host.repo, now[name], ref.task).record if name in now else None for name in (base, work))
    if ref.stage not in done_stages(state.stages, at_base, at_work, state.standing):
        return None
    claims.release(host.repo, host.hub.url, lease.branch, lease.head)
    return Lost(f"{ref.stage} of {ref.task} is done already")


def reclaim(
    host: Host, settings: Settings, state: TaskState, agent: Agent, why: str, ours: Mapping[str, str], *, counts: bool,
    gates_only: bool = False,
) -> Lease | Lost:  # fmt: skip
    """A new claim on top of an open stage: rework, another agent, a take-over, or base merged in.

    `why` is what the agent is told. `counts`: it is one of the agent's reworks after a failure. `gates_only`: what is
    there is to be gated again; the entry says so by a `gated` commit while it is `working`.
    """
    stage = _open(state)
    old = stage.entry
    head = _with_target(host, state, stage.head)
    ground = claims.ground(host.repo, head, state.base, old.base)
    reworks = old.reworks + 1 if counts and agent.name == old.agent else 0 if agent.name != old.agent else old.reworks
    entry = msgspec.structs.replace(
        _entry(host, agent, stage.ref.attempt, ground),
        started=old.started, steps=old.steps, tokens=old.tokens, cost=old.cost, progress=old.progress, reworks=reworks,
        gated=(old.gated or stage.head) if gates_only else None,
    )  # fmt: skip
    before = kept(host.repo, stage.head, state.task.id)
    assert before.record is not None  # an open stage has its entry from there
    lease = _lease(host, settings, state, stage.ref, agent, History(before.record, before.updates), entry, ground, ours)
    lease.head = stage.head
    lease.note("status_change", f"{agent.name} ({agent.model}){_goes_on(stage.ref.stage)}{why}")
    made = lease.commit(
        ground.tree, wording.claim(stage.ref, before.record.request.title, entry, why=why), *ground.head
    )
    answer = lease.push(made)
    return lease if isinstance(answer, Won) else answer


def take_over(host: Host, settings: Settings, state: TaskState, agent: Agent, ours: Mapping[str, str]) -> Lease | Lost:
    """A new claim on top of one whose lease has expired; what that one had still to tell its agent is told."""
    stage = _open(state)
    trajectory = ours.get(trajectory_name(stage.ref), "")
    heard = git.read(host.repo, trajectory, TRAJECTORY) if trajectory else None
    untold = "" if stage.entry.claim.encode() in (heard or b"") else _told(state.updates, stage.entry, stage.ref.stage)
    why = "\n\n".join(words for words in (f"the lease of {stage.entry.host} has expired", untold) if words)
    gates_only = stage.entry.gated is not None
    return reclaim(host, settings, state, agent, why, ours, counts=False, gates_only=gates_only)


def _with_target(host: Host, state: TaskState, head: str) -> str:
    """The head with what people added to the task branch meanwhile, where that merges cleanly."""
    if state.work is None or git.is_ancestor(host.repo, state.work, head):
        return head
    merged = git.merge(host.repo, head, state.work)
    if merged.conflicts:
        return head
    return git.commit(host.repo, merged.tree, (head, state.work), f"Merge work/{state.task.id}\n")


def again(host: Host, settings: Settings, state: TaskState, ours: Mapping[str, str]) -> Lease | Lost:
    """Our own claim, found again after an interruption: nothing is pushed.

    Lost where the branch has moved since it was looked at: another process of this host has gone on with it.
    """
    stage = _open(state)
    name = claims.ref(stage.branch)
    if claims.look(host.repo, host.hub.url, name).get(name) != stage.head:
        return Lost(f"{stage.branch} has moved: look again")
    found = kept(host.repo, stage.head, state.task.id)
    assert found.record is not None
    agent = next((agent for agent in settings.agents if agent.name == stage.entry.agent), settings.agents[0])
    now = claims.ground(host.repo, stage.head, state.base, stage.entry.base)
    ground = Ground((stage.head,), now.tree, stage.entry.base, now.conflicts, now.pending)
    before = History(found.record, found.updates)
    lease = _lease(host, settings, state, stage.ref, agent, before, stage.entry, ground, ours)
    lease.pushed -= max(0.0, host.now().timestamp() - float(git.log(host.repo, stage.head, "%ct", "-1")[0]))
    return lease


def _entry(host: Host, agent: Agent, attempt: int, ground: Ground) -> Entry:
    """A fresh entry with a claim of its own, which makes the commit unique."""
    return Entry(
        state="working",
        attempt=attempt,
        agent=agent.name,
        model=agent.model,
        claim=str(uuid.uuid4()),
        host=host.id,
        base=ground.base,
        started=host.timestamp(),
    )


def _lease(
    host: Host, settings: Settings, state: TaskState, ref: StageRef, agent: Agent, before: History, entry: Entry,
    ground: Ground, ours: Mapping[str, str],
) -> Lease:  # fmt: skip
    after = history.heard(history.with_entry(before, ref.stage, entry), state.commands)
    return Lease(
        host=host,
        settings=settings,
        task=state.task,
        ref=ref,
        agent=agent,
        head=ground.head[0],
        history=after,
        target=state.base if state.is_last or state.has_subtasks else state.work or state.base,
        accepted=state.work or state.base,
        pending=ground.pending,
        conflicts=ground.conflicts,
        trajectory=ours.get(trajectory_name(ref), ""),
    )


def _last_base(record: Record | None) -> str | None:
    """The base commit that the newest entry of a record names."""
    return list(record.stages.values())[-1].base if record and record.stages else None


def _open(state: TaskState) -> OpenStage:
    assert state.open is not None  # only decided on for a task with an open stage
    return state.open


def discard_work(host: Host, state: TaskState) -> None:
    """Delete the task branch of work that was reverted, if it is still where it was seen."""
    if state.work is not None:
        claims.release(host.repo, host.hub.url, work_branch(state.task.id), state.work)


def close(host: Host, state: TaskState, stage: OpenStage, said: tuple[Command, ...]) -> Won | Lost:
    """Close an attempt by a commit on its branch, before the next attempt is claimed."""
    found = kept(host.repo, stage.head, state.task.id)
    assert found.record is not None
    entry = msgspec.structs.replace(stage.entry, state="closed", finished=host.timestamp())
    closed = history.heard(history.with_entry(History(found.record, found.updates), stage.ref.stage, entry), said)
    tree = git.tree_with(host.repo, git.tree_of(host.repo, stage.head), closed.files(state.task.folder))
    made = git.commit(host.repo, tree, (stage.head,), wording.closed(stage.ref), when=host.timestamp())
    return claims.advance(host.repo, host.hub.url, stage.branch, made, stage.head)
