"""Ollama's native `/api/chat` as values: request bodies and streams of lines, no network.

The facts are those of docs/models.md ("Ollama native API"), read from Ollama 0.33's source; older servers noted there.
"""

from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Any, Literal

import msgspec

from runner.models import Message, ModelError, Reply, Request, ToolCall, ToolSpec
from runner.models.ollama_failures import Server, failure
from runner.models.wire import arguments, estimated_tokens

# Asked for, fewer than this share of the lowest estimate counted: cut by the server, or an old server with a cache.
SUSPICIOUS_SHARE = 0.7

# Characters a token of text that is nearly all indentation: what is longer than the window even so, was cut for sure.
MOST_CHARS_PER_TOKEN = 6


def chat_body(model: str, request: Request, context: int, max_output: int, keep_alive: str) -> dict[str, Any]:
    """The JSON of a `POST /api/chat`.

    `num_ctx` is sent every time, because the default is 4096 and loads another runner (R1, R3); `truncate` and `shift`
    are off, because the server would cut the task out of the prompt and answer 200 (R2); `think` is explicit, because
    its absence switches thinking on (R15). `format` and `tools` are never sent together.
    """
    options: dict[str, Any] = {
        "num_ctx": context,
        "num_predict": min(request.max_tokens, max_output),
        "temperature": request.temperature,
    }
    if request.stop:
        options["stop"] = list(request.stop)
    body: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "stream": True,
        "think": False,
        "truncate": False,
        "shift": False,
        "keep_alive": keep_alive,
        "options": options,
    }
    if request.schema is not None:
        body["format"] = request.schema
    elif request.tools:
        body["tools"] = [tool_body(tool) for tool in request.tools]
    return body


def tool_body(tool: ToolSpec) -> dict[str, Any]:
    """A tool as both Ollama and OpenAI are told of it."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.calls:
        body["tool_calls"] = [_call(call) for call in message.calls]
    if message.role == "tool":
        body["tool_name"] = message.tool
        if message.answers:
            body["tool_call_id"] = message.answers
    return body


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"function": {"name": call.name, "arguments": call.arguments}}
    return {"id": call.id, **function} if call.id else function


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: Any = None


class _ToolCall(msgspec.Struct, frozen=True):
    id: str = ""
    function: _Function = _Function()


class _Said(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: tuple[_ToolCall, ...] | None = None


class Chunk(msgspec.Struct, frozen=True):
    """One line of a streamed reply, as far as it matters here."""

    model: str = ""
    message: _Said = _Said()
    done: bool = False
    done_reason: str = ""
    prompt_eval_count: int = 0
    eval_count: int = 0
    error: Any = None


def fold(lines: Iterable[bytes], on_text: Callable[[str], None] | None, where: Server) -> Reply:
    """A whole stream of `/api/chat` as one reply. Raises what `failure` makes of an error in the stream.

    Calls may come in any chunk. A stream without `done: true` was aborted: Ollama ends it so after thirty equal tokens,
    with status 200 and no other sign.
    """
    text: list[str] = []
    calls: list[_ToolCall] = []
    last = Chunk()
    for line in lines:
        last = _chunk(line, where)
        if last.message.content:
            text.append(last.message.content)
            if on_text is not None:
                on_text(last.message.content)
        calls += last.message.tool_calls or ()
    return Reply(
        "".join(text), _complete(calls), _finish(last), last.prompt_eval_count, last.eval_count, model=last.model
    )


def _chunk(line: bytes, where: Server) -> Chunk:
    try:
        chunk = msgspec.json.decode(line, type=Chunk)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise ModelError(
            "unavailable", f"{where} sent a line that is no reply: {problem}.", retryable=True
        ) from problem
    if chunk.error is not None:
        raise failure(500, line, where)
    return chunk


def _complete(calls: list[_ToolCall]) -> tuple[ToolCall, ...]:
    """The calls up to the first whose arguments cannot be read: half a call must not run, nor one after it."""
    parsed = [(call, arguments(call.function.arguments)) for call in calls]
    whole = takewhile(lambda pair: pair[1] is not None, parsed)
    return tuple(ToolCall(call.function.name, found or {}, call.id) for call, found in whole)


def _finish(last: Chunk) -> Literal["stop", "length", "aborted"]:
    if not last.done or last.done_reason in ("load", "unload"):
        return "aborted"
    return "length" if last.done_reason == "length" else "stop"


def is_suspicious(counted: int, length: int) -> bool:
    """Whether far fewer prompt tokens were counted than `length` characters make (0: the server did not count)."""
    return 0 < counted < SUSPICIOUS_SHARE * estimated_tokens(length)


def was_truncated(counted: int, length: int, asked: int, loaded: int) -> bool:
    """Whether a suspiciously small count means that the server cut the prompt.

    Servers before 0.33 leave cached tokens out of the count, which is innocent. It was a cut when the `loaded` window
    is smaller than `asked`, when the count is the half window that Ollama keeps of a prompt too long (4096 → 2050),
    or when so long a text cannot fit.
    """
    half = loaded // 2 + 2
    return loaded < asked or abs(counted - half) <= 2 or length / MOST_CHARS_PER_TOKEN > loaded
