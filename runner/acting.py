"""What a decision does: the only place with side effects. Each is idempotent or guarded by a compare-and-swap."""

from runner import evaluating, stage, wording
from runner.agents import Agent
from runner.claims import Lost, taking
from runner.claims.lease import Lease
from runner.decide import Action, Claim, Escalate, Finish, Hold, Merge, Nothing, Propose, Resume, Rework
from runner.errors import UserError
from runner.forge import Merged, Proposal, Refused
from runner.git import Identity
from runner.host import Host
from runner.lifecycle import work_branch
from runner.observe import View
from runner.policy import Deny, may_merge
from runner.state import OpenStage, TaskState


def present(view: View, state: TaskState) -> Agent:
    """The agent that has the open stage. Raises `UserError` when it is no longer listed."""
    name = _open(state).entry.agent
    for agent in view.settings.agents:
        if agent.name == name:
            return agent
    raise UserError(
        f"{state.task.id}: its agent {name} is not in agents.yaml", f"pullwright assign {state.task.id} AGENT"
    )


def act(host: Host, view: View, state: TaskState, action: Action) -> str | Lost | Refused:
    """Carry out `action` for a task; returns a sentence on how it stands, or why nothing came of it."""
    settings, ours = view.settings, view.refs.ours
    match action:
        case Claim(wanted, attempt, agent):
            state = evaluating.ask(host, settings, state, view.states)
            if not evaluating.fits(agent, state):
                return f"its complexity is {state.complexity(0)}, which is not for {agent.name}"
            return _clear(host, state) or _worked(
                taking.claim(host, settings, state, agent, wanted, attempt, view.refs), state, ""
            )
        case Resume(takeover=False):
            return _resumed(taking.again(host, settings, state, ours), state)
        case Resume(takeover=True):
            return _resumed(taking.take_over(host, settings, state, present(view, state), ours), state)
        case Rework(said, findings):
            words = _feedback([(command.who, command.text) for command in said], findings)
            taken = taking.reclaim(host, settings, state, present(view, state), words, ours, counts=not said)
            return _worked(taken, state, words)
        case Escalate(agent, findings):
            taken = taking.reclaim(host, settings, state, agent, findings, ours, counts=False)
            return _worked(taken, state, findings)
        case Propose(merge_base):
            why = "base has moved" if merge_base else "the branch has changed since the gates ran"
            agent = present(view, state)
            return _regated(
                taking.reclaim(host, settings, state, agent, why, ours, counts=False, gates_only=True), state
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
        closed = taking.close(host, state, old, state.commands)
        if isinstance(closed, Lost):
            return closed
    if state.reverted is not None:
        taking.discard_work(host, state)
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
    if state.is_last:
        _report(host, state, opened, answer)
    return f"{opened.ref.stage} is merged into {target}"


def _report(host: Host, state: TaskState, opened: OpenStage, merged: Merged) -> None:
    """Write the task's report on this host. The merge stands, whatever becomes of the report."""
    from runner.report import write_report  # reportlab is heavy, and most turns write no report
    from runner.report.text import Completed

    try:
        path = write_report(host.site, state.task.id, opened.head, Completed(merged.commit, host.timestamp()))
    except Exception as error:
        host.say(f"{state.task.id}  no report: {error}; pullwright report {state.task.id} tries again")
    else:
        host.say(f"{state.task.id}  report: {path}")


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
