"""What is said to a task is a command too: then its agent hears it, whoever said it where."""

import msgspec

from runner.agents import Settings
from runner.commands import Command
from runner.errors import UserError
from runner.people.orders import compose
from runner.state import TaskState
from runner.talk.delivering import SEEN
from runner.talk.messages import Message


def order(state: TaskState, settings: Settings, said: Message, who: str = "") -> Command | None:
    """Pure: the command that a person's message is as well, under the message's id, said by `who` (nothing: its own).

    Talk is one only while an agent is at work, which hears it before its next step. Raises `UserError` when a message
    that is meant as a command makes none as the task stands.
    """
    talk = said.verb == "talk"
    if talk and not works(state):
        return None
    try:
        made = compose(
            state, settings, "comment" if talk else said.verb, who or said.who, said.at, text=_with_files(said)
        )
    except UserError:
        if talk:
            return None
        raise
    return msgspec.structs.replace(made, id=said.id)


def works(state: TaskState) -> bool:
    """Pure: whether an agent is at the task."""
    return state.open is not None and state.open.entry.state == "working"


def asks(state: TaskState) -> bool:
    """Pure: whether the task's agent waits for an answer."""
    return bool(asked(state))


def asked(state: TaskState) -> str:
    """Pure: when the question was asked with which the task's agent waits; nothing where it asks nothing."""
    entry = state.open.entry if state.open else None
    if entry is None or entry.state != "held" or entry.hold is None or entry.hold.kind != "input":
        return ""
    return entry.hold.since


def require_same(state: TaskState, seen: str) -> None:
    """Pure: refuse an answer to the question that was asked at `seen` where the agent asks another one by now."""
    now = asked(state)
    if seen and now and seen != now:
        raise UserError(f"{state.task.id}: it asks something else by now", "look at it again")


def _with_files(said: Message) -> str:
    """The words for the agent at work, with where it finds what was sent."""
    return said.text + "".join(f"\n(sent with it: {SEEN}/{name})" for name in said.files)
