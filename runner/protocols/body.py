"""Texts of files travel in a fence, never inside JSON: with code in schema-constrained JSON a small model writes a raw
quote, the grammar takes it for the string's end, and half a file arrives as valid JSON (docs/models.md, R10)."""

import re
from pathlib import PurePosixPath
from typing import NamedTuple

import msgspec

from runner.models import Message, Reply, ToolCall, ToolSpec
from runner.models.wire import well_formed
from runner.protocols.values import Act, Malformed, NeedBody, Read

# A body that still cannot be read after so many tries is a format error (docs/models.md, "Body request").
MAX_ATTEMPTS = 3

# Texts that themselves hold fences are asked for in a longer one.
_FENCED_FORMATS = (".md", ".markdown", ".rst", ".txt")

_LANGUAGES = {
    ".css": "css",
    ".html": "html",
    ".js": "javascript",
    ".json": "json",
    ".md": "markdown",
    ".py": "python",
    ".sh": "bash",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
}

# The parameter that is the whole of a file, by the name that tools give it.
WHOLE = "content"

# Files that may be empty. Anything else that comes as an empty block was not written, and would empty a file.
_EMPTY_FILES = ("__init__.py", "py.typed", ".gitkeep")

# `<<WORD`, `<<-WORD`, `<< 'WORD'`; not the here-string `<<<`, nor a shift such as `1 << n`.
_HERE_DOCUMENT = re.compile(r"(?<!<)<<(-?)(?:[ \t]*(?=['\"A-Z]))?(['\"]?)([A-Za-z_]\w*)\2")

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*?)[ \t]*")


class Block(NamedTuple):
    """What stands between an opening and its closing fence; `closed` is False when the text ended before."""

    text: str
    closed: bool


def body_parameter(tool: ToolSpec) -> str | None:
    """The one parameter of a tool whose schema says `"x-body": true`, None for most tools."""
    properties: dict[str, dict[str, object]] = tool.parameters.get("properties", {})
    return next((name for name, schema in properties.items() if schema.get("x-body")), None)


def without_body(tool: ToolSpec) -> ToolSpec:
    """The tool as far as JSON carries it: for schemas and manuals."""
    body = body_parameter(tool)
    properties = {key: value for key, value in tool.parameters.get("properties", {}).items() if key != body}
    required = [key for key in tool.parameters.get("required", ()) if key != body]
    return ToolSpec(tool.name, tool.description, {**tool.parameters, "properties": properties, "required": required})


def body_optional(tool: ToolSpec) -> ToolSpec:
    """The tool as replies are checked: a body that comes inside JSON is tolerated, then dropped and asked for."""
    required = without_body(tool).parameters["required"]
    return ToolSpec(tool.name, tool.description, {**tool.parameters, "required": required})


def act_or_ask(call: ToolCall, tools: tuple[ToolSpec, ...], thought: str = "") -> Act | NeedBody:
    """A checked call of one of `tools`: ready, or in need of its body, whatever the JSON held of that."""
    tool = next(tool for tool in tools if tool.name == call.name)
    parameter = body_parameter(tool)
    if parameter is None:
        return Act(call, thought)
    arguments = {key: value for key, value in call.arguments.items() if key != parameter}
    return ask(ToolCall(call.name, arguments, call.id), tool, parameter, thought)


def ask(call: ToolCall, tool: ToolSpec, parameter: str, thought: str = "") -> NeedBody:
    """The need of `call` for its body, with an instruction that depends on nothing else: history repeats it.

    One short sentence, the language in the fence: worded at length, or with the fence described, SmolLM2-135M gave 3 to
    6 blocks for 10 questions, and 8 for this.
    """
    block = f"in exactly ONE {_opening(call, parameter)} block and nothing else"
    path = call.arguments.get("path", "it")
    if parameter == WHOLE:
        return NeedBody(call, parameter, f"Write the complete new text of {path} {block}.", thought)
    described = tool.parameters["properties"][parameter].get("description", parameter)
    return NeedBody(call, parameter, f"Write `{parameter}` for {path} {block}: {described}", thought)


def as_block(call: ToolCall, parameter: str, body: str) -> str:
    """`body` in the fence that `ask` asked for: how history shows what the model answered."""
    end = "" if body.endswith("\n") or not body else "\n"
    return f"{_opening(call, parameter)}\n{body}{end}{_fence(call)}"


def body_messages(messages: tuple[Message, ...], need: NeedBody, said: str) -> tuple[Message, ...]:
    """`messages` with what the model `said` and the question for the body, changed by what was wrong before."""
    question = f"{need.problem}\n{need.instruction}" if need.problem else need.instruction
    return (*messages, Message("assistant", said), Message("user", question))


def read_body(reply: Reply, need: NeedBody) -> Read:
    """The call with the text of the reply's first block; otherwise the need again, worded anew, or a format error.

    A block that is not closed is never taken: it would be half a file. Nor is an empty one.
    """
    whole, cut = holds_fences(need.call.arguments.get("path")), reply.finish != "stop"
    block = first_block(reply.text, whole=whole, cut=cut)
    if block is None or not block.closed or not (block.text.strip() or may_be_empty(need.call.arguments.get("path"))):
        return _again(need, reply, block)
    body = well_formed(block.text).replace("\0", "")
    return Act(ToolCall(need.call.name, {**need.call.arguments, need.parameter: body}, need.call.id), need.thought)


def first_block(text: str, *, whole: bool = False, cut: bool = False) -> Block | None:
    """The first fenced block; blocks inside it that name their language count as part of it.

    `whole`: the reply is one document, which may hold fences of its own: it ends at the last line that can close it.
    `cut`: the reply did not end by itself: what looks like a document's end may be its middle, so none is taken.
    """
    # Only these end a line of a file; `splitlines` would also cut at form feeds and U+0085.
    lines = text.replace("\r\n", "\n").split("\n")
    fences = [(number, match) for number, line in enumerate(lines) if (match := _FENCE.fullmatch(line))]
    if not fences:
        return None
    start, opening = fences[0]
    ends = [number for number, match in fences[1:] if _closes(match, opening)]
    last = ends[-1] if ends and not cut else None
    end = last if whole else _end_by_depth(fences, opening)
    return Block("".join(f"{line}\n" for line in lines[start + 1 : end]), end is not None)


def in_here_document(command: str) -> bool:
    """Whether a command ends inside a here-document: a fence in the file that it writes was taken for the block's end.

    The shell would only warn, and write half a file (POSIX.1-2017, Shell Command Language 2.7.4).
    """
    lines = iter(command.split("\n"))
    for line in lines:
        for begun in _HERE_DOCUMENT.finditer(line):
            if not any((inner.lstrip("\t") if begun[1] else inner) == begun[3] for inner in lines):
                return True
    return False


def may_be_empty(path: object) -> bool:
    """Whether a file of this name is ever written without a text."""
    return PurePosixPath(str(path)).name in _EMPTY_FILES


def holds_fences(path: object) -> bool:
    """Whether a file is of a kind whose text may hold fences of its own."""
    return isinstance(path, str) and path.lower().endswith(_FENCED_FORMATS)


def _fence(call: ToolCall) -> str:
    return "````" if holds_fences(call.arguments.get("path")) else "```"


def _opening(call: ToolCall, parameter: str) -> str:
    """The first line of a block: the language only where the block is the whole of a file."""
    suffix = PurePosixPath(str(call.arguments.get("path", ""))).suffix.lower()
    return _fence(call) + (_LANGUAGES.get(suffix, "") if parameter == WHOLE else "")


def _closes(fence: re.Match[str], opening: re.Match[str]) -> bool:
    """CommonMark 0.31 §4.5: the same character, at least as long, nothing after it."""
    return not fence[2] and fence[1].startswith(opening[1])


def _end_by_depth(fences: list[tuple[int, re.Match[str]]], opening: re.Match[str]) -> int | None:
    depth = 1
    for number, fence in fences[1:]:
        if _closes(fence, opening):
            depth -= 1
        elif fence[2] and fence[1].startswith(opening[1]):
            depth += 1
        if depth == 0:
            return number
    return None


def _again(need: NeedBody, reply: Reply, block: Block | None) -> Read:
    """A changed question, since the same one fails the same way (R17)."""
    if need.attempt >= MAX_ATTEMPTS:
        return Malformed(f"No readable text for `{need.parameter}` of `{need.call.name}` came. Try something smaller.")
    if reply.finish == "length":
        problem = "That was cut off before its end, nothing was done. Write a shorter text."
    elif block is None:
        problem = f"There was no block in that reply. Begin with a line {_opening(need.call, need.parameter)}."
    elif block.closed:
        problem = "The block was empty, nothing was done."
    else:
        problem = f"The block was not closed, nothing was done. End it with a line {_fence(need.call)}."
    last = "Last try. " if need.attempt + 1 == MAX_ATTEMPTS else ""
    return msgspec.structs.replace(need, problem=last + problem, attempt=need.attempt + 1)
