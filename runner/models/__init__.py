"""What the loop says to a model and hears from it. Each implementation lives in a file of its own."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from runner.errors import UserError


class ToolCall(msgspec.Struct, frozen=True):
    """A model asks for one tool. `id` ties the answer to it; it may be empty."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation.

    `calls` are the tools an assistant asked for; a `tool` message names the call it `answers` and the `tool` that ran.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""
    tool: str = ""


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as a model is told of it; `parameters` is a JSON Schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Request(msgspec.Struct, frozen=True):
    """One question to a model. `tools` (native calls) and `schema` (constrained JSON) exclude each other.

    `turn` counts the replies of this attempt from 0; only the scripted model looks at it.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    schema: dict[str, Any] | None = None
    max_tokens: int = 2048
    temperature: float = 0.1
    stop: tuple[str, ...] = ()
    turn: int = 0


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came back. Tokens as the server counted them, cost in US dollars as the server billed it.

    `finish`: `stop` ended by itself, `length` cut by `max_tokens`, `aborted` ended without the server saying why.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    finish: Literal["stop", "length", "aborted"] = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    model: str = ""


class Abilities(msgspec.Struct, frozen=True):
    """What a preflight found. `context` is the window in tokens; `tools` says whether native calls can be tried.

    `note` is what a person should know before long runs, such as a model that only partly fits into memory.
    """

    context: int
    tools: bool
    note: str = ""


class ModelError(Exception):
    """A model could not answer. `retryable` says whether the same request may succeed later.

    `retry_after` is in seconds (0: not said). `kind` is one of `unavailable`, `overflow`, `tool-syntax`, `no-tools`,
    `grammar`, `payment`, `rate`, `refused`: the loop decides by it whether to change protocol, wait or hold.
    """

    def __init__(self, kind: str, message: str, *, retryable: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable
        self.retry_after = retry_after


class Missing(UserError):
    """The server is there and does not have the model, which can be fetched."""


class Model(Protocol):
    """Anything that answers a `Request`."""

    name: str

    def check(self) -> Abilities:
        """Find out whether the model can be used, without spending tokens. Raises `UserError` with the remedy."""
        ...

    def load(self) -> Abilities:
        """Like `check`, and have the model in memory: `context` is then the window that it really has."""
        ...

    def identity(self) -> str:
        """Weights and server in one word, under which a probe is remembered; empty where they cannot be told."""
        ...

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """Answer; `on_text` hears each piece of text as it streams in. Raises `ModelError`, or `UserError`."""
        ...

    def stop(self) -> None:
        """From another thread: end the reply that is on its way as soon as can be. The model is not asked again."""
        ...
