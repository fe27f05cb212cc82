"""The forge's side of a turn: hear what people said there, show them how their tasks stand. Start reading at `attend`.

Whoever first sees a remark appends it as a command to the task's ref, under the remark's own id; from there on it is
Git like everything else, and nothing below knows which forge it came from.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import msgspec

from runner import commands, issues, letters, orders, remarks, wording
from runner.commands import Command, Standing
from runner.decide import Claim, Escalate, Finish, Hold, Nothing, decide
from runner.errors import UserError
from runner.forge import Heard, Issue, Mark, Proposal, Remark, Shown, Watched
from runner.host import Host, lock
from runner.lifecycle import stage_branch, work_branch
from runner.observe import ISSUE, View, observe
from runner.state import OpenStage, TaskState


class Taken(NamedTuple):
    """What came of one look: commands to append by task, remarks taken up and not acted on, issues turned away."""

    said: tuple[tuple[str, Command], ...] = ()
    taken: tuple[Remark, ...] = ()
    unheard: tuple[tuple[Remark, str], ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    accepted: frozenset[str] = frozenset()


Look = Callable[[], View]


def attend(
    host: Host, view: View | None = None, *, look: Look | None = None, only: frozenset[str] | None = None
) -> View:
    """Hear, append, look again, show; of the tasks `only`, or of all. Returns the view as it is then.

    `view` is the present one if there is one, `look` how to get another (None: all of the hub). What looked first must
    not show last: on this host one process at a time attends, and looks while it does.
    """
    look = look or partial(observe, host.site)
    if not host.forge.talks:
        return view or look()
    with lock(host.state, "attend"):
        return _attend(host, look, only)


def _attend(host: Host, look: Look, only: frozenset[str] | None) -> View:
    view = look()
    heard = host.forge.hear(tuple(each for each in watched(view) if only is None or each.task in only), only)
    taken = take(view, heard, host.timestamp())
    for task, command in taken.said:
        commands.append(host.repo, host.hub.url, commands.ref_of(task), command)
    view = look() if taken.said else view
    for number in heard.strangers:
        host.forge.turn_away(number, letters.stranger())
    for number, why in taken.refused:
        host.forge.show(Shown(f"issue-{number}", letters.refused(why), refused=True))
    turned_away = {f"issue-{number}" for number, _ in taken.refused}
    for state in view.states:
        if state.task.id not in turned_away and (only is None or state.task.id in only) and _is_news(state, heard):
            host.forge.show(shown(view, state, heard, taken))
    return view


def watched(view: View) -> Iterator[Watched]:
    """Pure: the tasks that are not complete, and what of each is open."""
    for state in view.states:
        if state.current is not None:
            accepted = state.standing.accepted
            yield Watched(
                state.task.id,
                state.open.ref if state.open else None,
                state.open.branch if state.open else "",
                accepted.at if accepted else "",
                state.standing.withdrawn is not None,
            )


# --- what was heard ------------------------------------------------------------------------------------------------


def take(view: View, heard: Heard, now: str) -> Taken:
    """Pure: what was heard, as commands that are not there yet; and what is not acted on, with the reason."""
    states = {state.task.id: state for state in view.states}
    parts = [_issue(states.get(f"issue-{issue.number}"), issue, now) for issue in heard.issues]
    parts += [_remark(view, states[remark.task], remark) for remark in heard.remarks if remark.task in states]
    return Taken(
        tuple(each for part in parts for each in part.said),
        tuple(each for part in parts for each in part.taken),
        tuple(each for part in parts for each in part.unheard),
        tuple(each for part in parts for each in part.refused),
        frozenset(each for part in parts for each in part.accepted),
    )


def _issue(state: TaskState | None, issue: Issue, now: str) -> Taken:
    """An issue is accepted, withdrawn or turned away. One whose task is complete stays as it is."""
    task = f"issue-{issue.number}"
    if state is not None and state.current is None:
        return Taken()
    standing = state.standing if state is not None else Standing()
    before = standing.accepted
    acts = before.acts if before else frozenset()
    verdict = issues.judge(issue, before.text if before else None, standing.withdrawn is not None, acts)
    match verdict:
        case issues.Accept():
            return Taken(tuple((task, each) for each in _acceptance(verdict, anew=before)), accepted=frozenset({task}))
        case issues.Withdraw(why, act):
            count = len([each for each in state.commands if each.verb == "withdraw"]) if state else 0
            command = Command(f"github:{act}-{count}", now, "Pullwright", "withdraw", {"why": why})
            return Taken(((task, command),))
        case issues.Refuse(why):
            return Taken(refused=((issue.number, why),))
    return Taken()


def _acceptance(verdict: issues.Accept, anew: object) -> Iterator[Command]:
    """The acceptance itself; anew, the agent that is at work hears what it says now."""
    request = msgspec.to_builtins(verdict.request)
    args = {"request": request, "by": verdict.by, "act": verdict.act, "text": verdict.text, "source": verdict.source}
    yield Command(f"github:label-{verdict.act}", verdict.at, verdict.by, "accept", args)
    if anew is not None:
        now = f"{verdict.request.title}\n\n{verdict.request.description}"
        text = f"The task was changed and accepted anew. It says now:\n{now}"
        yield Command(f"github:label-{verdict.act}-text", verdict.at, verdict.by, "comment", {"text": text})


def _remark(view: View, state: TaskState, remark: Remark) -> Taken:
    """One remark as a command; nothing where it is there already, or has to wait until something is open."""
    if remark.id in {command.id for command in state.commands}:
        return Taken()
    said = _parsed(remark)
    if not remark.who.trusted:
        why = f"{remark.who.name} has no write access" if not remark.who.bot else f"{remark.who.name} is a bot"
        return Taken(unheard=((remark, why),)) if isinstance(said, remarks.Said | remarks.Unknown) else Taken()
    if isinstance(said, remarks.Unknown):
        return Taken(unheard=((remark, said.why),))
    plain = said is None
    verb, args = ("comment", {"text": remark.text}) if said is None else said
    try:
        who = f"{remark.who.name} ({remark.who.id})"
        command = orders.compose(state, view.settings, verb, who, remark.at, **args)
    except UserError as error:
        return Taken() if plain else Taken(unheard=((remark, error.what),))
    return Taken(((state.task.id, msgspec.structs.replace(command, id=remark.id)),), taken=(remark,))


def _parsed(remark: Remark) -> remarks.Said | remarks.Unknown | None:
    if remark.kind == "closed":
        return remarks.Said("reject", {"text": remark.text})
    return remarks.parse(remark.text)


# --- what is shown -------------------------------------------------------------------------------------------------


def _is_news(state: TaskState, heard: Heard) -> bool:
    """Whether a task has anything to show: one that is complete has, until its issue says so."""
    if state.current is not None:
        return True
    issue = next((each for each in heard.issues if f"issue-{each.number}" == state.task.id), None)
    return issue is not None and (issue.open or issue.stage != "complete")


def shown(view: View, state: TaskState, heard: Heard, taken: Taken) -> Shown:
    """Pure: how a task shall look."""
    number = int(state.task.id.removeprefix("issue-")) if ISSUE.fullmatch(state.task.id) else None
    status, remedy, label = _words(view, state)
    mine = [(remark, why) for remark, why in taken.unheard if remark.task == state.task.id]
    ready = state.open if state.open is not None and state.open.entry.state == "ready" else None
    return Shown(
        task=state.task.id,
        note=letters.note(state, status, remedy, mine) if number is not None else "",
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
            return "complete", "", "complete"
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
