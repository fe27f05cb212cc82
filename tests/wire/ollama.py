"""A scripted Ollama: `/api/chat` from a list, and the short questions of a preflight (shapes of Ollama 0.33)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from wire.server import Answer, Asked, ScriptedServer, as_json

NDJSON = {"Content-Type": "application/x-ndjson"}
MODEL = "gemma3:4b"


class ScriptedOllama(ScriptedServer):
    """`models` maps names to their capabilities; `trained` is their window, `loaded` the one that `/api/ps` tells.

    `memory` is what a loaded model takes, and how much of that on graphics cards. Loading takes nothing off the script.
    """

    def __init__(
        self,
        script: Sequence[Answer] = (),
        *,
        models: Mapping[str, Sequence[str]] | None = None,
        trained: int = 131072,
        loaded: int | None = None,
        memory: tuple[int, int] = (0, 0),
        pulls: Sequence[dict[str, Any]] = ({"status": "success"},),
    ) -> None:
        present = dict({MODEL: ("completion",)} if models is None else models)
        tags = [{"name": name, "model": name, "digest": f"sha256:{name}", "size": 1} for name in present]
        size, on_cards = memory
        place = {"size": size, "size_vram": on_cards} | ({"context_length": loaded} if loaded else {})
        running = [{**tag, **place} for tag in tags]

        def show(asked: Asked) -> Answer:
            name = asked.body["model"]
            if name not in present:
                return error(404, f"model '{name}' not found")
            facts = {"general.architecture": "gemma3", "gemma3.context_length": trained}
            return as_json({"capabilities": list(present[name]), "model_info": facts, "template": "", "details": {}})

        def fetch(asked: Asked) -> Answer:
            if pulls[-1].get("status") == "success":
                present[asked.body.get("model") or asked.body["name"]] = ("completion",)
            return stream(*pulls)

        super().__init__(
            script,
            "/api/chat",
            {
                ("GET", "/"): lambda _: Answer((b"Ollama is running",)),
                ("GET", "/api/version"): lambda _: as_json({"version": "0.33.0"}),
                ("GET", "/api/tags"): lambda _: as_json({"models": tags}),
                ("GET", "/api/ps"): lambda _: as_json({"models": running}),
                ("POST", "/api/show"): show,
                ("POST", "/api/pull"): fetch,
            },
        )

    @property
    def chats(self) -> list[Any]:
        """The bodies of the questions, without those that only load."""
        return [body for body in super().chats if body["messages"]]

    def answer(self, asked: Asked) -> Answer:
        """What the script says; a question without messages loads the model (Ollama's api.md)."""
        if asked.path == "/api/chat" and not asked.body.get("messages"):
            self.requests.append(asked)
            return stream({**last(reason="load"), "message": {"role": "assistant", "content": ""}})
        return super().answer(asked)


def stream(*lines: dict[str, Any], **answer: Any) -> Answer:
    """Objects as lines, one chunk each."""
    return Answer(tuple(json.dumps(line).encode() + b"\n" for line in lines), headers=NDJSON, **answer)


def chunk(text: str = "", *calls: tuple[str, Any], **message: Any) -> dict[str, Any]:
    """A line with a piece of text, or with calls as (name, arguments)."""
    said: dict[str, Any] = {"role": "assistant", "content": text, **message}
    if calls:
        said["tool_calls"] = [
            {"id": f"call_{number}", "function": {"index": number, "name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls)
        ]
    return {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "message": said, "done": False}


def last(*calls: tuple[str, Any], reason: str = "stop", prompt: int = 100, generated: int = 5) -> dict[str, Any]:
    """The closing line with its counts; a count of 0 is left out, as the server does."""
    counts = {"prompt_eval_count": prompt, "eval_count": generated}
    told = {key: value for key, value in counts.items() if value}
    return {**chunk("", *calls), "done": True, "done_reason": reason, "total_duration": 1, **told}


def says(text: str, **closing: Any) -> Answer:
    """A reply of text, streamed in pieces of four characters."""
    pieces = [chunk(text[start : start + 4]) for start in range(0, len(text), 4)]
    return stream(*pieces, last(**closing))


def error(status: int, text: str, **headers: str) -> Answer:
    """An error as Ollama words it."""
    return as_json({"error": text}, status, {key.replace("_", "-"): value for key, value in headers.items()})
