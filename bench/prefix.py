"""How much of each prompt a server has read before: `python bench/prefix.py`. No network, no clock, the same each time.

Servers keep what they have read of the last prompt as long as the next one begins with the same bytes. Two hundred
turns of commands, files and long results are played against windows of several sizes; *shared* is the part of all
prompts that the server had read, *compactions* how often the conversation was made shorter, *fullest* the longest
prompt as a share of the window.
"""

import json
import tempfile
from collections.abc import Callable
from itertools import pairwise
from os.path import commonprefix
from pathlib import Path
from typing import Any

from runner.loop.dialogue import Bounds, Finished, converse
from runner.loop.trajectory import Started, Trajectory
from runner.models import Abilities, Message, Reply, Request, ToolCall
from runner.tools import TOOLS, Answer, Finish, Observation, Tool, describe, observation_cap

TURNS = 200
CHARACTERS_PER_TOKEN = 3.6
OPENING = (Message("system", "You are a careful engineer. " * 70), Message("user", "The task. " * 150))


class Busy:
    """A model that works on for `TURNS` turns and counts tokens as a server does."""

    name = "busy"

    def __init__(self, constrained: bool) -> None:
        self.constrained = constrained
        self.prompts: list[str] = []

    def check(self) -> Abilities:
        """Anything goes."""
        return Abilities(1 << 20, tools=True)

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """Another command each time, a file every fifth turn."""
        self.prompts.append(wire(request))
        tokens = int(len(self.prompts[-1]) / CHARACTERS_PER_TOKEN)
        if self.constrained and request.schema is None:
            return Reply("```\n" + "value = 1\n" * 60 + "```", prompt_tokens=tokens)
        call = work(request.turn)
        if not self.constrained:
            return Reply("I go on with the next part.", (call,), prompt_tokens=tokens)
        arguments = {name: value for name, value in call.arguments.items() if name != "content"}
        action = {"thought": "I go on.", "tool": call.name, "arguments": arguments}
        return Reply(json.dumps(action), prompt_tokens=tokens)


def work(turn: int) -> ToolCall:
    """What the model does in a turn."""
    if turn >= TURNS:
        return ToolCall("finish", {"summary": "done"})
    if turn % 5 == 4:
        return ToolCall("write", {"path": f"part{turn}.py", "content": "value = 1\n" * 60})
    return ToolCall("bash", {"command": f"python3 -m unittest tests.test_part{turn}"})


def wire(request: Request) -> str:
    """What a server reads, in order: the tools come with the system prompt."""
    tools = [[tool.name, tool.description, tool.parameters] for tool in request.tools]
    turns = [[message.role, message.text, [call.arguments for call in message.calls]] for message in request.messages]
    return json.dumps(tools) + "\n" + "\n".join(json.dumps(turn) for turn in turns)


def tools(context: int) -> dict[str, Tool]:
    """Tools whose results are as long as they may be in every third turn."""
    cap = observation_cap(context)

    def bash(arguments: dict[str, Any]) -> Answer:
        long = arguments["command"].endswith(("0", "3", "6"))
        return Observation("exit 0\n" + "a line of output from the test\n" * (cap // 31 if long else 8), 0)

    run: dict[str, Callable[[dict[str, Any]], Answer]] = {
        "bash": bash,
        "write": lambda arguments: Observation(f"Wrote {arguments['path']}."),
        "finish": lambda arguments: Finish("done"),
    }
    return {name: Tool(describe(TOOLS[name]), function) for name, function in run.items()}


def measure(context: int, protocol: str) -> str:
    """One row of the table."""
    model, segments = Busy(constrained=protocol == "json"), 0

    def watch(entry: object) -> None:
        nonlocal segments
        segments += isinstance(entry, Started)

    bounds = Bounds(steps=2 * TURNS, context=context, max_output=1024)
    with tempfile.TemporaryDirectory() as place, Trajectory.open(Path(place) / "t", watch=watch) as trajectory:
        outcome = converse(
            model,
            protocol,
            tools(context),
            trajectory,
            OPENING,
            bounds,
            before_step=tuple,
            after_step=lambda tool: None,
        )
    assert outcome == Finished("done"), outcome
    shared = sum(len(commonprefix(pair)) for pair in pairwise(model.prompts))  # noqa: RUF071 (characters are meant)
    fullest = max(map(len, model.prompts)) / CHARACTERS_PER_TOKEN / context
    every = sum(map(len, model.prompts))
    return f"| {context} | {protocol} | {len(model.prompts)} | {shared / every:.0%} | {segments - 1} | {fullest:.0%} |"


if __name__ == "__main__":
    print("| window | protocol | requests | shared | compactions | fullest |")
    print("| --- | --- | --- | --- | --- | --- |")
    for window in (4096, 8192, 32768):
        for name in ("native", "json"):
            print(measure(window, name))
