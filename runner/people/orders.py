"""A person's words made into a command that can be carried out at any time later, or refused now. Pure."""

from typing import Any, cast

import msgspec

from runner.agents import Settings
from runner.commands import Command, Verb, new
from runner.errors import UserError
from runner.lifecycle import Stage
from runner.state import TaskState
from runner.task import Budget, digest


def compose(state: TaskState, settings: Settings, verb: str, who: str, at: str, **said: Any) -> Command:
    """The command `verb` said of a task by `who` at `at` (ISO 8601), with all that pins down what it was said of.

    `said` holds what the verb needs: `text` (comment, reject, answer), `agent` (assign), `status` (set-status),
    `budget` (set-budget). Raises `UserError` when it makes no sense for the task as it stands.
    """
    why_not = senseless(state, settings, verb, said)
    if why_not is not None:
        raise UserError(f"{state.task.id}: {why_not}", f"pullwright task show {state.task.id}")
    return new(cast(Verb, verb), who, at, **said, **_pins(state, verb))


def _pins(state: TaskState, verb: str) -> dict[str, Any]:
    """What ties a command to this moment: the attempt, the changed text, the revert, the attempts so far."""
    trouble = (state.trouble or "").partition(":")[0]
    if verb in ("retry", "resume") and trouble == "task changed":
        return {"sha256": digest(state.task.request)} | (_attempt(state) if verb == "retry" else {})
    if verb == "retry" and trouble == "reverted":
        return {"reverted": state.reverted}
    if verb == "retry" and state.standing.cancelled:
        return {}
    if verb in ("retry", "comment", "reject", "answer"):
        return _attempt(state)
    if verb == "set-status":
        return {"above": {str(stage): highest(state, stage) for stage in state.stages}}
    return {}


def bounded(state: TaskState, bounds: dict[str, Any]) -> dict[str, Any]:
    """The whole budget of a task once these bounds are set: those that are not named stay. Raises `UserError`."""
    there = msgspec.to_builtins(state.standing.budget or state.task.request.budget)
    try:
        wanted: dict[str, Any] = msgspec.to_builtins(msgspec.convert(there | bounds, Budget))
    except msgspec.ValidationError as error:
        raise UserError(f"{state.task.id}: {error}", "give a number above 0") from error
    return wanted


def _attempt(state: TaskState) -> dict[str, Any]:
    return {"stage": str(state.open.ref.stage), "attempt": state.open.ref.attempt} if state.open else {}


def highest(state: TaskState, stage: Stage) -> int:
    """The highest attempt at a stage so far; 0 when there was none."""
    record = state.record
    known = [past.entry.attempt for past in record.attempts if past.stage is stage] if record else []
    if record is not None and stage in record.stages:
        known.append(record.stages[stage].attempt)
    if stage is state.current:
        known.append(state.attempts)
    return max([0, *known])


def senseless(state: TaskState, settings: Settings, verb: str, said: dict[str, Any]) -> str | None:
    """Why a command makes no sense for a task as it stands, or None."""
    if state.current is None:
        return f"it is complete; {verb} would change nothing"
    match verb:
        case "assign" if said.get("agent") not in {agent.name for agent in settings.agents}:
            names = ", ".join(agent.name for agent in settings.agents)
            return f"there is no agent {said.get('agent')}; agents.yaml has {names}"
        case "set-status" if said.get("status") not in {str(stage) for stage in state.stages}:
            return f"it has no stage {said.get('status')}; its stages are {', '.join(state.stages)}"
        case "resume":
            changed = (state.trouble or "").startswith("task changed")
            return None if state.standing.paused or changed else "it is not paused"
        case "pause" if state.standing.paused:
            return "it is paused already"
        case "cancel" if state.standing.cancelled:
            return "it is cancelled already"
        case "retry":
            again = state.open is not None or state.standing.cancelled or state.trouble is not None
            return None if again else "there is no attempt to repeat"
        case "comment" | "reject" | "answer":
            return _unanswerable(state, verb)
        case _:
            return None


def _unanswerable(state: TaskState, verb: str) -> str | None:
    entry = state.open.entry if state.open else None
    if entry is None:
        return f"no stage is open to {verb}"
    if verb == "reject" and entry.state != "ready":
        return f"there is no proposal to reject: {state.current} is {entry.state}"
    if verb == "answer" and (entry.hold is None or entry.hold.kind != "input" or entry.state != "held"):
        return "it asks nothing"
    return None
