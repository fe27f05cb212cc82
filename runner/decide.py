"""What to do next for one task. Pure: `TaskState` + settings + crew → `Action`. Start reading at `decide`."""

import re
from collections.abc import Mapping

import msgspec

from runner.agents import Agent, Settings
from runner.assign import NoAgent, assign
from runner.commands import Command, unheard
from runner.lifecycle import Stage
from runner.policy import Deny, may_merge
from runner.spending import is_spent
from runner.state import OpenStage, TaskState

REWORKS = 2  # by the same agent, before another one takes over


class Claim(msgspec.Struct, frozen=True):
    """Take a stage that nobody has."""

    stage: Stage
    attempt: int
    agent: Agent


class Resume(msgspec.Struct, frozen=True):
    """Go on with a stage: our own after an interruption, or (`takeover`) one whose owner's lease has expired."""

    takeover: bool = False


class Rework(msgspec.Struct, frozen=True):
    """Send the stage back to its agent: what people said (`said`) and what the gates found (`findings`)."""

    said: tuple[Command, ...] = ()
    findings: str = ""


class Escalate(msgspec.Struct, frozen=True):
    """Hand the stage, as it is, to another agent."""

    agent: Agent
    findings: str


class Propose(msgspec.Struct, frozen=True):
    """Run the gates on what is there: its head is not what they saw, or base has moved (`merge_base`)."""

    merge_base: bool = False


class Merge(msgspec.Struct, frozen=True):
    """Merge the proposal, as the policy allows."""


class Hold(msgspec.Struct, frozen=True):
    """Nothing can be done until a person acts; `reason` says why, `remedy` what ends it."""

    reason: str
    remedy: str


class Finish(msgspec.Struct, frozen=True):
    """The task is complete."""


class Nothing(msgspec.Struct, frozen=True):
    """Nothing to do now; it will change by itself or by a merge."""

    reason: str


Action = Claim | Resume | Rework | Propose | Merge | Escalate | Hold | Finish | Nothing


class Crew(msgspec.Struct, frozen=True):
    """How the agents are taken: live claims by agent's name, and who is offline."""

    busy: Mapping[str, int] = {}
    offline: frozenset[str] = frozenset()


def decide(state: TaskState, settings: Settings, crew: Crew) -> Action:
    """What to do for this task now. Total: every state has an answer."""
    if state.current is None:
        return Finish()
    if state.standing.cancelled:
        return _hold(state, "cancelled")
    if state.trouble is not None:
        return _hold(state, state.trouble)
    if state.standing.paused:
        return _hold(state, "paused")
    if state.open is None:
        return _start(state, settings, crew)
    if _retried(state, state.open):
        return _again(state, state.open, settings, crew)
    return _go_on(state, state.open, settings)


def way_out(task: str, reason: str) -> str:
    """The command that ends a hold."""
    kind = reason.partition(":")[0]
    return {
        "paused": f"pullwright resume {task}",
        "cancelled": f"pullwright retry {task}",
        "rejected": f"pullwright retry {task}",
        "reverted": f"pullwright retry {task}",
        "needs input": f'pullwright answer {task} "…"',
        "gate failed": f'help: pullwright review {task} --comment "…", or begin anew: pullwright retry {task}',
        "agent failed": f"what it said: pullwright replay {task}; begin anew: pullwright retry {task}",
        "budget": f"pullwright set-budget {task} --steps … | --tokens … | --cost … | --minutes …",
        "foreign branch": "delete or rename that branch",
        "duplicate id": "rename one of the two files",
        "unreadable record": "put the record back as the commit before had it",
        "no credit": f'add credits, then pullwright answer {task} "…"',
        "withdrawn": "put the label on the issue again: what it says then counts",
        "task changed": f"pullwright resume {task} keeps the old text, pullwright retry {task} takes the new",
        "task removed": f"put the file back, or pullwright cancel {task}",
    }.get(kind, f"pullwright retry {task}")


def _hold(state: TaskState, reason: str, remedy: str | None = None) -> Hold:
    return Hold(reason, way_out(state.task.id, reason) if remedy is None else remedy)


def _way_on(state: TaskState) -> str:
    """What ends waiting: the others, unless one of them does not exist."""
    if not state.missing:
        return "it goes on by itself when those are complete"
    issues = [name.removeprefix("issue-") for name in state.missing if re.fullmatch("issue-[0-9]+", name)]
    label = f"; an issue is one once it has the label: #{', #'.join(issues)}" if issues else ""
    return f"there is no task {', '.join(state.missing)}: add it, or leave it out of what comes first{label}"


def _start(state: TaskState, settings: Settings, crew: Crew) -> Action:
    """No branch is open: claim the current stage, if the task waits for nothing and an agent can take it."""
    if state.waits:
        return _hold(state, f"waits for {', '.join(state.waits)}", _way_on(state))
    ended = state.superseded or state.closed
    if ended is not None:
        return _again(state, ended, settings, crew)
    return _claim(state, settings, crew, exclude=frozenset())


def _again(state: TaskState, stage: OpenStage, settings: Settings, crew: Crew) -> Action:
    """A person asked for another attempt: rejected work goes to the next agent of the escalation list."""
    if _rejection(state, stage) is not None:
        following = _next_agent(stage, settings)
        if following is not None:
            return Claim(stage.ref.stage, state.attempts + 1, following)
    return _claim(state, settings, crew, exclude=frozenset())


def _claim(state: TaskState, settings: Settings, crew: Crew, exclude: frozenset[str]) -> Action:
    stage = state.current
    assert stage is not None  # decide() has answered Finish before
    complexity = state.complexity(settings.policy.default_complexity)
    found = assign(
        complexity,
        settings.agents,
        busy=crew.busy,
        offline=crew.offline,
        wanted=state.standing.agent or state.task.request.agent,
        exclude=exclude,
        prefer_other_than=state.builder if stage is Stage.REVIEW else None,
    )
    if isinstance(found, NoAgent):
        return Nothing(found.reason) if found.waits else _hold(state, found.reason, found.remedy)
    return Claim(stage, state.attempts + 1, found)


def _go_on(state: TaskState, stage: OpenStage, settings: Settings) -> Action:
    """A branch is open: its entry says at which point it stands."""
    rejection = _rejection(state, stage)
    if rejection is not None:
        return _hold(state, f"rejected: {rejection.text}".rstrip(": "))
    said = _said(state, stage)
    match stage.entry.state:
        case "working":
            return _working(stage)
        case "held":
            return _held(state, stage, said, settings)
        case _:
            return Rework(said) if said else _ready(state, stage, settings)


def _working(stage: OpenStage) -> Action:
    if stage.mine:
        return Resume()
    if stage.expired:
        return Resume(takeover=True)
    return Nothing(f"{stage.entry.agent} works on {stage.ref.stage} on {stage.entry.host}")


def _held(state: TaskState, stage: OpenStage, said: tuple[Command, ...], settings: Settings) -> Action:
    """A stage that stopped: an answer or a comment wakes it; failures are reworked twice, then escalated, then held."""
    hold = stage.entry.hold
    reason = hold.reason if hold else "held without a reason"
    if said:
        return Rework(said)
    if hold is None or hold.kind == "input":
        return _hold(state, reason)
    if hold.kind == "budget":
        return _hold(state, reason) if is_spent(state) else Rework(findings="The budget was raised.")
    if stage.entry.reworks < REWORKS:
        return Rework(findings=stage.findings or reason)
    following = _next_agent(stage, settings)
    return Escalate(following, stage.findings or reason) if following else _hold(state, reason)


def _ready(state: TaskState, stage: OpenStage, settings: Settings) -> Action:
    """A proposal: merge it where the policy says so, else say whose turn it is."""
    change = stage.change
    if change is None or not change.as_gated:
        return Propose()
    answer = may_merge(
        stage=stage.ref.stage,
        is_last=state.is_last,
        policy=settings.policy,
        gates=stage.entry.gates,
        head_is_gated=change.as_gated,
        paths=change.paths,
        adds_tasks=bool(change.new_tasks),
        base_is_inside=change.base_inside,
    )
    if not isinstance(answer, Deny):
        return Merge()
    if answer.kind == "base moved":
        return Propose(merge_base=True)
    if answer.kind == "review":
        return Nothing(answer.reason)
    return _hold(
        state, answer.reason, f"look at it: git log -p {stage.branch}, then merge it by hand, comment or reject it"
    )


def _rejection(state: TaskState, stage: OpenStage) -> Command | None:
    found = [c for c in state.commands if c.verb == "reject" and c.about(stage.ref.stage, stage.ref.attempt)]
    return found[-1] if found else None


def _retried(state: TaskState, stage: OpenStage) -> bool:
    return any(c.verb == "retry" and c.about(stage.ref.stage, stage.ref.attempt) for c in state.commands)


def _said(state: TaskState, stage: OpenStage) -> tuple[Command, ...]:
    """Comments and answers that the stage's history does not hold yet."""
    return tuple(c for c in unheard(state.commands, stage.heard) if c.verb in ("comment", "answer"))


def _next_agent(stage: OpenStage, settings: Settings) -> Agent | None:
    """Who takes over from the agent that has the stage: the first of its own escalation list, else whoever follows it
    on the list that brought it here."""
    by_name = {agent.name: agent for agent in settings.agents}
    lists = [agent.escalation for agent in settings.agents if agent.name == stage.entry.agent and agent.escalation]
    for names in (agent.escalation for agent in settings.agents if stage.entry.agent in agent.escalation):
        lists.append(names[names.index(stage.entry.agent) + 1 :])
    return next((by_name[name] for names in lists for name in names if name in by_name), None)
