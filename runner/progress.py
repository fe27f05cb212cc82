"""Where one task stands, read from refs, records and commands. Nothing is written."""

import json
import time
from collections.abc import Mapping
from typing import NamedTuple

from runner import commands, gates, git
from runner.agents import Settings, lease_seconds
from runner.commands import Command
from runner.errors import UserError
from runner.history import RECORD, UPDATES
from runner.host import Site, lock
from runner.lifecycle import Stage, StageRef, parse_stage_branch, work_branch
from runner.record import Record, Update, parse_record, parse_updates
from runner.state import Change, OpenStage, TaskState
from runner.task import Task


class Refs(NamedTuple):
    """What the hub's refs were at one moment: branch → commit, ref below `refs/pullwright/` → commit."""

    base: str
    branches: Mapping[str, str]
    ours: Mapping[str, str]


class Kept(NamedTuple):
    """A task's record and updates at one commit."""

    record: Record | None
    updates: tuple[Update, ...]


def task_state(site: Site, refs: Refs, settings: Settings, task: Task) -> TaskState:
    """All that can be known of a task now."""
    work = refs.branches.get(work_branch(task.id))
    on_base = kept(site.repo, refs.base, task.id)
    on_work = kept(site.repo, work, task.id) if work else Kept(None, ())
    at_target = _further(on_base, on_work)
    said = commands.read(site.repo, refs.ours.get(commands.ref_of(task.id).removeprefix("refs/pullwright/")))
    frozen = at_target.record.request if at_target.record else None
    stages = frozen.stages if frozen else task.request.stages
    done = done_stages(stages, on_base.record, on_work.record)
    state = TaskState(
        task=task,
        stages=stages,
        done=done,
        base=refs.base,
        work=work,
        record=at_target.record,
        frozen=frozen,
        started=bool(done),
        commands=said,
        standing=commands.standing(said),
        updates=at_target.updates,
    )
    return state if state.current is None else _with_branch(site, refs, settings, state)


def done_stages(stages: tuple[Stage, ...], base: Record | None, work: Record | None) -> frozenset[Stage]:
    """Pure: the stages whose entry is `ready` or `done` on base or, except for the last, on the task branch."""
    found = {stage for stage in stages if _is_done(base, stage)}
    found |= {stage for stage in stages[:-1] if _is_done(work, stage)}
    return frozenset(found)


def _further(base: Kept, work: Kept) -> Kept:
    """Pure: whichever of the two records has come further; base's once the last stage is merged there."""
    if base.record is None or work.record is None:
        return work if base.record is None else base
    return base if len(base.record.stages) >= len(work.record.stages) else work


def _is_done(record: Record | None, stage: Stage) -> bool:
    entry = record.stages.get(stage) if record else None
    return entry is not None and entry.state in ("ready", "done")


def kept(repo: git.Repo, rev: str, task: str) -> Kept:
    """A task's record and updates at a commit, wherever below `tasks/` they stand."""
    here = {file.path: file.blob for file in git.files(repo, rev, "tasks")}
    path = next((path for path in here if path.endswith(f"/{task}/{RECORD}")), None)
    if path is None:
        return Kept(None, ())
    updates = path.removesuffix(RECORD) + UPDATES
    texts = git.blobs(repo, [oid for oid in (here[path], here.get(updates)) if oid])
    return Kept(parse_record(texts[here[path]], path), parse_updates(texts.get(here.get(updates, ""), b""), updates))


def _with_branch(site: Site, refs: Refs, settings: Settings, state: TaskState) -> TaskState:
    """The state with the branch of its current stage: the highest attempt, unless that is closed."""
    import msgspec

    found = {
        ref: branch
        for branch in refs.branches
        if (ref := parse_stage_branch(branch)) and ref.task == state.task.id and ref.stage is state.current
    }
    past = (
        [entry.entry.attempt for entry in state.record.attempts if entry.stage is state.current] if state.record else []
    )
    highest = max([0, *past, *(ref.attempt for ref in found)])
    state = msgspec.structs.replace(state, attempts=highest, started=state.started or bool(found))
    if not found:
        return state
    ref = max(found, key=lambda each: each.attempt)
    return _with_open(site, refs, settings, state, ref, found[ref])


def _with_open(site: Site, refs: Refs, settings: Settings, state: TaskState, ref: StageRef, branch: str) -> TaskState:
    import msgspec

    head = refs.branches[branch]
    try:
        there = kept(site.repo, head, state.task.id)
    except UserError as error:
        return msgspec.structs.replace(state, trouble=f"unreadable record on {branch}: {error.what}")
    entry = there.record.stages.get(ref.stage) if there.record else None
    if there.record is None or entry is None or entry.attempt != ref.attempt:
        return msgspec.structs.replace(state, trouble=f"{branch} is not a claim: somebody made a branch of that name")
    target = refs.base if state.is_last else state.work
    if entry.state == "closed" or (target is not None and git.is_ancestor(site.repo, head, target)):
        return state
    opened = OpenStage(
        ref=ref,
        branch=branch,
        head=head,
        entry=entry,
        mine=entry.host == site.id,
        expired=_expired(site, branch, head, lease_seconds(settings.policy)),
        heard=frozenset(update.id for update in there.updates),
        findings=_findings(there.updates),
        change=_change(site.repo, head, entry.gated, target, refs.base, entry.base, state) if target else None,
    )
    return msgspec.structs.replace(
        state, open=opened, frozen=there.record.request, stages=there.record.request.stages, updates=there.updates
    )


def _findings(updates: tuple[Update, ...]) -> str:
    """What the runner itself noted last: a failing gate's output, an ended loop's reason."""
    notes = [update.content for update in updates if update.agent is None and update.actor is None]
    return notes[-1] if notes else ""


def _change(
    repo: git.Repo, head: str, gated: str | None, target: str, base: str, last_base: str, state: TaskState
) -> Change | None:
    if gated is None:
        return None
    paths = gates.change(repo, head, target, last_base)
    folder = state.task.folder
    since = set(git.changed(repo, gated, head)) - gates.generated(folder)
    return Change(
        paths=paths,
        new_tasks=tuple(path for path in paths if gates.is_task_file(path) and not path.startswith(f"{folder}/")),
        as_gated=not since and git.is_ancestor(repo, gated, head),
        base_inside=git.is_ancestor(repo, base, gated),
    )


def _expired(site: Site, branch: str, head: str, lease: int) -> bool:
    """Whether this host has itself seen the same head for a whole lease: the clocks of two hosts are never compared."""
    path = site.state / "seen.json"
    with lock(site.state, "seen"):
        seen: dict[str, list[object]] = json.loads(path.read_text()) if path.exists() else {}
        now = time.time()
        known = seen.get(branch)
        if known is None or known[0] != head:
            seen[branch] = [head, now]
            scratch = path.with_suffix(".tmp")
            scratch.write_text(json.dumps(seen))
            scratch.replace(path)
            return False
    return now - float(str(known[1])) >= lease


def unheard(state: TaskState) -> tuple[Command, ...]:
    """The commands that the task's history does not hold yet."""
    return commands.unheard(state.commands, {update.id for update in state.updates})
