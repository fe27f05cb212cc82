"""What the API takes and gives of discussions, as the OpenAPI document shows it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from runner.lifecycle import Stage
from runner.talk.messages import LONGEST, TITLE

Who = Annotated[str, Meta(max_length=200, description="Your name.")]
Text = Annotated[str, Meta(min_length=1, max_length=LONGEST, description="Markdown, at most 100 kB.")]


class NewDiscussion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A discussion to begin: about a `task` or free, with an `agent` or with whoever is there. `text` is a question."""

    title: Annotated[str, Meta(max_length=TITLE)] = ""
    task: Annotated[str, Meta(max_length=63)] | None = None
    agent: Annotated[str, Meta(max_length=63)] | None = None
    text: Annotated[str, Meta(max_length=LONGEST)] = ""
    who: Who = ""


class NewMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to say. The same `id` again says it no second time; `files` are names that were sent before.

    `as`: `talk` asks the agent; `comment`, `answer` and `reject` are said to the task as a command. `asked` says which
    question an answer is to: the `since` of the hold with which its attempt waits. Where another one is open by then it
    is refused (409); left out, the answer is to whatever is asked.
    """

    text: Text
    id: Annotated[str, Meta(max_length=40, description="A UUID of your own.")] | None = None
    files: Annotated[list[str], Meta(max_length=20)] = []
    who: Who = ""
    verb: Literal["talk", "comment", "answer", "reject"] = msgspec.field(default="talk", name="as")
    asked: Annotated[str, Meta(max_length=40, examples=["2026-11-23T05:00:00Z"])] = ""


class Created(msgspec.Struct, frozen=True):
    """When and by whom."""

    at: str
    who: str


class Look(msgspec.Struct, frozen=True):
    """What an agent looked at."""

    tool: str
    what: str


class Message(msgspec.Struct, frozen=True):
    """Something that was said; `number` counts from 1 in the discussion's log. `role`: person, agent or note."""

    number: int
    id: str
    at: str
    role: str
    who: str
    text: str
    files: list[str]
    answers: str | None
    task: str | None
    model: str
    tokens: int
    cost: float
    cut: str
    cancelled: bool
    read: list[Look]
    verb: str


class Discussion(msgspec.Struct, frozen=True):
    """A discussion; `id` is its task's slug, or a UUID. `waiting` is the question that has no answer yet."""

    id: str
    title: str
    task: str | None
    agent: str | None
    created: Created
    updated: str
    count: int
    waiting: str | None


class Discussions(msgspec.Struct, frozen=True):
    """A page of discussions, the one that was spoken in last first."""

    items: list[Discussion]
    next: str | None


class File(msgspec.Struct, frozen=True):
    """A file that was sent; its kind is what is in it."""

    name: str
    size: int
    media_type: str


class Replying(msgspec.Struct, frozen=True):
    """An answer on its way: to which message, by whom, and what there is of it."""

    to: str
    agent: str
    text: str


class FullDiscussion(Discussion, frozen=True):
    """A discussion with all that was said and sent, and the answer that is on its way."""

    messages: list[Message]
    files: list[File]
    replying: Replying | None


class Draft(msgspec.Struct, frozen=True):
    """A task as the agent would write it from the conversation; a person changes it and makes it."""

    title: str
    description: str
    complexity: int
    complexity_reason: str
    stages: list[Stage]
    acceptance: list[str]
