"""What a protocol makes of a model's reply: one of three values, never an exception."""

from typing import Literal

import msgspec

from runner.models import ToolCall

Flaw = Literal["format", "tool", "arguments", "length", "aborted", "empty", "swallowed"]


class Act(msgspec.Struct, frozen=True):
    """A known tool with arguments that its schema accepts.

    `thought` is what the model said beside it: the loop keeps the turn as
    `Message("assistant", act.thought, calls=(act.call,))`. `lifted` says that the call was found in the text although
    native calls were offered; the ladder counts those.
    """

    call: ToolCall
    thought: str = ""
    lifted: bool = False


class NeedBody(msgspec.Struct, frozen=True):
    """A call that lacks the one `parameter` which is never carried inside JSON; `instruction` asks the model for it.

    `attempt` counts from 1; a body that could not be read comes back as the next attempt with the `problem` in words.
    """

    call: ToolCall
    parameter: str
    instruction: str
    thought: str = ""
    problem: str = ""
    attempt: int = 1


class Malformed(msgspec.Struct, frozen=True):
    """Nothing that may be acted upon. `message` teaches the model what to do instead; the ladder looks at `flaw`.

    `format`: no action found · `tool`: an unknown tool · `arguments`: a known tool, wrong arguments · `length`: cut by
    `max_tokens` · `aborted`: the server stopped without a reason · `empty`: nothing at all · `swallowed`: tokens were
    generated and none arrived, which is how Ollama loses a tool call that its template cannot parse.
    """

    message: str
    flaw: Flaw = "format"


Read = Act | NeedBody | Malformed
