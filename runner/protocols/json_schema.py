"""P1: every action is one JSON object, held to a schema by the server's grammar; for models without tool calls.

The server does not show the schema to the model, so the tools are in the system prompt too. Bodies of files are asked
for in a second step (`runner.protocols.body`).
"""

import json
from typing import Any

from runner.models import Message, Reply, Request, ToolCall, ToolSpec
from runner.models.wire import well_formed
from runner.protocols import native
from runner.protocols.body import act_or_ask, body_messages, body_optional, read_body, without_body
from runner.protocols.flaws import malformed
from runner.protocols.history import example_call, explained, plain_turns
from runner.protocols.lift import lift, without_thinking
from runner.protocols.values import Malformed, NeedBody, Read

__all__ = ["body_request", "read", "read_body", "request", "schema_of"]

# llama.cpp's grammars were measured to fail from about 1200, older ones to slow down (docs/models.md, "maxLength").
MAX_STRING = 500
MAX_THOUGHT = 200

RULE = "Reply with ONE JSON object: thought, tool and arguments, in this order, and nothing else."


def request(
    messages: tuple[Message, ...],
    tools: tuple[ToolSpec, ...],
    *,
    max_tokens: int,
    temperature: float,
    turn: int,
    only: tuple[str, ...] = (),
) -> Request:
    """The next question, every call and result of the past as a turn of this protocol. Raises nothing."""
    offered = tuple(tool for tool in tools if not only or tool.name in only)
    return Request(
        plain_turns(messages, tools, manual(tools), _action, bodies_apart=True),
        schema=schema_of(offered) if offered else None,
        max_tokens=max_tokens,
        temperature=temperature,
        turn=turn,
    )


def read(reply: Reply, tools: tuple[ToolSpec, ...]) -> Read:
    """The action of the reply, the need for its body, or what to tell the model."""
    if reply.calls:
        return native.read(reply, tools)
    found = lift(reply, tuple(body_optional(tool) for tool in tools))
    if found is None:
        return malformed(reply, RULE)
    if isinstance(found, Malformed):
        return found
    return _cut(found, tools) or act_or_ask(found, tools, _thought(reply.text))


def body_request(
    messages: tuple[Message, ...],
    tools: tuple[ToolSpec, ...],
    need: NeedBody,
    *,
    max_tokens: int,
    temperature: float,
    turn: int,
) -> Request:
    """The question for a body, without a schema: it comes in a fence. `tools` keep the system prompt as it was."""
    asked = body_messages(
        plain_turns(messages, tools, manual(tools), _action, bodies_apart=True), need, _action(need.call, need.thought)
    )
    return Request(asked, max_tokens=max_tokens, temperature=temperature, turn=turn)


def schema_of(tools: tuple[ToolSpec, ...]) -> dict[str, Any]:
    """The schema of one action: a branch a tool, properties in the order in which they are to be generated (R9)."""
    return {"anyOf": [_branch(tool) for tool in tools]}


def _branch(tool: ToolSpec) -> dict[str, Any]:
    parameters = without_body(tool).parameters
    properties = {key: _short(value) for key, value in parameters.get("properties", {}).items()}
    return _closed(
        {
            "thought": {"type": "string", "maxLength": MAX_THOUGHT},
            "tool": {"const": tool.name},
            "arguments": _closed(properties, list(parameters.get("required", ()))),
        },
        ["thought", "tool", "arguments"],
    )


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _short(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a parameter's schema that a grammar needs, every string bounded."""
    kept: dict[str, Any] = {
        key: schema[key] for key in ("type", "enum", "minimum", "maximum", "minLength") if key in schema
    }
    if "anyOf" in schema:
        kept["anyOf"] = [_short(option) for option in schema["anyOf"]]
    if "items" in schema:
        kept["items"] = _short(schema["items"])
    if schema.get("type") == "string" and "enum" not in schema:
        kept["maxLength"] = min(schema.get("maxLength", MAX_STRING), MAX_STRING)
    return kept


def _cut(call: ToolCall, tools: tuple[ToolSpec, ...]) -> Malformed | None:
    """A string of exactly the longest length was ended by the grammar, not by the model: half a command.

    Words for people are taken as they are. A small model that repeats itself always reaches the end, and could never
    finish: that was every unusable reply of SmolLM2 under the schema (docs/small-models.md).
    """
    schemas = next(tool for tool in tools if tool.name == call.name).parameters["properties"]
    for name, value in call.arguments.items():
        schema = schemas.get(name, {})
        longest = None if schema.get("x-prose") else _short(schema).get("maxLength")
        if isinstance(value, str) and len(value) == longest:
            return Malformed(f"{name!r} was cut at {longest} characters; nothing was done. Say it shorter.", "length")
    return None


def _thought(text: str) -> str:
    """The `thought` of a reply that is one JSON object."""
    try:
        value = json.loads(without_thinking(text), strict=False)
    except (ValueError, RecursionError):
        return ""
    thought = value.get("thought") if isinstance(value, dict) else None
    return well_formed(thought) if isinstance(thought, str) else ""


def _action(call: ToolCall, thought: str) -> str:
    """A call exactly as the model is to write it."""
    action = {"thought": thought[:MAX_THOUGHT], "tool": call.name, "arguments": call.arguments}
    return json.dumps(action, ensure_ascii=False)


def manual(tools: tuple[ToolSpec, ...]) -> str:
    """The tools in words, with one worked action: the part of the system prompt that this protocol adds."""
    example = example_call(tools)
    shown = [f"For example: {_action(example, 'I look before I change anything.')}"] if example else []
    lines = [explained(without_body(tool)) for tool in tools]
    return "\n".join([RULE, *shown, "Tools:", *lines])
