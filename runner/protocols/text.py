"""P2: a thought and one fenced block whose first line names the tool; for servers without tools and without grammars.

    ```write src/calc.py
    def add(a, b): …
    ```

The text of the block is the tool's main parameter, the body of a file above all; the others stand on the first line.
"""

import re
import shlex
from functools import partial
from typing import Any

from runner.models import Message, Reply, Request, ToolCall, ToolSpec
from runner.models.wire import well_formed
from runner.protocols import native
from runner.protocols.arguments import accept, known
from runner.protocols.body import (
    body_messages,
    body_parameter,
    first_block,
    holds_fences,
    in_here_document,
    may_be_empty,
    read_body,
)
from runner.protocols.flaws import malformed
from runner.protocols.history import example_call, plain_turns, sample, shown
from runner.protocols.lift import SHELL, lift, without_thinking
from runner.protocols.values import Act, Malformed, NeedBody, Read

__all__ = ["body_request", "read", "read_body", "request"]

RULE = "Reply with one line of thought and then exactly one block, which begins with ``` and the tool's name."

# Models without end-of-turn discipline write the answer to their own action: 30 of 30 turns measured ran to the limit.
STOP = ("\nObservation", "\nWhat is the next step?")

_OPENING = re.compile(r"^ {0,3}(?:`{3,}|~{3,})[ \t]*([A-Za-z_][\w.:-]*)([^`\n]*)$", re.MULTILINE)


def request(
    messages: tuple[Message, ...],
    tools: tuple[ToolSpec, ...],
    *,
    max_tokens: int,
    temperature: float,
    turn: int,
    only: tuple[str, ...] = (),
) -> Request:
    """The next question as plain text, every call and result of the past as a turn of this protocol.

    `only` cannot be enforced here; `read` is given the tools that may be called.
    """
    turns = plain_turns(messages, tools, manual(tools), partial(_written, tools), bodies_apart=False)
    return Request(turns, max_tokens=max_tokens, temperature=temperature, stop=STOP, turn=turn)


def read(reply: Reply, tools: tuple[ToolSpec, ...]) -> Read:
    """The action of the first block that names a tool, or a call in any other form, or what to tell the model."""
    if reply.calls:
        return native.read(reply, tools)
    text = without_thinking(reply.text)
    for opening in _OPENING.finditer(text):
        if tool := known(opening[1], tools):
            return _acted(text, opening, tool, reply)
    found = lift(reply, tools)
    if found is None:
        return malformed(reply, RULE)
    return found if isinstance(found, Malformed) else Act(found)


def body_request(
    messages: tuple[Message, ...],
    tools: tuple[ToolSpec, ...],
    need: NeedBody,
    *,
    max_tokens: int,
    temperature: float,
    turn: int,
) -> Request:
    """The question for a body. `read` here never needs one: bodies are in the block itself."""
    turns = plain_turns(messages, tools, manual(tools), partial(_written, tools), bodies_apart=False)
    asked = body_messages(turns, need, need.thought or f"I call {need.call.name}.")
    return Request(asked, max_tokens=max_tokens, temperature=temperature, turn=turn)


def manual(tools: tuple[ToolSpec, ...]) -> str:
    """The tools in words, with one worked action: the part of the system prompt that this protocol adds."""
    example = example_call(tools)
    shown = ["For example:", _written(tools, example, "I look before I change anything.")] if example else []
    return "\n".join([RULE, *shown, "Tools:", *(_explained(tool) for tool in tools)])


def _acted(text: str, opening: re.Match[str], tool: ToolSpec, reply: Reply) -> Read:
    arguments = _head(opening[2], tool)
    whole, cut = holds_fences(arguments.get("path")), reply.finish != "stop"
    block = first_block(text[opening.start() :], whole=whole, cut=cut)
    if block is None or not block.closed or (tool.name == SHELL and in_here_document(block.text)):
        return malformed(reply, f"The block was not closed. {RULE}")
    main, is_body = _main(tool), body_parameter(tool) is not None
    if main is not None and (block.text.strip() or (is_body and may_be_empty(arguments.get("path")))):
        arguments[main] = block.text if is_body else block.text.strip()
    call = accept(tool.name, arguments, (tool,))
    return call if isinstance(call, Malformed) else Act(call, well_formed(text[: opening.start()]).strip())


def _head(line: str, tool: ToolSpec) -> dict[str, Any]:
    """The arguments on a block's first line: `key=value`, or values of the required ones in their order."""
    properties = tool.parameters.get("properties", {})
    waiting = [name for name in tool.parameters.get("required", ()) if name != body_parameter(tool)]
    arguments: dict[str, Any] = {}
    for word in _words(line):
        key, equals, value = word.partition("=")
        if equals and key in properties:
            arguments[key] = value
        elif waiting:
            arguments[waiting.pop(0)] = word
    return arguments


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _main(tool: ToolSpec) -> str | None:
    """The parameter that the block's text is: the body, else the first that is required."""
    return body_parameter(tool) or next(iter(tool.parameters.get("required", ())), None)


def _written(tools: tuple[ToolSpec, ...], call: ToolCall, thought: str) -> str:
    """A call exactly as the model is to write it."""
    tool = known(call.name, tools)
    main = _main(tool) if tool else None
    head = [call.name, *_head_words(call, main)]
    fence = "````" if holds_fences(call.arguments.get("path")) else "```"
    text = str(call.arguments.get(main, "")) if main else ""
    block = f"{fence}{' '.join(head)}\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}"
    return f"{thought}\n{block}".strip()


def _head_words(call: ToolCall, main: str | None) -> list[str]:
    rest = {key: value for key, value in call.arguments.items() if key != main}
    return [
        shlex.quote(str(value)) if key == "path" else f"{key}={shlex.quote(str(value))}" for key, value in rest.items()
    ]


def _explained(tool: ToolSpec) -> str:
    """A tool in one line of the manual: how its block begins, what it does, and what the block's text is."""
    main = _main(tool)
    properties = tool.parameters.get("properties", {})
    required = [name for name in tool.parameters.get("required", ()) if name != main]
    optional = [name for name in properties if name != main and name not in required]
    head = " ".join([tool.name, *(str(sample(name, properties[name]) or name) for name in required)])
    longer = "".join(f" or {head} {name}={sample(name, properties[name]) or name}" for name in optional)
    return f"- {head}{longer}: {tool.description.strip()}{_text_of(main, properties)}"


def _text_of(main: str | None, properties: dict[str, Any]) -> str:
    """What the text of a block is, in few words: a real value where the description says no more than that."""
    if main is None:
        return ""
    words = str(properties[main].get("description", main)).rstrip(".")
    return f" Its text: {sample(main, properties[main]) if shown(words) else words}."
