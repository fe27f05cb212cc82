"""Chat completions as values: request bodies and streams of chunks, no network, no object of the client's."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from typing import Any, Literal

import msgspec

from runner.models import Message, ModelError, Reply, Request, ToolCall
from runner.models.ollama_wire import tool_body
from runner.models.openai_failures import Fault, Server, failure
from runner.models.wire import MAX_REPLY_BYTES, arguments, well_formed


def chat_body(model: str, request: Request, max_output: int) -> dict[str, Any]:
    """The arguments of a streamed chat completion. `tools` and a schema are never sent together."""
    body: dict[str, Any] = {
        "model": model,
        "messages": _messages(request.messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": min(request.max_tokens, max_output),
        "temperature": request.temperature,
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if request.schema is not None:
        schema = {"name": "action", "strict": True, "schema": request.schema}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.tools:
        body["tools"] = [tool_body(tool) for tool in request.tools]
        # One action a turn (R11).
        body["parallel_tool_calls"] = False
    return body


def openrouter_body(routing: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenRouter is told beside it. `routing` is its `provider` object (order, only, max_price, …) and beside
    that `models`, which it tries in turn after any error of the first.

    Without `require_parameters` it silently drops `tools` or `response_format` where an endpoint lacks them; its
    compression cuts the middle out of prompts on endpoints of 8,192 tokens or less, unless it is switched off.
    """
    preferences = {key: value for key, value in routing.items() if key != "models"}
    return {
        "provider": {**preferences, "require_parameters": True},
        "plugins": [{"id": "context-compression", "enabled": False}],
        **({"models": list(routing["models"])} if routing.get("models") else {}),
    }


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Messages with an id for every call, as the interface requires: calls lifted out of text have none."""
    bodies: list[dict[str, Any]] = []
    latest = ""
    for number, message in enumerate(messages):
        body: dict[str, Any] = {"role": message.role, "content": message.text}
        if message.calls:
            latest = message.calls[-1].id or f"call_{number}"
            body["tool_calls"] = [_call(call, call.id or f"call_{number}") for call in message.calls]
        if message.role == "tool":
            body["tool_call_id"] = message.answers or latest
        bodies.append(body)
    return bodies


def _call(call: ToolCall, call_id: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)}
    return {"id": call_id, "type": "function", "function": function}


class _Function(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: Any = None


class _Piece(msgspec.Struct, frozen=True):
    index: int = 0
    id: str | None = None
    function: _Function = _Function()


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: tuple[_Piece, ...] | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None
    error: Any = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None


class _Chunk(msgspec.Struct, frozen=True):
    """One event of a stream, or a whole completion, as far as it matters here."""

    model: str | None = None
    choices: tuple[_Choice, ...] | None = None
    usage: _Usage | None = None
    error: Any = None


def fold(events: Iterable[object], on_text: Callable[[str], None] | None, where: Server) -> Reply:
    """All events of a stream (or the one completion of a server that does not stream) as one reply.

    Raises what `failure` makes of an error wherever it stands. A stream that ends without a `finish_reason` looks
    whole to the client, and is `aborted`.
    """
    answer = _Answer()
    for event in events:
        chunk, choice = _chunk(event, where)
        said = choice.delta or choice.message or _Delta()
        answer.add(said)
        if said.content and on_text is not None:
            on_text(said.content)
        answer.model = chunk.model or answer.model
        answer.finish = choice.finish_reason or answer.finish
        answer.usage = chunk.usage or answer.usage
    usage = answer.usage
    return Reply(
        well_formed("".join(answer.text)),
        _complete(answer.calls),
        _ending(answer.finish, where),
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.cost or 0.0,
        answer.model,
    )


class _Answer:
    """A reply whose parts arrive one by one."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.calls: dict[int, _Building] = {}
        self.model = ""
        self.finish = ""
        self.usage = _Usage()
        self._size = 0

    def add(self, said: _Delta) -> None:
        self.text.append(said.content or "")
        self._size += len(said.content or "")
        for piece in said.tool_calls or ():
            self.calls.setdefault(piece.index, _Building()).add(piece)
            self._size += len(str(piece.function.arguments))
        if self._size > MAX_REPLY_BYTES:
            raise ModelError("refused", f"The reply is longer than {MAX_REPLY_BYTES >> 20} MiB.")


class _Building:
    """A call whose parts arrive one by one."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: Any = ""

    def add(self, piece: _Piece) -> None:
        self.id = piece.id or self.id
        self.name += piece.function.name or ""
        if isinstance(piece.function.arguments, str):
            self.arguments += piece.function.arguments
        elif piece.function.arguments is not None:
            self.arguments = piece.function.arguments


def _chunk(event: object, where: Server) -> tuple[_Chunk, _Choice]:
    try:
        chunk = msgspec.convert(event, _Chunk, strict=False)
    except (msgspec.ValidationError, RecursionError) as problem:
        raise ModelError("unavailable", f"{where} sent no completion: {problem}.", retryable=True) from problem
    choice = chunk.choices[0] if chunk.choices else _Choice()
    error = chunk.error or choice.error
    if error or choice.finish_reason == "error":
        raise failure(Fault(error if isinstance(error, dict) else {"message": error}), where)
    return chunk, choice


def _complete(calls: dict[int, _Building]) -> tuple[ToolCall, ...]:
    """The calls up to the first whose arguments cannot be read: half a call must not run, nor one after it."""
    parsed = [(call, arguments(call.arguments)) for _, call in sorted(calls.items())]
    whole = takewhile(lambda pair: pair[1] is not None, parsed)
    return tuple(ToolCall(call.name, found or {}, call.id) for call, found in whole)


def _ending(finish: str, where: Server) -> Literal["stop", "length", "aborted"]:
    if finish == "content_filter":
        raise ModelError("refused", f"{where}: the provider's content filter stopped the reply.")
    if not finish:
        return "aborted"
    return "length" if finish == "length" else "stop"
