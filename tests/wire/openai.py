"""A scripted OpenAI-compatible server, OpenRouter's own answers included (shapes of its documentation)."""

import json
from collections.abc import Sequence
from typing import Any

from wire.server import Answer, ScriptedServer, as_json

SSE = {"Content-Type": "text/event-stream"}
MODEL = "qwen/qwen3-32b"
SERVED = {"id": MODEL, "context_length": 40960, "supported_parameters": ["tools", "response_format"]}


class ScriptedOpenAI(ScriptedServer):
    """`models` is the list of `GET /v1/models`, `key` the answer of `GET /v1/key`."""

    def __init__(
        self, script: Sequence[Answer] = (), *, models: Sequence[dict[str, Any]] = (SERVED,), key: Answer | None = None
    ) -> None:
        credit = key or as_json({"data": {"limit": 10, "limit_remaining": 9.5, "usage": 0.5}})
        super().__init__(
            script,
            "/v1/chat/completions",
            {
                ("GET", "/v1/models"): lambda _: as_json({"object": "list", "data": list(models)}),
                ("GET", "/v1/key"): lambda _: credit,
            },
        )

    @property
    def base(self) -> str:
        """The base URL that a client is given."""
        return f"{self.url}/v1"


def events(*chunks: dict[str, Any] | str, done: bool = True, **answer: Any) -> Answer:
    """Server-sent events; a plain string is a comment, such as `OPENROUTER PROCESSING`."""
    sent = [f": {one}\n\n" if isinstance(one, str) else f"data: {json.dumps(one)}\n\n" for one in chunks]
    return Answer(
        tuple(one.encode() for one in [*sent, *(["data: [DONE]\n\n"] if done else [])]), headers=SSE, **answer
    )


def delta(text: str = "", *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with a piece of text, and whatever else the delta holds."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": text, **more}, "finish_reason": finish}
    return {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL, "choices": [choice]}


def usage(prompt: int = 100, generated: int = 5, **more: Any) -> dict[str, Any]:
    """The closing chunk: counts, and on OpenRouter the cost."""
    counts = {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated, **more}
    return {**delta(), "choices": [], "usage": counts}


def piece(index: int = 0, **function: str) -> dict[str, Any]:
    """A part of a call, as streams carry it."""
    return {"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]}


def says(text: str, **closing: Any) -> Answer:
    """A reply of text, streamed in pieces of four characters."""
    pieces = [delta(text[start : start + 4]) for start in range(0, len(text), 4)]
    return events(*pieces, delta(finish="stop"), usage(**closing))


def error(status: int, text: str, *, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    """An error as OpenRouter words it."""
    return as_json({"error": {"code": status, "message": text, **more}}, status, headers)
