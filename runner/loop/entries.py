"""The lines of a trajectory: values, and how they are read. What each is for, `runner.loop.trajectory` says."""

from collections.abc import Iterator

import msgspec

from runner.errors import UserError
from runner.models import Message, Reply, ToolCall

_REPLY = msgspec.json.Decoder(Reply)


class Started(msgspec.Struct, frozen=True, tag="start", tag_field="kind", omit_defaults=True):
    """A new segment: the conversation is `messages` from here on, whatever came before.

    The first `opening` of them are the fixed front, which a compaction keeps as they are. `why` it is not the first
    segment: `window` (compacted), `overflow`, `repeat`, `restart`, or what made the protocol change. `noted`: the
    message after the front is the loop's own notes, which the next compaction writes anew.
    """

    model: str
    protocol: str
    messages: tuple[Message, ...]
    opening: int
    why: str = ""
    noted: bool = False


class Replied(msgspec.Struct, frozen=True, tag="reply", tag_field="kind", omit_defaults=True):
    """What the model said to the conversation whose digest is `asked`, and to `sent` characters of it.

    `only` are the tools that it was allowed (empty: all). `body`: this is the text which the reply before it still
    owed, not a step of its own.
    """

    reply: Reply
    asked: str
    sent: int
    seconds: float
    only: tuple[str, ...] = ()
    body: bool = False


class Ran(msgspec.Struct, frozen=True, tag="result", tag_field="kind", omit_defaults=True):
    """What came of a call, as the model was told. `call` and `thought` are how the turn is kept in the conversation.

    `snapshot` names the state of the workspace after it; `fault` says that the tool refused (`ToolError`), `lifted`
    that the call was found in text although native calls were offered. `notes` are what it put into the task's history.
    """

    call: ToolCall
    thought: str
    text: str
    seconds: float
    exit: int | None = None
    fault: bool = False
    lifted: bool = False
    snapshot: str | None = None
    notes: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True, tag="told", tag_field="kind", omit_defaults=True):
    """Words to the model that no tool said. `after` is what it had said, as that stays in the conversation.

    `rule` names why they were said: a `Flaw` of the reply, `repeat` (of a `call` that was not run), `last turn`, or
    `person`, whose message has an `id`.
    """

    text: str
    rule: str
    after: str = ""
    call: ToolCall | None = None
    id: str = ""


class Ended(msgspec.Struct, frozen=True, tag="end", tag_field="kind", omit_defaults=True):
    """How a run ended, for a reader; the next run simply goes on."""

    outcome: str
    detail: str = ""


Entry = Started | Replied | Ran | Told | Ended


def durable(reply: Reply) -> Reply:
    """A reply as it will be read back, so that a run which goes on after a crash sees the very same.

    What no JSON in UTF-8 can carry (lone surrogates, endless nesting) is dropped with the calls that hold it.
    """
    try:
        return _REPLY.decode(msgspec.json.encode(reply))
    except (UnicodeEncodeError, RecursionError, msgspec.MsgspecError):
        text = reply.text.encode("utf-8", "replace").decode()
        return msgspec.structs.replace(reply, text=text, calls=(), model="")


def entries(data: bytes, name: str) -> Iterator[Entry]:
    """The entries of a trajectory's bytes, without a last line that was cut short.

    Raises `UserError` with `name` and the line for a line that is damaged.
    """
    decoder = msgspec.json.Decoder(Entry)
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            yield decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UserError(
                f"{name}: line {number} is damaged: {error}",
                "move the file away; the stage then starts a new conversation on the work that is there",
            ) from error


def turns(entry: Entry) -> tuple[Message, ...]:
    """The messages that an entry adds to the conversation."""
    if isinstance(entry, Ran):
        return _exchange(entry.thought, entry.call, entry.text)
    if isinstance(entry, Told):
        if entry.call is not None:
            return _exchange(entry.after, entry.call, entry.text)
        answered = (Message("assistant", entry.after),) if entry.after else ()
        return (*answered, Message("user", entry.text))
    return ()


def _exchange(thought: str, call: ToolCall, text: str) -> tuple[Message, ...]:
    return Message("assistant", thought, calls=(call,)), Message("tool", text, answers=call.id, tool=call.name)
