"""How a task shall look on its forge: its note, its label, its proposal. Pure."""

from runner import wording
from runner.attend.heard import Taken
from runner.decide import Claim, Escalate, Finish, Hold, Nothing, decide
from runner.forge import Heard, Mark, Proposal, Remark, Shown
from runner.lifecycle import stage_branch, work_branch
from runner.observe import ISSUE, View
from runner.people import letters
from runner.state import OpenStage, TaskState
from runner.talk.telling import asked

DONE = "done"
"""The label of a task of which nothing is left. That of the stage complete it has while that one is worked on, and an
issue is closed by GitHub itself when its last proposal is merged: neither tells whether the note has said so."""


def is_news(state: TaskState, heard: Heard) -> bool:
    """Whether a task has anything to show: one that is complete has, until its issue says so."""
    if state.current is not None:
        return True
    issue = next((each for each in heard.issues if f"issue-{each.number}" == state.task.id), None)
    return issue is not None and (issue.open or issue.stage != DONE)


def shown(view: View, state: TaskState, heard: Heard, taken: Taken) -> Shown:
    """Pure: how a task shall look."""
    number = int(state.task.id.removeprefix("issue-")) if ISSUE.fullmatch(state.task.id) else None
    status, remedy, label = _words(view, state)
    mine = [(remark, why) for remark, why in taken.unheard if remark.task == state.task.id]
    mine += [(each, letters.unseen(each.lost)) for each in heard.remarks if _hides(each, state)]
    ready = state.open if state.open is not None and state.open.entry.state == "ready" else None
    return Shown(
        task=state.task.id,
        note=letters.note(state, status, remedy, mine) if number is not None else "",
        asks=_asks(state, status),
        label=label,
        proposal=_proposal(state, ready, number) if ready is not None else None,
        marks=_marks(ready) if ready is not None else (),
        reviewers=view.settings.policy.reviewers if isinstance(_next(view, state), Nothing) else (),
        replies=_replies(ready, heard) if ready is not None else (),
        gone=_gone(state),
        taken=tuple(remark for remark in taken.taken if remark.task == state.task.id),
        accepted=state.task.id in taken.accepted,
        refused=_is_stale(state, heard),
        done=state.current is None,
    )


def _asks(state: TaskState, status: str) -> str:
    """Since when the question is asked that the note shows; nothing where it shows none, say of a paused task."""
    hold = state.open.entry.hold if state.open is not None else None
    return asked(state) if hold is not None and hold.reason in status else ""


def _hides(remark: Remark, state: TaskState) -> bool:
    """Whether a person who is heard said something about the task of which a part is not seen."""
    return bool(remark.lost) and remark.task == state.task.id and remark.who.trusted


def _is_stale(state: TaskState, heard: Heard) -> bool:
    """Whether the label on the issue is that of an acceptance which does not count any more."""
    issue = next((each for each in heard.issues if f"issue-{each.number}" == state.task.id), None)
    before = state.standing.accepted
    if issue is None or issue.labelled is None or before is None or state.standing.withdrawn is None:
        return False
    return not issue.looked_up or issue.labelled.id in before.acts


def _marks(ready: OpenStage) -> tuple[Mark, ...]:
    return tuple(Mark(gate.name, gate.passed, wording.gate_line(gate)) for gate in ready.entry.gates)


def _next(view: View, state: TaskState) -> object:
    return decide(state, view.settings, view.crew())


def _words(view: View, state: TaskState) -> tuple[str, str, str]:
    """What is next in words, what a person can do about it, and the label that says it."""
    stage = str(state.current or "complete")
    match _next(view, state):
        case Hold(reason, remedy):
            return f"held: {reason}", remedy, "held"
        case Nothing(reason):
            return reason, "", stage
        case Claim(_, attempt, agent):
            return f"{agent.name} takes {stage}" + (f", attempt {attempt}" if attempt > 1 else ""), "", stage
        case Escalate(agent, _):
            return f"{agent.name} takes over", "", stage
        case Finish():
            return "complete", "", DONE
    return f"{stage} goes on", "", stage


def _proposal(state: TaskState, ready: OpenStage, number: int | None) -> Proposal:
    title = state.frozen.title if state.frozen else state.task.request.title
    target = state.base_name if state.is_last else work_branch(state.task.id)
    said = [update.content for update in state.updates if update.agent and update.update_type == "progress_update"]
    text = letters.body(state, ready.ref, ready.entry, said[-1] if said else "", number)
    return Proposal(ready.ref, ready.branch, ready.head, target, wording.proposal_title(ready.ref, title), text)


def _replies(ready: OpenStage, heard: Heard) -> tuple[tuple[Remark, str], ...]:
    """Threads whose review the ready work has taken up."""
    answered = (each for each in heard.remarks if each.id in ready.heard and each.threads and not each.answered)
    return tuple((remark, letters.reworked(ready.head)) for remark in answered)


def _gone(state: TaskState) -> tuple[str, ...]:
    """The branches of earlier attempts at the open stage."""
    if state.open is None:
        return (state.superseded.branch,) if state.superseded is not None else ()
    ref = state.open.ref
    return tuple(stage_branch(ref.task, ref.stage, attempt) for attempt in range(1, ref.attempt))
