"""A trajectory as a person would read a chat, and yesterday's replies read again with today's rules. Pure."""

from collections.abc import Iterable, Iterator

import msgspec

from runner.loop.trajectory import Ended, Entry, Ran, Replied, Started, Told
from runner.models import Message, ToolCall
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody, Read
from runner.tools import TOOLS, describe
from runner.tools.text import elide, plain

LONG = 2000
"""Characters of one text that are shown unless everything is asked for."""

_WHY = {
    "window": "older turns were left out to fit the window",
    "overflow": "the server said that the prompt was too long; older turns were left out",
    "repeat": "repeated turns were taken out of sight",
    "restart": "it went in circles, and began anew from its notes",
}


class Reread(msgspec.Struct, frozen=True):
    """What became of a reply `then`, and what would `now`."""

    turn: int
    then: str
    now: str


def chat(entries: Iterable[Entry], everything: bool = False) -> Iterator[str]:
    """The conversation in paragraphs of plain text; terminal escapes are made visible."""
    turn = 0
    for entry in entries:
        turn += isinstance(entry, Replied) and not entry.body
        for who, text in _said(entry, turn):
            text = plain(text)
            yield f"{who}\n{text if everything else elide(text, LONG, 'show everything to see it')}\n"


def _said(entry: Entry, turn: int) -> list[tuple[str, str]]:
    match entry:
        case Started(why="") | Started(why="restart"):
            title = f"── {entry.model}, {entry.protocol}" + (f": {_WHY[entry.why]}" if entry.why else "")
            return [(title, ""), *(_message(message) for message in entry.messages)]
        case Started():
            return [(f"── {entry.model}, {entry.protocol}: {_WHY.get(entry.why, entry.why)}", "")]
        case Replied():
            tokens = f"{entry.reply.prompt_tokens} + {entry.reply.completion_tokens} tokens, {entry.seconds:.1f} s"
            title = "the text that was owed" if entry.body else f"{turn} · model"
            calls = [_called(call) for call in entry.reply.calls]
            return [(f"{title} ({tokens})", "\n".join([entry.reply.text, *calls]).strip())]
        case Ran():
            return [(f"{entry.call.name} ({entry.seconds:.1f} s){' refused' if entry.fault else ''}", entry.text)]
        case Told():
            return [("person" if entry.rule == "person" else f"runner, because of: {entry.rule}", entry.text)]
        case Ended():
            return [(f"── {entry.outcome}", entry.detail)]


def _message(message: Message) -> tuple[str, str]:
    return message.role, "\n".join([message.text, *(_called(call) for call in message.calls)]).strip()


def _called(call: ToolCall) -> str:
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def reread(entries: Iterable[Entry]) -> Iterator[Reread]:
    """The turns that today's reading understands otherwise than the run did."""
    protocol, pending, turn = "native", list[Replied](), 0
    for entry in entries:
        match entry:
            case Started():
                protocol, pending = entry.protocol, []
            case Replied():
                turn += not entry.body
                pending.append(entry)
            case Ran() | Told() if pending:
                then, now = _came(entry), _meaning(_read(protocol, pending))
                pending = []
                if then != now:
                    yield Reread(turn, then, now)


def _read(protocol: str, pending: list[Replied]) -> Read:
    first, *bodies = pending
    specs = tuple(describe(TOOLS[name]) for name in TOOLS if not first.only or name in first.only)
    read: Read = PROTOCOLS[protocol].read(first.reply, specs)
    for body in bodies:
        if isinstance(read, NeedBody):
            read = PROTOCOLS[protocol].read_body(body.reply, read)
    return read


def _came(entry: Ran | Told) -> str:
    call = entry.call
    return _called(call) if call is not None else f"unreadable: {entry.rule}" if isinstance(entry, Told) else ""


def _meaning(read: Read) -> str:
    match read:
        case Act():
            return _called(read.call)
        case Malformed():
            return f"unreadable: {read.flaw}"
    return f"{_called(read.call)}, without its {read.parameter}"
