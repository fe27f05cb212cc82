"""A conversation in small: a model that is a function or a list of replies, tools that act on a dictionary."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from runner.errors import ToolError
from runner.loop.dialogue import Bounds, Outcome, Said, Stopped, converse
from runner.loop.trajectory import Trajectory
from runner.models import Abilities, Message, ModelError, Reply, Request, ToolCall, ToolSpec
from runner.models import Model as Speaker
from runner.protocols import Act
from runner.tools import Answer, Ask, Finish, Observation, Tool

Replies = Sequence[Reply | Exception] | Callable[[Request], Reply]
OPENING = (Message("system", "You are an agent."), Message("user", "The task: make it so."))


class Model:
    """Answers by `Request.turn` from a list (an exception is raised, once) or by a function; keeps the requests."""

    name = "model"

    def __init__(self, replies: Replies) -> None:
        self.replies = replies if callable(replies) else list(replies)
        self.requests: list[Request] = []

    def check(self) -> Abilities:
        return Abilities(8192, tools=True)

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        self.requests.append(request)
        if callable(self.replies):
            return self.replies(request)
        if request.turn >= len(self.replies):
            raise ModelError("refused", "there are no more replies")
        reply = self.replies[request.turn]
        if isinstance(reply, Exception):
            del self.replies[request.turn]
            raise reply
        return reply


def call(name: str, thought: str = "", **arguments: object) -> Reply:
    """A native call."""
    return Reply(thought, calls=(ToolCall(name, arguments),), prompt_tokens=10, completion_tokens=5)


def action(name: str, **arguments: object) -> Reply:
    """The same as constrained JSON."""
    return Reply(json.dumps({"thought": "", "tool": name, "arguments": arguments}), prompt_tokens=10)


class Desk:
    """A workspace that is a dictionary; `ran` lists what was really done."""

    def __init__(self, files: dict[str, str] | None = None) -> None:
        self.files = dict(files or {})
        self.ran: list[str] = []

    def tools(self) -> dict[str, Tool]:
        return {name: _tool(name, getattr(self, f"_{name}"), *parameters) for name, parameters in _PARAMETERS.items()}

    def _bash(self, command: str) -> Answer:
        self.ran.append(command)
        exit = 1 if command.startswith("fail") else 0
        return Observation(f"exit {exit}\n{command} {'x' * 10}", exit)

    def _view(self, path: str) -> Answer:
        self.ran.append(f"view {path}")
        if path not in self.files:
            raise ToolError("no such file")
        return Observation(self.files[path])

    def _write(self, path: str, content: str) -> Answer:
        self.ran.append(f"write {path}")
        self.files[path] = content
        return Observation(f"Wrote {path}.")

    def _note(self, text: str) -> Answer:
        self.ran.append("note")
        return Observation("Noted.")

    def _ask(self, question: str) -> Answer:
        return Ask(question)

    def _finish(self, summary: str) -> Answer:
        return Finish(summary)


_PARAMETERS = {
    "bash": ("command",),
    "view": ("path",),
    "write": ("path", "content"),
    "note": ("text",),
    "ask": ("question",),
    "finish": ("summary",),
}


def _tool(name: str, function: Callable[..., Answer], *parameters: str) -> Tool:
    properties: dict[str, Any] = {parameter: {"type": "string"} for parameter in parameters}
    if "content" in properties:
        properties["content"]["x-body"] = True
    schema = {"type": "object", "properties": properties, "required": list(parameters), "additionalProperties": False}
    return Tool(ToolSpec(name, f"{name} it", schema), lambda arguments: function(**arguments))


def run(
    path: Path,
    replies: Replies | Model | Speaker,
    *,
    desk: Desk | None = None,
    protocol: str = "native",
    bounds: Bounds = Bounds(),  # noqa: B008 (a frozen value)
    said: Sequence[Said] = (),
    stop: Callable[[], bool] = lambda: False,
    snapshot: Callable[[str], str | None] = lambda tool: None,
    seeds: tuple[Act, ...] = (),
    clock: Callable[[], float] = lambda: 0.0,
    opening: tuple[Message, ...] = OPENING,
) -> tuple[Outcome, Model]:
    """One run of the conversation at `path`; the model tells what it was asked."""
    model = replies if hasattr(replies, "reply") else Model(replies)
    with Trajectory.open(path) as trajectory:
        outcome = converse(
            model,
            protocol,
            (desk or Desk()).tools(),
            trajectory,
            opening,
            bounds,
            before_step=lambda: Stopped("paused") if stop() else tuple(said),
            after_step=snapshot,
            seeds=seeds,
            clock=clock,
        )
    return outcome, model


def entries(path: Path, *kinds: str) -> list[dict[str, Any]]:
    """The lines of a trajectory, of these kinds if any are named."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [line for line in lines if not kinds or line["kind"] in kinds]
