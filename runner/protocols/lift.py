"""Lenient reading: find the call that a model wrote into its text, in the order of docs/models.md ("Reading a reply").

Only complete forms are found: half an object, half a tag or an unclosed fence is no call, since what is missing may
be what mattered.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from runner.models import Reply, ToolCall, ToolSpec
from runner.protocols.arguments import accept, known
from runner.protocols.body import in_here_document
from runner.protocols.values import Malformed

SHELL = "bash"

# Starts of objects that are tried in one reply: bounds the work on text such as "{{{{…".
MAX_STARTS = 200

_TOOL_CALL = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_JSON_FENCE = re.compile(r"^```(?:json|tool_call|tool_code)[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
# A file may hold closing tags itself: a function ends with the last one before the next function, a parameter with the
# one that has another parameter, or the function's end, after it.
_FUNCTION = re.compile(r"<function=([^>\s]+)>((?:(?!<function=).)*)</function>", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>(?=\s*(?:<parameter=|\Z))", re.DOTALL)
_SHELL_FENCE = re.compile(r"^```(?:bash|sh|shell)[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)

Found = tuple[str, object]


def lift(reply: Reply, tools: tuple[ToolSpec, ...]) -> ToolCall | Malformed | None:
    """The first call of a known tool in a reply's text, or what is wrong with it; None where nothing is like a call."""
    found = list(_found(without_thinking(reply.text), whole=reply.finish == "stop"))
    chosen = next((one for one in found if known(one[0], tools)), found[0] if found else None)
    return accept(*chosen, tools) if chosen else None


def without_thinking(text: str) -> str:
    """`text` after `<think>…</think>`; an opening that is never closed hides the rest."""
    text = text.rpartition("</think>")[2]
    return text.partition("<think>")[0]


def _found(text: str, *, whole: bool) -> Iterator[Found]:
    """Everything like a call. In a text that is not `whole`, a closing tag may be the file's own."""
    for match in _TOOL_CALL.finditer(text):
        yield from _objects(match[1])
    for match in _JSON_FENCE.finditer(text):
        yield from _objects(match[1])
    yield from _objects(text)
    for match in _FUNCTION.finditer(text if whole else ""):
        yield match[1], dict(_PARAMETER.findall(match[2]))
    shells = _SHELL_FENCE.findall(text)
    if len(shells) == 1 and not in_here_document(shells[0]):
        yield SHELL, {"command": shells[0].strip()}


def _objects(text: str) -> Iterator[Found]:
    """Every complete JSON object in `text` that has the shape of a call."""
    # strict=False: small models put raw line ends into strings, which means the same.
    decoder = json.JSONDecoder(strict=False)
    start = text.find("{")
    for _ in range(MAX_STARTS):
        if start < 0:
            return
        try:
            value, _end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and (call := _as_call(value)):
            yield call
        start = text.find("{", start + 1)


def _as_call(value: dict[str, Any]) -> Found | None:
    """Name and arguments of `{"tool"|"name": …, "arguments"|"parameters": …}`, or of `{"tool": …, …arguments}`."""
    name = value.get("tool", value.get("name"))
    if not isinstance(name, str):
        return None
    for key in ("arguments", "parameters"):
        if key in value:
            return name, value[key]
    if "tool" not in value:
        return None
    return name, {key: item for key, item in value.items() if key not in ("tool", "thought", "name")}
