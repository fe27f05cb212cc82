"""One turn: observe, decide, act; and the loop that takes turns until nothing can be done. Start reading at `run`.

A webhook, a workflow run, a poll and a person typing `pullwright run` all end here: truth is looked up, events only
wake.
"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from runner import lease, stage, wording
from runner.agents import Agent
from runner.claims import Lost
from runner.decide import (
    Action,
    Claim,
    Crew,
    Escalate,
    Finish,
    Hold,
    Merge,
    Nothing,
    Propose,
    Resume,
    Rework,
    decide,
)
from runner.errors import UserError
from runner.forge import Proposal, Refused
from runner.git import Identity
from runner.host import Host, lock
from runner.lease import Lease
from runner.lifecycle import Stage, work_branch
from runner.observe import View, observe
from runner.policy import Deny, may_merge
from runner.state import OpenStage, TaskState

WATCH_EVERY = 15.0  # seconds between two looks of `run --watch`


class Step(NamedTuple):
    """What is to be done for one task now, and why."""

    state: TaskState
    action: Action


def plan(view: View, offline: frozenset[str] = frozenset()) -> tuple[Step, ...]:
    """What the next turn would do for every task. Pure but for what `view` has looked up.

    A claim makes its agent busy for the tasks after it.
    """
    crew = view.crew(offline)
    steps = []
    for state in view.states:
        action = decide(state, view.settings, crew)
        if isinstance(action, Claim):
            crew = Crew({**crew.busy, action.agent.name: crew.busy.get(action.agent.name, 0) + 1}, crew.offline)
        steps.append(Step(state, action))
    return tuple(steps)


def is_work(action: Action) -> bool:
    """Whether an action changes anything."""
    return not isinstance(action, Hold | Nothing | Finish)


def run(
    host: Host, *, task: str | None = None, stage: Stage | None = None, once: bool = False, view: View | None = None
) -> Iterator[Step]:
    """Take turns until nothing can be done, or `once`; yields each step before it is taken.

    Only `task` if one is given, and tasks only while they stand at `stage`. A merge that the forge refuses is yielded
    once more as a `Hold` with its reason. Raises `UserError` at the end when only a person can help.
    """
    host.sandbox.check()
    desk = _Desk(host, task, stage)
    view = view or observe(host.site)
    if task is not None:
        view.state(task)
    while (step := desk.choose(view)) is not None:
        yield step
        answer = desk.act(view, step)
        if isinstance(answer, Refused) and step.state.task.id in desk.passed:
            yield Step(step.state, Hold(answer.reason, ""))
        if once:
            break
        view = observe(host.site)
    desk.close()


def watch(
    host: Host, *, task: str | None = None, stage: Stage | None = None, sleep: Callable[[float], None] = time.sleep,
    rounds: int | None = None,
) -> Iterator[Step]:  # fmt: skip
    """Take turns for ever (or for `rounds` looks at the hub); a hub that is out of reach is tried again.

    What only a person can mend is said once, and again when it is something else.
    """
    said = ""
    while rounds is None or rounds > 0:
        try:
            yield from run(host, task=task, stage=stage)
            said = ""
        except UserError as error:
            if str(error) != said:
                host.say(str(error))
            said = str(error)
        rounds = None if rounds is None else rounds - 1
        if rounds != 0:
            sleep(WATCH_EVERY)


class _Desk:
    """What one run remembers between turns: who is offline, and which tasks it can do nothing more for.

    `faults` says by task what a person has to mend before it goes on.
    """

    def __init__(self, host: Host, task: str | None, stage: Stage | None) -> None:
        self.host = host
        self.task = task
        self.stage = stage
        self.offline: dict[str, UserError] = {}
        self.passed: set[str] = set()
        self.lost: dict[str, int] = {}
        self.faults: dict[str, UserError] = {}

    def choose(self, view: View) -> Step | None:
        """The first task, in their order, for which something can be done."""
        for step in plan(view, frozenset(self.offline)):
            state = step.state
            wanted = self.task in (None, state.task.id) and self.stage in (None, state.current)
            if wanted and state.task.id not in self.passed and is_work(step.action):
                return step
        return None

    def act(self, view: View, step: Step) -> str | Lost | Refused | None:
        """Do it; None where nothing was tried. Another process of this host that is at the task is left alone."""
        id = step.state.task.id
        with lock(self.host.state, f"task-{id}", wait=False) as ours:
            if not ours:
                self.host.say(f"{id}  another process on this host is at it")
                self.passed.add(id)
                return None
            try:
                agent = _agent_of(view, step)
                if agent is not None and not self._ready(agent, step):
                    return None
                self.faults.pop(id, None)
                answer: str | Lost | Refused = act(self.host, view, step)
            except UserError as error:  # one task that needs a person does not keep the others waiting
                self.faults[id] = error
                self.passed.add(id)
                return None
        if isinstance(answer, Lost) or (isinstance(answer, Refused) and answer.kind == "moved"):
            self.lost[id] = self.lost.get(id, 0) + 1
        else:
            self.lost.pop(id, None)
        if (isinstance(answer, Refused) and answer.kind != "moved") or self.lost.get(id, 0) > 3:
            self.passed.add(id)
        self.host.say(f"{id}  {answer if isinstance(answer, str) else answer.reason}")
        return answer

    def _ready(self, agent: Agent, step: Step) -> bool:
        """The preflight: an agent whose model cannot be used is offline for this run, and somebody else may fit."""
        assert step.state.current is not None
        id = step.state.task.id
        try:
            self.host.model(agent, step.state.current).check()
        except UserError as error:
            if agent.name in self.offline or not isinstance(step.action, Claim):
                self.passed.add(id)
            self.host.say(f"{agent.name} is offline")
            self.offline[agent.name] = self.faults[id] = error
            return False
        return True

    def close(self) -> None:
        """Raises the first `UserError` that is left, after saying the others."""
        errors = list(dict.fromkeys([*self.faults.values(), *self.offline.values()]))
        for error in errors[1:] if self.faults else errors:
            self.host.say(str(error))
        if self.faults:
            raise errors[0]


def _agent_of(view: View, step: Step) -> Agent | None:
    """The agent that an action sets to work."""
    match step.action:
        case Claim(_, _, agent) | Escalate(agent, _):
            return agent
        case Resume() | Rework():
            return _present(view, step.state)
        case _:
            return None


def _present(view: View, state: TaskState) -> Agent:
    """The agent that has the open stage. Raises `UserError` when it is no longer listed."""
    name = _open(state).entry.agent
    for agent in view.settings.agents:
        if agent.name == name:
            return agent
    raise UserError(
        f"{state.task.id}: its agent {name} is not in agents.yaml", f"pullwright assign {state.task.id} AGENT"
    )


def act(host: Host, view: View, step: Step) -> str | Lost | Refused:
    """The one place with side effects; each is idempotent or guarded by a compare-and-swap.

    Returns a sentence on how the task stands, or why nothing came of it.
    """
    state, settings, ours = step.state, view.settings, view.refs.ours
    match step.action:
        case Claim(wanted, attempt, agent):
            return _clear(host, state) or _worked(
                lease.claim(host, settings, state, agent, wanted, attempt, ours), state, ""
            )
        case Resume(takeover=False):
            return _resumed(lease.again(host, settings, state, ours), state)
        case Resume(takeover=True):
            return _resumed(lease.take_over(host, settings, state, _present(view, state), ours), state)
        case Rework(said, findings):
            words = _feedback([(command.who, command.text) for command in said], findings)
            taken = lease.reclaim(host, settings, state, _present(view, state), words, ours, counts=not said)
            return _worked(taken, state, words)
        case Escalate(agent, findings):
            taken = lease.reclaim(host, settings, state, agent, findings, ours, counts=False)
            return _worked(taken, state, findings)
        case Propose(merge_base):
            why = "base has moved" if merge_base else "the branch has changed since the gates ran"
            agent = _present(view, state)
            return _regated(
                lease.reclaim(host, settings, state, agent, why, ours, counts=False, gates_only=True), state
            )
        case Merge():
            return merge(host, view, state)
        case Hold(reason, _) | Nothing(reason):
            return reason
        case Finish():
            pass
    return "complete"


def _clear(host: Host, state: TaskState) -> Lost | None:
    """What must be out of the way before another attempt: an attempt that ends, a task branch that was reverted."""
    old = state.open or state.superseded
    if old is not None:
        closed = lease.close(host, state, old, state.commands)
        if isinstance(closed, Lost):
            return closed
    if state.reverted is not None:
        lease.discard_work(host, state)
    return None


def _resumed(taken: Lease | Lost, state: TaskState) -> str | Lost:
    """Go on with what a claim was made for: a `working` entry that names a `gated` commit wants its gates run again."""
    if isinstance(taken, Lost) or not taken.entry.gated:
        return _worked(taken, state, "" if isinstance(taken, Lost) else taken.told)
    return _regated(taken, state)


def _worked(taken: Lease | Lost, state: TaskState, feedback: str) -> str | Lost:
    return taken if isinstance(taken, Lost) else stage.work(taken, state, feedback)


def _regated(taken: Lease | Lost, state: TaskState) -> str | Lost:
    """Gates alone; where base conflicts, the agent has to resolve that first."""
    if isinstance(taken, Lost):
        return taken
    if taken.pending is not None:
        return stage.work(taken, state, f"The base branch conflicts in {', '.join(taken.conflicts)}: resolve that.")
    return stage.gate_again(taken)


def _feedback(said: list[tuple[str, str]], findings: str) -> str:
    """What people said and what was found, as the agent reads it."""
    return "\n\n".join([*(f"{who} says:\n{text}" for who, text in said), findings]).strip()


def merge(host: Host, view: View, state: TaskState, by: Identity | None = None) -> str | Refused:
    """Merge a task's proposal; `by` is the person who approves, None the policy.

    The same rules hold for both, but that a person stands for the policy (docs/design.md, section 3).
    """
    opened = _open(state)
    why_not = refusal(view, state, opened, by_person=by is not None)
    if why_not is not None:
        return Refused("hold", why_not)
    target = state.base_name if state.is_last else work_branch(state.task.id)
    title = state.frozen.title if state.frozen else state.task.request.title
    message = wording.merge(opened.ref, title, target, opened.entry, by_policy=by is None)
    proposal = Proposal(opened.ref, opened.branch, opened.head, target, wording.proposal_title(opened.ref, title))
    answer = host.forge.merge(proposal, message, by)
    if isinstance(answer, Refused):
        return answer
    return f"{opened.ref.stage} is merged into {target}"


def refusal(view: View, state: TaskState, opened: OpenStage, *, by_person: bool) -> str | None:
    """Why a proposal may not be merged now, or None."""
    change = opened.change
    if opened.entry.state != "ready" or change is None:
        return f"{opened.ref.stage} is not ready: it is {opened.entry.state}"
    answer = may_merge(
        stage=opened.ref.stage,
        is_last=state.is_last,
        policy=view.settings.policy,
        gates=opened.entry.gates,
        head_is_gated=change.as_gated,
        paths=change.paths,
        adds_tasks=bool(change.new_tasks),
        base_is_inside=change.base_inside,
        by_person=by_person,
    )
    return answer.reason if isinstance(answer, Deny) else None


def _open(state: TaskState) -> OpenStage:
    assert state.open is not None  # only decided on for a task with an open stage
    return state.open
