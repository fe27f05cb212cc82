"""What people said on a forge, as commands and messages that are not there yet. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from runner import commands
from runner.commands import Command, Standing
from runner.errors import UserError
from runner.forge import Asked, Heard, Issue, Remark
from runner.forge.hidden import told
from runner.observe import View
from runner.people import issues, orders, remarks
from runner.state import TaskState
from runner.talk import telling, threads
from runner.talk.messages import Message

Known = Mapping[str, Mapping[str, Message]]
"""The messages of discussions, by task and id."""


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


def take(view: View, heard: Heard, now: str, known: Known) -> Taken:
    """Pure: what was heard, as commands and messages that are not there yet; what is not acted on, with the reason."""
    states = {state.task.id: state for state in view.states}
    parts = [_issue(states.get(f"issue-{issue.number}"), issue, now) for issue in heard.issues]
    for remark in heard.remarks:
        if (state := states.get(remark.task)) is not None:
            seen = _saw(state, remark, heard.asked.get(remark.task))
            part = _remark(view, state, remark, known.get(remark.task, {}).get(remark.id), seen)
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


def _saw(state: TaskState, remark: Remark, note: Asked | None) -> bool:
    """Pure: whether what the agent asks stood below the issue when somebody said this there.

    Both moments are by the forge's own clock. Where no note could be written nobody can tell, and whoever speaks while
    the agent asks is believed to answer.
    """
    return note is None or (note.since == telling.asked(state) and remark.at >= note.at)


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


def _remark(view: View, state: TaskState, remark: Remark, known: Message | None, seen: bool) -> Taken:
    """One remark, as what it is not yet: a command, a message (`known`: it is one). Or it has to wait.

    `seen`: whether its writer could see what the agent asks.
    """
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
        return _spoken(view, state, remark, said, order, known, seen)
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
    seen: bool,
) -> Taken:
    """Words below an issue: a message of its task's discussion, and a command where it means one."""
    task, text = state.task.id, told(remark.text if said is None else said.args["text"], remark.lost)
    meant = threads.meant(state, said.verb if said else None, order, known, seen)
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
