"""The forge's side of a turn: hear what people said there, show them how their tasks stand. Start reading at `attend`.

Whoever first sees a remark appends it as a command to the task's ref, under the remark's own id; from there on it is
Git like everything else, and nothing below knows which forge it came from.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from runner import commands, wording
from runner.commands import Command, Standing
from runner.decide import Claim, Escalate, Finish, Hold, Nothing, decide
from runner.errors import UserError
from runner.forge import Heard, Issue, Mark, Proposal, Remark, Shown, Watched
from runner.forge.hidden import told
from runner.host import Host, lock
from runner.lifecycle import stage_branch, work_branch
from runner.observe import ISSUE, View, observe
from runner.people import issues, letters, orders, remarks
from runner.state import OpenStage, TaskState
from runner.talk import threads
from runner.talk.messages import Message


class Taken(NamedTuple):
    """What came of one look: commands to append by task, remarks taken up and not acted on, issues turned away.

    `spoken` are messages for the discussions of tasks.
    """

    said: tuple[tuple[str, Command], ...] = ()
    taken: tuple[Remark, ...] = ()
    unheard: tuple[tuple[Remark, str], ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    accepted: frozenset[str] = frozenset()
    spoken: tuple[tuple[str, Message], ...] = ()


DONE = "done"
"""The label of a task of which nothing is left. That of the stage complete it has while that one is worked on, and an
issue is closed by GitHub itself when its last proposal is merged: neither tells whether the note has said so."""
Known = Mapping[str, Mapping[str, Message]]
"""The messages of discussions, by task and id."""
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
    heard = host.forge.hear(tuple(watched(view, only)), only)
    taken = take(view, heard, host.timestamp(), threads.known(host, {each.task for each in heard.remarks}))
    for task, command in taken.said:
        commands.append(host.repo, host.hub.url, commands.ref_of(task), command)
    for task, message in taken.spoken:
        threads.keep(host, view.state(task), message)
    view = look() if taken.said or taken.spoken else view
    for number in heard.strangers:
        host.forge.turn_away(number, letters.stranger())
    for number, why in taken.refused:
        host.forge.show(Shown(f"issue-{number}", letters.refused(why), refused=True))
    turned_away = {f"issue-{number}" for number, _ in taken.refused}
    for state in view.states:
        if state.task.id not in turned_away and (only is None or state.task.id in only) and _is_news(state, heard):
            host.forge.show(shown(view, state, heard, taken))
    if view.settings.policy.talk:
        for state in view.states:
            if ISSUE.fullmatch(state.task.id) and (only is None or state.task.id in only):
                threads.show(host, state.task.id, view.refs.ours.get(f"discussions/{state.task.id}"))
    return view


def watched(view: View, only: frozenset[str] | None = None) -> Iterator[Watched]:
    """Pure: of the tasks `only`, or of all: what of each is open.

    People also talk about what is done: a complete task is listened to as well, one that is not named with less effort.
    """
    for state in view.states:
        if only is None or state.task.id in only:
            accepted = state.standing.accepted
            yield Watched(
                state.task.id,
                state.open.ref if state.open else None,
                state.open.branch if state.open else "",
                accepted.at if accepted else "",
                state.standing.withdrawn is not None,
                done=only is None and state.current is None,
            )


# --- what was heard ------------------------------------------------------------------------------------------------


def take(view: View, heard: Heard, now: str, known: Known) -> Taken:
    """Pure: what was heard, as commands and messages that are not there yet; what is not acted on, with the reason."""
    states = {state.task.id: state for state in view.states}
    parts = [_issue(states.get(f"issue-{issue.number}"), issue, now) for issue in heard.issues]
    for remark in heard.remarks:
        if (state := states.get(remark.task)) is not None:
            part = _remark(view, state, remark, known.get(remark.task, {}).get(remark.id))
            states[remark.task] = _after(state, part)
            parts.append(part)
    return Taken(
        tuple(each for part in parts for each in part.said),
        tuple(each for part in parts for each in part.taken),
        tuple(each for part in parts for each in part.unheard),
        tuple(each for part in parts for each in part.refused),
        frozenset(each for part in parts for each in part.accepted),
        tuple(each for part in parts for each in part.spoken),
    )


def _after(state: TaskState, part: Taken) -> TaskState:
    """Pure: the task once these commands are heard, so that the next remark is understood in their light."""
    said = (*state.commands, *(command for _, command in part.said))
    return msgspec.structs.replace(state, commands=said, standing=commands.standing(said)) if part.said else state


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


def _remark(view: View, state: TaskState, remark: Remark, known: Message | None) -> Taken:
    """One remark, as what it is not yet: a command, a message (`known`: it is one). Or it has to wait."""
    order = next((command for command in state.commands if command.id == remark.id), None)
    said = _parsed(remark)
    talk = view.settings.policy.talk and remark.below_issue
    if order is not None and not talk:
        return Taken()
    if not remark.who.trusted:
        why = f"{remark.who.name} has no write access" if not remark.who.bot else f"{remark.who.name} is a bot"
        return Taken(unheard=((remark, why),)) if isinstance(said, remarks.Said | remarks.Unknown) else Taken()
    if isinstance(said, remarks.Unknown):
        return Taken(unheard=((remark, said.why),))
    if said is None and remark.lost and not remark.text:
        return Taken()  # what there is nobody can see, which the note says
    if talk and (said is None or said.verb in threads.SPOKEN):
        return _spoken(view, state, remark, said, order, known)
    return _ordered(view, state, remark, said) if order is None else Taken()


def _ordered(view: View, state: TaskState, remark: Remark, said: remarks.Said | None) -> Taken:
    """A remark as a command: the one that it names, else a word to the agent, which waits until a stage is open."""
    verb, args = ("comment", {"text": remark.text}) if said is None else said
    args = args | ({"text": told(args["text"], remark.lost)} if "text" in args else {})
    try:
        command = _command(view, state, remark, verb, args)
    except UserError as error:
        return Taken() if said is None else Taken(unheard=((remark, error.what),))
    return Taken(((state.task.id, command),), taken=(remark,))


def _command(view: View, state: TaskState, remark: Remark, verb: str, args: Mapping[str, Any]) -> Command:
    if verb == "set-budget":
        args = {"budget": orders.bounded(state, args["budget"])}
    who = f"{remark.who.name} ({remark.who.id})"
    command = orders.compose(state, view.settings, verb, who, remark.at, **args)
    return msgspec.structs.replace(command, id=remark.id)


def _spoken(
    view: View,
    state: TaskState,
    remark: Remark,
    said: remarks.Said | None,
    order: Command | None,
    known: Message | None,
) -> Taken:
    """Words below an issue: a message of its task's discussion, and a command where it means one."""
    task, text = state.task.id, told(remark.text if said is None else said.args["text"], remark.lost)
    meant = threads.meant(state, said.verb if said else None, order, known)
    given: tuple[tuple[str, Command], ...] = ()
    if meant.order is not None:
        try:
            given = ((task, _command(view, state, remark, meant.order, {"text": text})),)
        except UserError as error:
            if said is not None:
                return Taken(unheard=((remark, error.what),))
    if known is not None:
        return Taken(given)
    message = Message(remark.id, remark.at, "person", remark.who.name, text, verb=meant.verb)
    return Taken(given, taken=(remark,), spoken=((task, message),))


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
