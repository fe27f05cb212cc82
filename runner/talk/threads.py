"""An issue's thread and its task's discussion are one conversation: what is said in either stands in both, once.

A comment is a message of its own id, so that it comes back as nothing. A message from elsewhere becomes a comment whose
hidden marker names it, so that it is no person's; this host notes what it has seen there, and asks no more.
"""

import uuid
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from runner.commands import Command, Verb
from runner.errors import UserError
from runner.host import Host
from runner.people import letters
from runner.state import TaskState
from runner.talk import discussions
from runner.talk.messages import TITLE, About, Created, Discussion, Message, is_uuid
from runner.talk.telling import asks, works
from runner.wording import one_line

GITHUB = "github:"
AT_ONCE = 20
"""Comments that one look writes at most: a long discussion comes into its thread bit by bit."""
SPOKEN: tuple[Verb, ...] = ("comment", "answer")
"""The commands that are words too."""


# --- from the thread -----------------------------------------------------------------------------------------------


class Meant(NamedTuple):
    """What a comment below an issue means: as a message, and as a command (None: it is none) with its arguments."""

    verb: Any
    order: Verb | None


def meant(
    state: TaskState, said: Verb | None, order: Command | None, known: Message | None, seen: bool = True
) -> Meant:
    """Pure: what a comment means. `said` is the command that it names, `order` the one that has come of it already,
    `known` its message, where it has been heard before, `seen` whether its writer could see what the agent asks.

    Plain words are the answer to what the agent asks, where they were written in the sight of it, else talk; talk is
    also told to the agent that works, or to the next one that does. It never sends a proposal back, as `comment` does.
    """
    if known is not None:
        verb: Any = known.verb
    elif said is not None:
        verb = said
    elif order is not None:
        verb = "answer" if order.verb == "answer" else "talk"
    else:
        verb = "answer" if asks(state) and seen else "talk"
    if order is not None or (known is not None and verb != "talk"):
        return Meant(verb, None)
    return Meant(verb, verb if verb != "talk" else "comment" if works(state) else None)


def known(host: Host, tasks: set[str]) -> dict[str, dict[str, Message]]:
    """The messages that the discussions of tasks hold, by their ids."""
    found = {task: discussions.read(host.site, task) for task in tasks}
    return {task: {one.id: one for one in there.messages} if there else {} for task, there in found.items()}


def keep(host: Host, state: TaskState, message: Message) -> None:
    """Put a comment into the discussion of its task, which begins with it if there is none.

    One for which there is no room stands in the thread alone. Raises `UserError`.
    """
    task = state.task.id
    if discussions.read(host.site, task) is None:
        title = one_line(state.task.request.title, TITLE) or task
        begun = Created(message.at, message.who)
        discussions.begin(host.site, About(task, title, begun, task), redactor=host.redactor)
    try:
        discussions.say(host.site, task, message, redactor=host.redactor)
    except discussions.Full as error:
        host.say(f"{task}  {error.what}")


# --- into the thread -----------------------------------------------------------------------------------------------


class Posted(msgspec.Struct, frozen=True):
    """What this host knows to stand in a thread: the ids of messages, and the discussion's commit that is all there."""

    head: str = ""
    ids: frozenset[str] = frozenset()


def show(host: Host, task: str, head: str | None) -> None:
    """Let the thread of a task's issue say what was said elsewhere; `head` is the discussion's commit, if there is one.

    Where the thread takes nothing (an issue can be locked) that is said, and tried again when there is more.
    """
    note = host.state / "threads" / f"{task}.json"
    before = _noted(note)
    found = discussions.at(host.repo, task, head) if head != before.head else None
    if found is None:
        return
    missing = [one for one in found.messages if not one.id.startswith(GITHUB) and one.id not in before.ids]
    sent = missing[:AT_ONCE]
    try:
        if sent:
            host.forge.converse(task, [(_key(one), _text(host, found, one)) for one in sent])
    except UserError as error:
        host.say(f"{task}  {error.what}")
        sent = []
    _note(note, Posted(found.head if sent == missing else "", before.ids | {one.id for one in sent}))


def _key(message: Message) -> str:
    """What names a message in a hidden marker, which it must not be able to end."""
    return message.id if is_uuid(message.id) else str(uuid.uuid5(uuid.NAMESPACE_URL, message.id))


def _text(host: Host, found: Discussion, message: Message) -> str:
    below = [message.cut, f"Files: {', '.join(message.files)}" if message.files else ""]
    text = letters.spoken(message.who, message.model, _how(found, message), message.text, " ".join(filter(None, below)))
    return host.redactor.clean(text)


def _how(found: Discussion, message: Message) -> str:
    """What somebody does by saying it."""
    if message.role == "note":
        return "notes"
    if message.role == "person":
        return {"answer": "answers the agent", "reject": "rejects the proposal"}.get(message.verb, "says")
    asked = next((one for one in found.messages if one.id == message.answers), None)
    about = f" {letters.plain(asked.who)}, “{letters.plain(one_line(asked.text, 80))}”" if asked else ""
    return f"answers{about}" + (" (and was stopped)" if message.cancelled else "")


def _noted(note: Path) -> Posted:
    try:
        return msgspec.json.decode(note.read_bytes(), type=Posted)
    except (OSError, msgspec.DecodeError):
        return Posted()  # the thread itself tells


def _note(note: Path, posted: Posted) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    fresh = note.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(posted))
    fresh.replace(note)
