"""Where one task stands, read from refs, records and commands. Nothing is written."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from runner import commands, git
from runner.agents import Settings, lease_seconds
from runner.backlog import backlog, candidates, record_path
from runner.errors import UserError
from runner.gates import evidence
from runner.history import RECORD, UPDATES
from runner.host import Site
from runner.lifecycle import Stage, StageRef, parse_stage_branch, work_branch
from runner.record import Entry, Record, Update, parse_record, parse_updates
from runner.seen import unmoved_for
from runner.state import Change, OpenStage, TaskState
from runner.task import Task, digest


class Refs(NamedTuple):
    """What the hub's refs were when it was looked at: branch → commit, ref below `refs/pullwright/` → commit.

    Git reads them one after the other: what one push changed together may have been seen by half. `base` is the head
    of the base branch `base_name`.
    """

    base: str
    base_name: str
    branches: Mapping[str, str]
    ours: Mapping[str, str]


class Kept(NamedTuple):
    """A task's record and updates at one commit, and the folder where they stand."""

    record: Record | None = None
    updates: tuple[Update, ...] = ()
    folder: str = ""


class Eyes(Protocol):
    """How Git is looked at for one task: afresh each time, or by somebody who remembers what cannot change."""

    def kept(self, rev: str, task: str) -> Kept:
        """A task's record and updates at a commit. Raises `UserError` for a record that cannot be read."""
        ...

    def said(self, commit: str | None) -> tuple[commands.Command, ...]:
        """The commands at a ref's commit."""
        ...

    def holds(self, new: str, old: str) -> bool:
        """Whether the commit `new` has `old` in its history."""
        ...

    def unmoved(self, branch: str, head: str) -> float:
        """For how many seconds this host has seen the branch at that head."""
        ...

    def change(self, head: str, entry: Entry, target: str, state: TaskState) -> Change | None:
        """What merging a ready stage would do, or None where nobody asks for it."""
        ...

    def added(self, base: str, work: str) -> tuple[Task, ...]:
        """The tasks whose files a task branch has and its base has not."""
        ...


class Afresh(NamedTuple):
    """Eyes that ask Git each time."""

    site: Site

    def kept(self, rev: str, task: str) -> Kept:
        return kept(self.site.repo, rev, task)

    def said(self, commit: str | None) -> tuple[commands.Command, ...]:
        return commands.read(self.site.repo, commit)

    def holds(self, new: str, old: str) -> bool:
        return git.is_ancestor(self.site.repo, old, new)

    def unmoved(self, branch: str, head: str) -> float:
        return unmoved_for(self.site.state, branch, head, self.site.clock())

    def change(self, head: str, entry: Entry, target: str, state: TaskState) -> Change | None:
        return change(head, entry, target, state, partial(git.changed, self.site.repo), self.holds)

    def added(self, base: str, work: str) -> tuple[Task, ...]:
        repo = self.site.repo
        new = {path for path, kind in git.changed(repo, base, work).items() if kind == "A"}
        there = {file.path: file for file in git.files(repo, work, "tasks")}
        paths = [path for path in candidates(there) if path in new and there[path].mode.startswith("100")]
        texts = git.blobs(repo, [there[path].blob for path in paths])
        return backlog({path: texts[there[path].blob] for path in paths}).tasks


def task_state(
    site: Site, refs: Refs, settings: Settings, task: Task, reverted: str | None = None, eyes: Eyes | None = None
) -> TaskState:
    """All that can be known of a task now, seen with `eyes` (None: afresh).

    `reverted` is the commit that took the task's record off base, if there is one and no record is there now. What
    was done before it does not count; a task branch that does not hold that commit is from before.
    """
    eyes = eyes or Afresh(site)
    said = eyes.said(refs.ours.get(commands.ref_of(task.id).removeprefix("refs/pullwright/")))
    standing = commands.standing(said)
    work = refs.branches.get(work_branch(task.id))
    stale = reverted is not None and (work is None or not eyes.holds(work, reverted))
    on_base = eyes.kept(refs.base, task.id)
    on_work = eyes.kept(work, task.id) if work and not stale else Kept()
    at_target = _further(on_base, on_work)
    before = eyes.kept(f"{reverted}^", task.id) if stale else at_target
    frozen = at_target.record.request if at_target.record else None
    stages = frozen.stages if frozen else task.request.stages
    state = TaskState(
        task=msgspec.structs.replace(task, kept_in=before.folder),
        stages=stages,
        done=done_stages(stages, on_base.record, on_work.record, standing),
        base=refs.base,
        base_name=refs.base_name,
        work=work,
        record=before.record,
        frozen=frozen,
        commands=said,
        standing=standing,
        updates=before.updates,
        reverted=reverted if stale else None,
    )
    if state.current is None:
        return state
    state = _with_branch(site, refs, settings, state, reverted, eyes)
    return msgspec.structs.replace(
        state, started=bool(state.done or state.attempts), trouble=state.trouble or _trouble(state)
    )


def _trouble(state: TaskState) -> str | None:
    """A hold that no branch carries: the work was reverted, or the text is no longer what was accepted."""
    if state.reverted is not None and state.reverted not in state.standing.restarted:
        return "reverted"
    if state.standing.withdrawn is not None:
        return f"withdrawn: {state.standing.withdrawn}"
    if state.frozen is None:
        return None
    now = digest(state.task.request)
    known = state.standing.kept | state.standing.adopted | {state.frozen.sha256}
    return None if now in known else f"task changed: {state.task.path} is no longer what work began with"


def done_stages(
    stages: tuple[Stage, ...], base: Record | None, work: Record | None, standing: commands.Standing
) -> frozenset[Stage]:
    """Pure: the stages whose entry is `ready` or `done` on base or, except for the last, on the task branch.

    An entry at or below a stage's floor does not count; a stage that a person skipped does.
    """
    found = {stage for stage in stages if _is_done(base, stage, standing)}
    found |= {stage for stage in stages[:-1] if _is_done(work, stage, standing)}
    return frozenset(found | (standing.skipped & set(stages[:-1])))


def _is_done(record: Record | None, stage: Stage, standing: commands.Standing) -> bool:
    entry = record.stages.get(stage) if record else None
    return entry is not None and entry.state in ("ready", "done") and entry.attempt > standing.floors.get(stage, 0)


def _further(base: Kept, work: Kept) -> Kept:
    """Pure: whichever of the two records has come further; base's once the last stage is merged there."""
    if base.record is None or work.record is None:
        return work if base.record is None else base
    return base if len(base.updates) >= len(work.updates) else work


def kept(repo: git.Repo, rev: str, task: str) -> Kept:
    """A task's record and updates at a commit, wherever below `tasks/` they stand."""
    here = {file.path: file.blob for file in git.files(repo, rev, "tasks")}
    path = record_path(here, task)
    if path is None:
        return Kept()
    updates = path.removesuffix(RECORD) + UPDATES
    texts = git.blobs(repo, [oid for oid in (here[path], here.get(updates)) if oid])
    said = parse_updates(texts.get(here.get(updates, ""), b""), updates)
    return Kept(parse_record(texts[here[path]], path), said, path.removesuffix(f"/{RECORD}"))


# --- the branch of the current stage -------------------------------------------------------------------------------


def _with_branch(
    site: Site, refs: Refs, settings: Settings, state: TaskState, reverted: str | None, eyes: Eyes
) -> TaskState:
    """The state with its current stage's highest attempt, open or to be closed: one from before a revert, or at or
    below the stage's floor, does not count."""
    found = {
        ref: branch
        for branch in refs.branches
        if (ref := parse_stage_branch(branch)) and ref.task == state.task.id and ref.stage is state.current
    }
    state = msgspec.structs.replace(state, attempts=max([0, *_attempts(refs, state), *(ref.attempt for ref in found)]))
    if not found:
        return state
    ref = max(found, key=lambda each: each.attempt)
    closed, state = state, _with_open(site, refs, settings, state, ref, found[ref], eyes)
    if state.open is None:
        return state
    before = reverted is not None and not eyes.holds(state.open.head, reverted)
    if before or ref.attempt <= state.standing.floors.get(ref.stage, 0):
        return msgspec.structs.replace(closed, superseded=state.open)
    return state


def _attempts(refs: Refs, state: TaskState) -> list[int]:
    """The attempts at the current stage that record and trajectories know of."""
    prefix = f"trajectories/{state.task.id}/{state.current}."
    numbers = [name.removeprefix(prefix) for name in refs.ours if name.startswith(prefix)]
    known = [int(number) for number in numbers if number.isdecimal()]
    if state.record is None:
        return known
    past = [attempt.entry.attempt for attempt in state.record.attempts if attempt.stage is state.current]
    present = [entry.attempt for stage, entry in state.record.stages.items() if stage is state.current]
    return known + past + present


def _with_open(
    site: Site, refs: Refs, settings: Settings, state: TaskState, ref: StageRef, branch: str, eyes: Eyes
) -> TaskState:
    head = refs.branches[branch]
    try:
        there = eyes.kept(head, state.task.id)
    except UserError as error:
        return msgspec.structs.replace(state, trouble=f"unreadable record on {branch}: {error.what}")
    entry = there.record.stages.get(ref.stage) if there.record else None
    if there.record is None or entry is None or entry.attempt != ref.attempt:
        return msgspec.structs.replace(state, trouble=f"foreign branch: {branch} is not a claim, delete or rename it")
    state = msgspec.structs.replace(state, task=msgspec.structs.replace(state.task, kept_in=there.folder))
    target = refs.base if state.is_last else state.work
    if target is not None and eyes.holds(target, head):
        return state
    unmoved = eyes.unmoved(branch, head) if entry.state == "working" else 0.0
    opened = OpenStage(
        ref=ref,
        branch=branch,
        head=head,
        entry=entry,
        mine=entry.host == site.id,
        expired=unmoved >= lease_seconds(settings.policy),
        heard=frozenset(update.id for update in there.updates),
        findings=_findings(there.updates),
        change=eyes.change(head, entry, target, state) if target and entry.state != "closed" else None,
    )
    if entry.state == "closed":
        return msgspec.structs.replace(state, closed=opened)
    frozen = there.record.request
    return msgspec.structs.replace(state, open=opened, frozen=frozen, stages=frozen.stages, updates=there.updates)


def _findings(updates: tuple[Update, ...]) -> str:
    """What the runner itself noted last: a failing gate's output, an ended loop's reason."""
    notes = [update.content for update in updates if update.agent is None and update.actor is None]
    return notes[-1] if notes else ""


def change(
    head: str,
    entry: Entry,
    target: str,
    state: TaskState,
    changed: Callable[[str, str], Mapping[str, str]],
    holds: Callable[[str, str], bool],
) -> Change | None:
    """What merging the stage at `head` into `target` would do; None before its gates have run.

    `changed(old, new)` tells the paths that differ between two commits, `holds(new, old)` is `Eyes.holds`.
    """
    if entry.gated is None:
        return None
    folder = state.task.folder
    paths = tuple(sorted(set(changed(target, head)) & set(changed(entry.base, head))))  # as `evidence.change`
    since = set(changed(entry.gated, head)) - evidence.generated(folder)
    fresh = set(changed(state.work, head)) if state.work else set(paths)  # the rest a person has accepted
    new = [path for path in paths if path in fresh and not path.startswith(f"{folder}/")]
    return Change(
        paths=paths,
        new_tasks=tuple(path for path in new if evidence.is_task_file(path)),
        as_gated=not since and holds(head, entry.gated),
        base_inside=holds(entry.gated, state.base),
    )
