"""What a discussion is made of, as values; and what follows from them. Pure."""

import re
import uuid
from collections.abc import Iterable
from typing import Literal

import msgspec

from runner.lifecycle import SLUG
from runner.talk.files import is_name
from runner.tools.text import plain
from runner.wording import one_line

LONGEST = 100_000
"""Bytes of a message's text in UTF-8."""
MOST, MOST_SAID = 5000, 4 << 20
"""Messages of a discussion, and bytes of all of them: each commit writes them anew, and each reader reads them all."""
CUT_OFF = "\n\n… (the rest was left out: a message has at most 100 kB)"
TITLE, NAME, MOMENT = 120, 200, 40
"""Characters of a title, of a name or an id, of a moment."""
MOST_NAMED = 50
"""Files that one message names, and things that were looked at for it."""
MOST_TOKENS, MOST_COST = 1 << 50, 1e9

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Look(msgspec.Struct, frozen=True):
    """One thing that an agent looked at to answer: the `tool`, and `what` it was asked for, on one line."""

    tool: str
    what: str


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was said. `text` is Markdown.

    `id` is made by who says it, so that saying it twice is saying it once; an agent's is `answer_id`. `answers` is the
    id of the question, `task` the slug of a task that was made of the discussion. `verb`: what a person meant it as;
    all but `talk` is a command to the task as well and asks nobody. `cut` says in a sentence what of the discussion did
    not fit into the model's window. `cost` is in US dollars.
    """

    id: str
    at: str
    role: Literal["person", "agent", "note"]
    who: str
    text: str
    files: tuple[str, ...] = ()
    answers: str | None = None
    task: str | None = None
    model: str = ""
    tokens: int = 0
    cost: float = 0.0
    cut: str = ""
    cancelled: bool = False
    read: tuple[Look, ...] = ()
    verb: Literal["talk", "comment", "answer", "reject"] = "talk"


class Created(msgspec.Struct, frozen=True):
    """When (ISO 8601, UTC) and by whom a discussion was begun."""

    at: str
    who: str


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """A discussion without what was said. `id` is the slug of its `task`, or a UUID; `agent` is who shall answer."""

    id: str
    title: str
    created: Created
    task: str | None = None
    agent: str | None = None


class Discussion(msgspec.Struct, frozen=True):
    """A discussion at one commit, `head`. `files` are the names and sizes in bytes of what was sent."""

    about: About
    messages: tuple[Message, ...]
    files: dict[str, int]
    head: str


def is_id(word: str) -> bool:
    """Whether a word can be a discussion's id: a task's, or a UUID in lower case."""
    return SLUG.fullmatch(word) is not None


def is_uuid(word: str) -> bool:
    """Whether a word is a UUID as people's programs make them for messages, in lower case."""
    return _UUID.fullmatch(word) is not None


def is_own_id(word: str) -> bool:
    """Whether a person may give a message this id: a UUID that follows from no other id, as an answer's does (RFC 9562,
    version 5). Who took that of an answer before it is there would keep it from being said."""
    return is_uuid(word) and word[14] != "5"


def new_id() -> str:
    """An id for a discussion without a task, or for a message."""
    return str(uuid.uuid4())


def answer_id(question: str) -> str:
    """The id of the answer to a message: the same whoever computes it, so that it is there once."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"pullwright:{question}/answer"))


def note_id(discussion: str, task: str) -> str:
    """The id of the note that a discussion became a task: said twice it is there once."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"pullwright:{discussion}/{task}/note"))


def is_question(message: Message) -> bool:
    """Whether a message waits for an agent's answer."""
    return message.role == "person" and message.verb == "talk"


def unanswered(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The questions that nobody has answered yet, oldest first.

    One whose answer's id somebody took is none any more: no answer could be stored, and the model be asked for ever.
    """
    messages = tuple(messages)
    answered = {message.answers for message in messages if message.role == "agent"}
    taken = {message.id for message in messages}
    return tuple(
        message
        for message in messages
        if is_question(message) and message.id not in answered and answer_id(message.id) not in taken
    )


def before(messages: Iterable[Message], question: str) -> tuple[Message, ...]:
    """What had been said when `question` was asked, with the answers to earlier questions, whenever they came."""
    found: list[Message] = []
    messages = tuple(messages)
    for message in messages:
        if message.id == question:
            break
        found.append(message)
    known = {message.id for message in found}
    late = (message for message in messages if message.answers in known and message.id not in known)
    return tuple(found) + tuple(late)


def within(text: str) -> str:
    """`text` as it is stored: at most `LONGEST` bytes, the rest is left out with a sentence that says so."""
    data = text.encode("utf-8", "replace")
    if len(data) <= LONGEST:
        return data.decode()
    return data[: LONGEST - len(CUT_OFF.encode())].decode("utf-8", "ignore") + CUT_OFF


def title_of(text: str) -> str:
    """A title for a discussion that begins with `text`."""
    return one_line(text, 60) or "A discussion"


def readable(message: Message) -> str:
    """A message as its commit says it: who and the first words, then the whole, with nothing that steers a terminal."""
    told = [f"Files: {', '.join(message.files)}"] if message.files else []
    head = f"{one_line(message.who, 60)}: {one_line(message.text, 60)}"
    return "\n\n".join([head, plain(message.text), *told]).rstrip() + "\n"


def lines(messages: Iterable[Message]) -> bytes:
    """Messages as `messages.jsonl`."""
    return b"".join(msgspec.json.encode(message) + b"\n" for message in messages)


def parse(data: bytes) -> tuple[Message, ...]:
    """The messages of a `messages.jsonl`; a line that is none is passed over, an id counts once.

    Anybody who may push can write here; what lies far beyond `MOST` and `MOST_SAID` is not read.
    """
    found: dict[str, Message] = {}
    for line in data[: 2 * MOST_SAID].split(b"\n", 4 * MOST)[: 4 * MOST]:
        try:
            message = msgspec.json.decode(line, type=Message)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if message.id.isprintable() and len(message.id) <= NAME:
            found.setdefault(message.id, _fit(message))
    return tuple(found.values())


def _fit(message: Message) -> Message:
    """A message in bounds in which every reader can show it, whatever somebody pushed."""
    return msgspec.structs.replace(
        message,
        at=line_of(message.at, MOMENT),
        who=line_of(message.who),
        text=within(message.text),
        files=tuple(dict.fromkeys(filter(is_name, message.files)))[:MOST_NAMED],
        task=message.task if message.task is not None and is_id(message.task) else None,
        model=line_of(message.model),
        tokens=max(0, min(message.tokens, MOST_TOKENS)),
        cost=max(0.0, min(message.cost, MOST_COST)),
        cut=line_of(message.cut, 1000),
        read=tuple(Look(line_of(look.tool), line_of(look.what, 300)) for look in message.read[:MOST_NAMED]),
    )


def line_of(text: str, most: int = NAME) -> str:
    """`text` on one line of at most `most` characters, with nothing in it that is not seen or turns its direction: a
    name, say, that could not be told from another's."""
    if len(text) <= most and text.isprintable():
        return text
    return " ".join("".join(char if char.isprintable() else " " for char in text[: 2 * most]).split())[:most]


def assemble(id: str, about: bytes, said: bytes, files: dict[str, int], head: str) -> Discussion | None:
    """A discussion from the files of its commit; None where `about` is no `discussion.json`."""
    try:
        found = msgspec.json.decode(about, type=About)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # anybody who may push can write here
    title = one_line(found.title[: 10 * TITLE], TITLE) or id
    task = id if found.task is not None else None  # a discussion is that of the task whose name it has, or of none
    agent = found.agent if found.agent is not None and is_id(found.agent) else None
    begun = Created(line_of(found.created.at, MOMENT), line_of(found.created.who))
    return Discussion(About(id, title, begun, task, agent), parse(said), files, head)


def newest(discussion: Discussion) -> str:
    """When something was said last (ISO 8601, UTC)."""
    return max([discussion.about.created.at, *(message.at for message in discussion.messages)])
