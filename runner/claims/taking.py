"""How a stage is taken: claimed, claimed anew upon what is there, taken over, found again; and let go."""

import uuid
from collections.abc import Mapping

import msgspec

from runner import claims, git, history, wording
from runner.agents import Agent, Settings
from runner.claims import Ground, Lost, Won, freezing
from runner.claims.lease import TRAJECTORY, Lease, goes_on, told, trajectory_name
from runner.commands import Command
from runner.history import History
from runner.host import Host
from runner.lifecycle import Stage, StageRef, stage_branch, work_branch
from runner.progress import Refs, done_stages, kept
from runner.record import Entry, Record
from runner.state import OpenStage, TaskState


def claim(
    host: Host, settings: Settings, state: TaskState, agent: Agent, stage: Stage, attempt: int, seen: Refs
) -> Lease | Lost:
    """Claim a stage that nobody has: its branch is created by our commit, or somebody was first.

    `seen` are the refs from which the decision was made.
    """
    ref = StageRef(state.task.id, stage, attempt)
    work = None if state.reverted else state.work
    first = () if work else (git.Push(claims.ref(work_branch(ref.task)), state.base, ""),)
    ground = claims.ground(host.repo, work or state.base, state.base, _last_base(state.record) if work else None)
    before = freezing.after_earlier(host, state, freezing.before(host, settings, state))
    before = history.skipping(before, state.standing.skipped & set(state.stages) & state.done)
    frozen = before.record.request
    entry = _entry(host, agent, attempt, ground)
    lease = _lease(host, settings, state, ref, agent, before, entry, ground, seen.ours)
    lease.note("status_change", f"{agent.name} ({agent.model}) takes {stage}, attempt {attempt}")
    made = lease.commit(ground.tree, wording.claim(ref, frozen.title, entry), *ground.head)
    trajectory = lease.with_trajectory(b"")  # its ref keeps the attempt's number, whatever becomes of the branch
    answer = claims.create(host.repo, host.hub.url, ref, made, *first, *trajectory)
    if isinstance(answer, Lost):
        return answer
    lease.head = made
    lease.trajectory = trajectory[0].new if trajectory else lease.trajectory
    return _still_wanted(lease, state, seen) or lease


def _still_wanted(lease: Lease, state: TaskState, seen: Refs) -> Lost | None:
    """Read the target's record again: a branch that is absent since its stage was just merged is not unclaimed.

    Git lists a hub's refs one after the other, so an attempt that was claimed meanwhile may have been seen by half:
    its trajectory, which counts, without its branch, which was read before. The later attempt gives way.
    """
    host, ref = lease.host, lease.ref
    work, base = claims.ref(f"work/{ref.task}"), claims.ref(state.base_name)
    earlier = [stage_branch(ref.task, ref.stage, number) for number in range(1, ref.attempt)]
    unseen = [claims.ref(branch) for branch in earlier if branch not in seen.branches]
    now = claims.look(host.repo, host.hub.url, work, base, *unseen)
    if any(branch in now for branch in unseen):
        claims.release(host.repo, host.hub.url, lease.branch, lease.head)
        return Lost(f"an earlier attempt at {ref.stage} of {ref.task} was claimed meanwhile: look again")
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
        started=old.started, steps=old.steps, tokens=old.tokens, cost=old.cost, seconds=old.seconds,
        progress=min(old.progress, 99), reworks=reworks,
        gated=(old.gated or stage.head) if gates_only else None,
    )  # fmt: skip
    before = kept(host.repo, stage.head, state.task.id)
    assert before.record is not None  # an open stage has its entry from there
    lease = _lease(host, settings, state, stage.ref, agent, History(before.record, before.updates), entry, ground, ours)
    lease.head = stage.head
    lease.note("status_change", f"{agent.name} ({agent.model}){goes_on(stage.ref.stage)}{why}")
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
    untold = "" if stage.entry.claim.encode() in (heard or b"") else told(state.updates, stage.entry, stage.ref.stage)
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
    files, words = closed.files(state.task.folder), wording.closed(stage.ref)
    made = git.commit_with(host.repo, files, (stage.head,), words, when=host.timestamp())
    return claims.advance(host.repo, host.hub.url, stage.branch, made, stage.head)
