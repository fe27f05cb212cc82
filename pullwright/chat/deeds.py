"""What the commands of a chat do. Each returns lines for the person, or raises `UserError`."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from pullwright import standing
from pullwright.chat.room import Room
from pullwright.chat.words import Order, bounds
from pullwright.people import budget_of, in_words
from runner.approval import seen
from runner.errors import UserError
from runner.people.remarks import Unknown
from runner.talk.telling import asks


def deed(room: Room, order: Order) -> Iterator[str]:
    """Carry out a command that is no words to the agent. Raises `UserError`."""
    match order.name:
        case "pause" | "resume" | "cancel" | "retry":
            room.tell(order.name)
            yield f"{order.name}: noted; the runner acts on it"
        case "assign":
            room.tell("assign", agent=order.words)
            yield f"{order.words} takes its next stages"
        case "budget":
            yield _budget(room, order.words)
        case "approve":
            yield room.approve()
        case "attach":
            yield from _attach(room, order.words)
        case "files":
            yield from _files(room)
        case "status":
            room.look()
            yield from status(room)


def status(room: Room) -> Iterator[str]:
    """Where the task stands and what a person can do about it, as the last look has it."""
    step, _ = room.step()
    said = standing.words(step, room.site.hub, room.view.settings.base)
    head = seen(room.state())
    yield f"{room.state().task.id}  {standing.position(step)}  {said.reason}" + (f" ({head})" if head else "")
    yield from (f"  → {way}" for way in said.ways if not (head and way.startswith("pullwright review")))
    if head:
        yield "  → /approve merges that, /comment TEXT sends it back, /reject TEXT closes it"
    if asks(room.state()):
        yield "  → /answer TEXT answers it here"


def _budget(room: Room, words: str) -> str:
    if words:
        wanted = bounds(words)
        if isinstance(wanted, Unknown):
            raise UserError(wanted.why)
        room.tell("set-budget", budget=wanted)
    return f"budget: {in_words(budget_of(room.state()))}"


def _attach(room: Room, words: str) -> Iterator[str]:
    """A file, or several with spaces between them as a shell has it: that is what one gets by dragging them here."""
    whole = Path(words).expanduser()
    try:
        names = [words] if whole.is_file() else shlex.split(words)
    except ValueError as error:
        raise UserError(f"{words}: {error}", "close the quotation") from error
    for name in names:
        yield f"{room.attach(Path(name))}: sent; it goes with what you say next"


def _files(room: Room) -> Iterator[str]:
    found = room.bring()
    if found is None or not found.files:
        yield "nothing was sent yet: /attach FILE"
        return
    for name, size in found.files.items():
        yield f"{name}  {size:,} bytes"
