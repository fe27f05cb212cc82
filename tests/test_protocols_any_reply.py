"""Whatever bytes come from a model: a known tool with arguments that its schema accepts, or words that teach."""

import json
from types import ModuleType

from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.models import Reply, ToolCall
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody, Read
from runner.tools import TOOLS, describe

BUILD = tuple(describe(TOOLS[name]) for name in ("bash", "view", "write", "edit", "finish"))
BY_NAME = {tool.name: tool.parameters for tool in BUILD}

PIECES = [
    '{"thought": "I look.", "tool": "bash", "arguments": {"command": "ls"}}',
    '{"tool": "write", "arguments": {"path": "a.py"',
    '"content": "x"}}',
    '{"name": "view", "parameters": {"path": "a", "start": "3"}}',
    '{"tool": "finish"}',
    '"arguments": {',
    '"arguments": "{\\"command\\": 1}"',
    "<tool_call>",
    "</tool_call>",
    "<think>",
    "</think>",
    "<function=bash>",
    "<parameter=command>",
    "</parameter>",
    "</function>",
    "```json\n",
    "```bash\nls\n",
    "```write a.py\n",
    "```view start=x 'y\n",
    "```finish\n",
    "\n```\n",
    "````\n",
    "~~~",
    "\ud800",
    "\0",
    "{" * 300,
    "[" * 3000,
    "}}}}",
    "1e999",
    "9" * 5000,
    "null",
    "\r",
    "\x85",
]

BYTES = st.binary(max_size=300).map(lambda data: data.decode("utf-8", "surrogateescape"))
SHUFFLED = st.lists(st.sampled_from(PIECES) | st.text(max_size=20), max_size=12).map("".join)
CUT = st.builds(lambda text, end: text[:end], st.sampled_from(PIECES), st.integers(0, 80))
TEXTS = st.one_of(BYTES, st.text(max_size=200), SHUFFLED, CUT)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["command", "timeout", "path", "start", "content", "change", "summary"]) | st.text(max_size=8)
NAMES = st.sampled_from([*BY_NAME, "functions.bash", "Bash:0", "teleport", ""]) | st.text(max_size=20)
CALLS = st.builds(ToolCall, NAMES, st.dictionaries(KEYS, VALUES, max_size=4), st.text(max_size=5))
REPLIES = st.builds(
    Reply,
    TEXTS,
    st.lists(CALLS, max_size=2).map(tuple),
    st.sampled_from(["stop", "length", "aborted"]),
    st.integers(0, 100),
    st.integers(0, 100),
)


def holds(call: ToolCall, *, whole: bool) -> None:
    """The call is of a known tool, its arguments are those of the schema and can be written down."""
    schema = BY_NAME[call.name]
    wanted = {name for name in schema["required"] if whole or not schema["properties"][name].get("x-body")}
    assert wanted <= set(call.arguments) <= set(schema["properties"])
    kinds = {"string": str, "integer": int}
    for name, value in call.arguments.items():
        assert type(value) is kinds[schema["properties"][name]["type"]]
        assert "\0" not in str(value)
    json.dumps(call.arguments, ensure_ascii=False).encode()


def teaches(read: Malformed) -> None:
    assert len(read.message) > 10
    read.message.encode()


@settings(max_examples=300, deadline=None)
@given(REPLIES, TEXTS, st.sampled_from(sorted(PROTOCOLS)))
def test_any_reply_is_a_valid_call_or_a_teaching_error(reply, following, name):
    protocol: ModuleType = PROTOCOLS[name]
    read: Read = protocol.read(reply, BUILD)
    while isinstance(read, NeedBody):
        holds(read.call, whole=False)
        read = protocol.read_body(Reply(following, finish=reply.finish), read)
    if isinstance(read, Act):
        holds(read.call, whole=True)
        read.thought.encode()
    else:
        teaches(read)


def without_fences(text: str) -> str:
    return text.replace("`", "'").replace("~", "-").replace("\0", "").replace("\r", "")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["a.py", "a.md"]), st.text(max_size=40), st.text(max_size=40))
def test_a_body_in_its_fence_arrives_as_it_was_written(body, path, before, after):
    written = without_fences(body) + "."
    fence = "````" if path.endswith(".md") else "```"
    need = PROTOCOLS["json"].read(Reply(json.dumps({"tool": "write", "arguments": {"path": path}})), BUILD)
    said = f"{without_fences(before)}\n{fence}\n{written}\n{fence}\n{without_fences(after)}"
    assert PROTOCOLS["json"].read_body(Reply(said), need).call.arguments["content"] == f"{written}\n"


LINES = st.sampled_from(
    ["x = 1", "", "def f():", "```", "```python", "~~~", "</parameter>", "</function>", "}", '"', "\\"]
)
BODIES = st.lists(LINES | st.text('ab {}"\n<>`', max_size=12), min_size=1, max_size=8).map("\n".join)


def as_json(path: str, body: str) -> str:
    return json.dumps({"name": "write", "arguments": {"path": path, "content": body}})


CARRIERS = {
    "tag": lambda path, body: f"<tool_call>{as_json(path, body)}</tool_call>",
    "fence": lambda path, body: f"I write.\n```json\n{as_json(path, body)}\n```",
    "bare": lambda path, body: f"I write. {as_json(path, body)}",
    "parameters": lambda path, body: (
        f"<function=write>\n<parameter=path>\n{path}\n</parameter>\n"
        f"<parameter=content>\n{body}\n</parameter>\n</function>"
    ),
    "block": lambda path, body: f"I write.\n````write {path}\n{body}\n````",
    "short block": lambda path, body: f"I write.\n```write {path}\n{body}\n```",
}


def written(read: Read, following: Reply) -> str | None:
    """The text that would be written, if any would be."""
    while isinstance(read, NeedBody):
        read = PROTOCOLS["json"].read_body(following, read)
    return read.call.arguments.get("content") if isinstance(read, Act) and read.call.name == "write" else None


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(CARRIERS)), st.sampled_from(["native", "text"]), BODIES)
@example("parameters", "native", "a\n</parameter>\n</function>\nb")
def test_a_call_that_was_cut_anywhere_writes_the_whole_file_or_none(carrier, name, body):
    said = CARRIERS[carrier]("a.md", body)
    for end in range(len(said) + 1):
        read = PROTOCOLS[name].read(Reply(said[:end], finish="length" if end < len(said) else "stop"), BUILD)
        text = written(read, Reply(""))
        assert text is None or text.strip() == body.strip(), said[:end]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["```", "````", "~~~~"]), BODIES)
def test_a_body_that_was_cut_anywhere_is_whole_or_asked_for_again(fence, body):
    need = PROTOCOLS["json"].read(Reply(json.dumps({"tool": "write", "arguments": {"path": "a.md"}})), BUILD)
    said = f"Here:\n{fence}\n{body}\n{fence}\n"
    for end in range(len(said) + 1):
        text = written(need, Reply(said[:end], finish="aborted" if end < len(said) else "stop"))
        assert text is None or text.strip() == body.strip(), said[:end]
