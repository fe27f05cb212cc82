"""A conversation in neutral form as turns of plain text, for protocols whose calls are text."""

import json
import re
from collections.abc import Callable
from typing import Any

from runner.models import Message, ToolCall, ToolSpec
from runner.protocols.body import act_or_ask, as_block, body_parameter
from runner.protocols.values import NeedBody

NEXT = "What is the next step?"

# Worked examples need real values: placeholders are copied (measured: 30 of 30). A schema's own `examples` go first;
# what is not here stands in its description behind "such as".
_SAMPLES: dict[str, object] = {
    "command": "ls -la",
    "path": "README.md",
    "percent": 40,
    "start": 101,
    "timeout": 60,
}

_SUCH_AS = re.compile(r"[^;]*?, such as ([^;]+?)\.?")

Writer = Callable[[ToolCall, str], str]


def plain_turns(
    messages: tuple[Message, ...],
    tools: tuple[ToolSpec, ...],
    manual: str,
    write: Writer,
    *,
    bodies_apart: bool,
) -> tuple[Message, ...]:
    """`messages` without calls and tool results: calls as `write(call, thought)` puts them, results as a user's words.

    `manual` is added to the system prompt. `bodies_apart`: a call with a body becomes the two steps in which it was
    asked for, so that what a model reads of its past is exactly what it is to do.
    """
    apart = tools if bodies_apart else ()
    turns = [turn for message in messages for turn in _turns(message, apart, write)]
    if not turns or turns[0].role != "system":
        turns.insert(0, Message("system", ""))
    turns[0] = Message("system", f"{turns[0].text}\n\n{manual}".strip())
    return _merged(turns)


def explained(tool: ToolSpec) -> str:
    """A tool in one line of a manual: a call with real values, what it does, and what those values do not say."""
    properties, required = tool.parameters.get("properties", {}), tool.parameters.get("required", ())
    values = {name: sample(name, properties[name]) for name in required}
    call = "" if None in values.values() else f" {json.dumps(values, ensure_ascii=False)}"
    told = [
        f" {name}{'' if name in required else ' (optional)'}: {schema.get('description', 'any').rstrip('.')}."
        for name, schema in properties.items()
        if not (call and name in required and shown(schema.get("description", "")))
    ]
    return f"- {tool.name}{call}: {tool.description.strip()}{''.join(told)}"


def example_call(tools: tuple[ToolSpec, ...]) -> ToolCall | None:
    """A call with real values of the first tool that has some for all it requires, to be shown in a manual."""
    return next((call for tool in tools if (call := _sample(tool)) is not None), None)


def sample(name: str, schema: dict[str, Any]) -> object:
    """A real value for a parameter, None if there is none."""
    return (schema.get("examples") or [_SAMPLES.get(name) or shown(schema.get("description", ""))])[0]


def shown(description: str) -> str | None:
    """The example in a description that says nothing else of weight: `the file, such as src/calc.py`."""
    found = _SUCH_AS.fullmatch(description)
    return found[1] if found else None


def _sample(tool: ToolSpec) -> ToolCall | None:
    properties = tool.parameters.get("properties", {})
    required = tool.parameters.get("required", ())
    values = {key: sample(key, properties[key]) for key in required}
    if not values or None in values.values() or body_parameter(tool):
        return None
    return ToolCall(tool.name, values)


def _turns(message: Message, apart: tuple[ToolSpec, ...], write: Writer) -> tuple[Message, ...]:
    """One neutral message as turns of plain text; bodies of the tools in `apart` in a step of their own."""
    if message.role == "tool":
        return (Message("user", f"{message.text}\n\n{NEXT}"),)
    if not message.calls:
        return (message,)
    call, thought = message.calls[0], message.text
    known = any(tool.name == call.name for tool in apart)
    read = act_or_ask(call, apart, thought) if known else None
    if not isinstance(read, NeedBody):
        return (Message("assistant", write(call, thought)),)
    return (
        Message("assistant", write(read.call, thought)),
        Message("user", read.instruction),
        Message("assistant", as_block(read.call, read.parameter, str(call.arguments.get(read.parameter, "")))),
    )


def _merged(turns: list[Message]) -> tuple[Message, ...]:
    """Neighbours of one role as one turn: several models' templates refuse roles that do not alternate."""
    merged: list[Message] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            turn = Message(turn.role, f"{merged.pop().text}\n\n{turn.text}")
        merged.append(turn)
    return tuple(merged)
