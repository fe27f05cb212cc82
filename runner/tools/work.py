"""What a tool may touch, and what it answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from runner.models import ToolSpec
from runner.notify import Attachment
from runner.sandbox import Cloning, Limits, Mount, Network, Sandbox
from runner.web import Page, Web

SRC = "/workspace/src"

Body = msgspec.Meta(extra_json_schema={"x-body": True})
"""Marks a parameter that carries a whole text: `Annotated[str, Body]`. It is never put inside constrained JSON."""
Prose = msgspec.Meta(extra_json_schema={"x-prose": True})
"""Marks words for people: half of them does no harm, where half a command or path would."""


class Journal(msgspec.Struct, frozen=True):
    """Where an agent's own words go: `progress` hears percents (0–100) of the stage, `note` a line for the history."""

    progress: Callable[[int], None]
    note: Callable[[str], None]


class Reach(msgspec.Struct, frozen=True):
    """What the runner does for an agent outside of the sandbox. None: not allowed here.

    `github` takes a kind of thing and which one of them, `comment` a text for the task's issue, of which it returns the
    address. `wheels` is this host's folder of packages, read-only to commands. `mail` takes subject, text and
    attachments, and returns a sentence; to whom it goes is not the agent's to say.
    """

    web: Web | None = None
    github: Callable[[str, str], Page] | None = None
    comment: Callable[[str], str] | None = None
    cloning: Cloning | None = None
    wheels: Path | None = None
    mail: Callable[[str, str, tuple[Attachment, ...]], str] | None = None


class Work(msgspec.Struct, frozen=True):
    """One task's place to work in: the first parameter of every tool, and no part of its schema.

    `mounts` show the task's folders under `/workspace` and its scratch folder as `/tmp`. `env`, `path`, `limits` and
    `outside` go into every command, `network` is what the policy says; `limits.seconds` is the longest that one may ask
    for. `cap` is the length in characters of what a model is shown of one result (`observation_cap`).
    """

    sandbox: Sandbox
    mounts: tuple[Mount, ...]
    journal: Journal
    env: dict[str, str] = {}
    path: tuple[str, ...] = ()
    limits: Limits = Limits()
    network: Network = "none"
    cap: int = 3584
    reach: Reach = Reach()

    @property
    def outside(self) -> Network:
        """What the agent's own commands reach. The registry is for installing alone: the names that are asked for there
        would be a way outwards (docs/sandbox.md)."""
        return "open" if self.network == "open" else "none"


class Observation(msgspec.Struct, frozen=True):
    """What the model is told of a call. `exit` is a command's status; None for all else, and for one that was ended."""

    text: str
    exit: int | None = None


class Finish(msgspec.Struct, frozen=True):
    """The agent says that its stage is done. Its word is no evidence: the gates look for themselves."""

    summary: str


class Ask(msgspec.Struct, frozen=True):
    """The agent cannot go on without a person's answer."""

    question: str


Answer = Observation | Finish | Ask


class Tool(msgspec.Struct, frozen=True):
    """A tool bound to its work. `run` takes the arguments by name; it raises `ToolError` for the model to read."""

    spec: ToolSpec
    run: Callable[[dict[str, Any]], Answer]


def observation_cap(context: int) -> int:
    """Characters of one result for a window of `context` tokens: an eighth of it (docs/models.md §4.5)."""
    return max(1500, min(10_000, int(context * 3.5 / 8)))
