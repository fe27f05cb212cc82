"""Protocols: lenient reading, strict acting, and bodies of files never inside JSON."""

import inspect
import json

import pytest

from runner.models import Abilities, Message, Reply, ToolCall, ToolSpec
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody, choose
from runner.protocols import json_schema as by_json
from runner.protocols import native as by_calls
from runner.protocols import text as by_text
from runner.protocols.body import MAX_ATTEMPTS, first_block, in_here_document
from runner.protocols.choice import billions
from runner.tools import TOOLS, describe

BUILD = tuple(describe(TOOLS[name]) for name in ("bash", "view", "write", "edit", "finish"))
LS = ToolCall("bash", {"command": "ls"})
ASK = {"max_tokens": 300, "temperature": 0.1, "turn": 3}


def acted(reply: Reply, protocol=by_calls) -> ToolCall:
    read = protocol.read(reply, BUILD)
    assert isinstance(read, Act), read
    return read.call


def refused(reply: Reply, protocol=by_calls) -> Malformed:
    read = protocol.read(reply, BUILD)
    assert isinstance(read, Malformed), read
    return read


def test_all_protocols_are_asked_in_the_same_words():
    for name in ("request", "read", "body_request", "read_body"):
        assert len({str(inspect.signature(getattr(protocol, name))) for protocol in PROTOCOLS.values()}) == 1


# Reading.

READABLE = {
    "a whole reply": '{"thought": "I look.", "tool": "bash", "arguments": {"command": "ls"}}',
    "the names of OpenAI": '{"name": "bash", "parameters": {"command": "ls"}}',
    "a string of JSON": '{"name": "bash", "arguments": "{\\"command\\": \\"ls\\"}"}',
    "flat arguments": '{"tool": "bash", "command": "ls"}',
    "after thinking": '<think>{"tool": "finish"}</think>{"tool": "bash", "arguments": {"command": "ls"}}',
    "a tag": 'I look.\n<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>',
    "a tag that is not closed": '<tool_call>{"name": "bash", "arguments": {"command": "ls"}}',
    "a fence": 'Sure:\n```json\n{"tool": "bash", "arguments": {"command": "ls"}}\n```\nDone.',
    "inside prose": 'I will run {"tool": "bash", "arguments": {"command": "ls"}} now.',
    "inside another object": '{"action": {"tool": "bash", "arguments": {"command": "ls"}}}',
    "the first of two": '{"tool": "bash", "arguments": {"command": "ls"}} {"tool": "view", "arguments": {"path": "x"}}',
    "tags of Qwen": "<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>",
    "one shell fence": "Let me look:\n```bash\nls\n```",
    "an alias": '{"tool": "run_command", "arguments": {"command": "ls"}}',
    "a name with its ornaments": '{"tool": "functions.Bash:0", "arguments": {"command": "ls"}}',
    "a known tool after a strange one": '{"tool": "fly", "height": 3} {"tool": "bash", "arguments": {"command": "ls"}}',
    "a broken object before it": '{"tool": "bash", {"tool": "bash", "arguments": {"command": "ls"}}',
}


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS.keys())
@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE.keys())
def test_a_call_is_found_in_text_as_models_write_it(text, protocol):
    assert acted(Reply(text), protocol) == LS


def test_what_is_lifted_out_of_the_text_of_native_calls_says_so():
    assert by_calls.read(Reply(READABLE["a whole reply"]), BUILD).lifted
    assert not by_calls.read(Reply("", (LS,)), BUILD).lifted


def test_the_first_of_several_native_calls_is_taken_with_its_id_and_thought():
    reply = Reply(
        "<think>hm</think> I look. ",
        (ToolCall("bash", {"command": "ls"}, "c1"), ToolCall("bash", {"command": "rm"}, "c2")),
    )
    assert by_calls.read(reply, BUILD) == Act(ToolCall("bash", {"command": "ls"}, "c1"), "I look.")


def test_the_thought_of_an_action_is_kept():
    assert by_json.read(Reply(READABLE["a whole reply"]), BUILD).thought == "I look."


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS.keys())
@pytest.mark.parametrize(
    ("reply", "flaw"),
    [
        (Reply("I think we should look at the files."), "format"),
        (Reply('{"name": "Ada", "age": 3}'), "format"),
        (Reply('{"tool": "bash", "arguments": {"command": "rm -r /wor', finish="length"), "length"),
        (Reply('{"tool": "bash", "argu', finish="aborted"), "aborted"),
        (Reply("```bash\nrm -r bui", finish="length"), "length"),
        (Reply("<function=bash><parameter=command>rm -r bui", finish="length"), "length"),
        (Reply("```bash\ncat > a.md <<'EOF'\n# A\n```\nls\n```\nEOF\n```"), "format"),
        (Reply('{"thought": "I look."' + "\n\r" * 70, finish="length"), "aborted"),
        (Reply("Hm.\n" + "```yaml\n" * 30, finish="length"), "aborted"),
        (Reply("", completion_tokens=40), "swallowed"),
        (Reply(" \n"), "empty"),
        (Reply('{"tool": "teleport", "arguments": {}}'), "tool"),
        (Reply('{"tool": "search", "arguments": {"text": "x"}}'), "tool"),
        (Reply('{"tool": "bash", "arguments": {}}'), "arguments"),
        (Reply('{"tool": "bash", "arguments": {"command": "ls", "sudo": true}}'), "arguments"),
        (Reply('{"tool": "bash", "arguments": {"command": ["ls", "-la"]}}'), "arguments"),
        (Reply('{"tool": "bash", "arguments": {"command": "ls", "timeout": "soon"}}'), "arguments"),
        (Reply('{"tool": "bash", "arguments": {"command": "ls", "timeout": 0}}'), "arguments"),
        (Reply('{"tool": "bash", "arguments": {"command": "ls", "timeout": 1e999}}'), "arguments"),
        (Reply('{"tool": "bash", "arguments": {"command": "a\\u0000b"}}'), "arguments"),
        (Reply('{"tool": "finish", "arguments": {"summary": ""}}'), "arguments"),
        (Reply("", (ToolCall("teleport", {}),)), "tool"),
        (Reply("", (ToolCall("bash", {"cmd": "ls"}),)), "arguments"),
    ],
)
def test_what_may_not_be_acted_upon_is_told_apart(reply, flaw, protocol):
    assert refused(reply, protocol).flaw == flaw


@pytest.mark.parametrize("protocol", [by_calls, by_json])
def test_of_two_shell_blocks_none_is_meant_where_blocks_are_not_the_protocol(protocol):
    assert refused(Reply("```bash\nls\n```\n```bash\nrm x\n```"), protocol).flaw == "format"


def test_an_error_teaches_which_tools_and_arguments_there_are():
    assert "bash, view, write, edit, finish" in refused(Reply("", (ToolCall("teleport", {}),))).message
    message = refused(Reply("", (ToolCall("bash", {"cmd": "ls"}),))).message
    assert "no argument 'cmd'" in message
    assert "bash takes command (a string), timeout (a whole number, optional)" in message


@pytest.mark.parametrize(
    ("given", "kind", "taken"),
    [
        ("3", "integer", 3),
        (3.0, "integer", 3),
        ("2.5", "number", 2.5),
        (" true ", "boolean", True),
        (7, "string", "7"),
        (True, "string", "true"),
        ("\ud800x", "string", "\ufffdx"),
        ("\ud83d\ude00", "string", "\U0001f600"),
    ],
)
def test_values_that_can_only_mean_one_thing_are_taken_as_that(given, kind, taken):
    tool = ToolSpec("t", "", {"type": "object", "properties": {"x": {"type": kind}}, "required": ["x"]})
    assert by_calls.read(Reply("", (ToolCall("t", {"x": given}),)), (tool,)).call.arguments == {"x": taken}


@pytest.mark.parametrize(
    ("given", "kind"), [(True, "integer"), (3.5, "integer"), ("yes", "boolean"), ([], "string"), (None, "string")]
)
def test_values_that_would_be_a_guess_are_refused(given, kind):
    tool = ToolSpec("t", "", {"type": "object", "properties": {"x": {"type": kind}}, "required": ["x"]})
    assert isinstance(by_calls.read(Reply("", (ToolCall("t", {"x": given}),)), (tool,)), Malformed)


def test_null_for_an_argument_that_may_be_left_out_leaves_it_out():
    assert acted(Reply("", (ToolCall("bash", {"command": "ls", "timeout": None}),))) == LS


# The schema.


def test_without_tools_there_is_no_schema_that_nothing_could_satisfy():
    assert by_json.request(TALK, (), **ASK).schema is None


def test_the_schema_has_one_branch_a_tool_with_the_thought_first_and_short_strings():
    schema = by_json.request((), BUILD, **ASK).schema
    assert [branch["properties"]["tool"]["const"] for branch in schema["anyOf"]] == [
        "bash",
        "view",
        "write",
        "edit",
        "finish",
    ]
    for branch in schema["anyOf"]:
        assert list(branch["properties"]) == ["thought", "tool", "arguments"]
        assert branch["required"] == ["thought", "tool", "arguments"]
        arguments = branch["properties"]["arguments"]
        assert arguments["additionalProperties"] is branch["additionalProperties"] is False
        strings = [value for value in arguments["properties"].values() if value["type"] == "string"]
        assert all(0 < value["maxLength"] <= 500 for value in strings)


def test_bodies_are_not_in_the_schema_nor_in_the_manual():
    request = by_json.request((), BUILD, **ASK)
    assert "content" not in json.dumps(request.schema)
    assert "content" not in request.messages[0].text


def test_a_turn_with_fewer_tools_keeps_the_prompt_and_narrows_the_schema():
    usual, finishing = by_json.request((), BUILD, **ASK), by_json.request((), BUILD, **ASK, only=("finish",))
    assert usual.messages == finishing.messages
    assert [branch["properties"]["tool"]["const"] for branch in finishing.schema["anyOf"]] == ["finish"]
    assert [tool.name for tool in by_calls.request((), BUILD, **ASK, only=("finish",)).tools] == ["finish"]


def test_a_string_that_the_grammar_cut_is_not_run():
    command = "echo " + "x" * 495
    reply = Reply(json.dumps({"thought": "", "tool": "bash", "arguments": {"command": command}}))
    assert refused(reply, by_json).flaw == "length"
    assert acted(Reply("", (ToolCall("bash", {"command": command}),))).arguments == {"command": command}


def test_words_for_people_that_the_grammar_cut_are_taken():
    summary = "and then " * 55 + "and t"
    reply = Reply(json.dumps({"thought": "", "tool": "finish", "arguments": {"summary": summary}}))
    assert len(summary) == 500 and acted(reply, by_json).arguments == {"summary": summary}


# History.

TALK = (
    Message("system", "You mend programs."),
    Message("user", "Mend add."),
    Message("assistant", "I look.", calls=(ToolCall("view", {"path": "calc.py"}, "c1"),)),
    Message("tool", "exit 0\n1 def add(a, b): return a - b", answers="c1", tool="view"),
    Message("user", "A person says: hurry."),
    Message(
        "assistant",
        "Wrong sign.",
        calls=(ToolCall("write", {"path": "calc.py", "content": "def add(a, b):\n    return a + b\n"}),),
    ),
    Message("tool", "Wrote calc.py.", tool="write"),
    Message("assistant", "what?"),
    Message("user", "There was no action in your reply."),
)


def test_the_past_is_shown_exactly_as_the_model_is_to_write():
    messages = by_json.request(TALK, BUILD, **ASK).messages
    assert [message.role for message in messages[1:]] == ["user", "assistant"] * 4 + ["user"]
    assert all(not message.calls for message in messages)
    shown = Message("assistant", '{"thought": "I look.", "tool": "view", "arguments": {"path": "calc.py"}}')
    assert messages[2] == shown
    assert acted(Reply(messages[2].text), by_json) == ToolCall("view", {"path": "calc.py"})
    assert "What is the next step?" in messages[3].text
    assert "A person says: hurry." in messages[3].text


def test_a_body_of_the_past_is_shown_in_its_two_steps():
    messages = by_json.request(TALK, BUILD, **ASK).messages
    step, question, block = messages[4:7]
    need = by_json.read(Reply(step.text), BUILD)
    assert isinstance(need, NeedBody)
    assert question.text == need.instruction
    assert by_json.read_body(Reply(block.text), need).call == TALK[5].calls[0]


def test_the_question_for_a_body_continues_the_same_prompt():
    usual = by_json.request(TALK[:5], BUILD, **ASK)
    need = by_json.read(Reply('{"thought": "Wrong sign.", "tool": "write", "arguments": {"path": "calc.py"}}'), BUILD)
    asked = by_json.body_request(TALK[:5], BUILD, need, **ASK)
    later = by_json.request(TALK, BUILD, **ASK)
    assert asked.schema is None
    assert asked.tools == ()
    assert asked.messages[: len(usual.messages)] == usual.messages
    assert later.messages[: len(asked.messages)] == asked.messages


def test_native_messages_go_out_as_they_are():
    request = by_calls.request(TALK, BUILD, **ASK)
    assert (request.messages, request.tools, request.schema) == (TALK, BUILD, None)


def test_only_the_end_of_the_prompt_changes_from_turn_to_turn():
    for length in range(3, len(TALK), 2):
        before = by_json.request(TALK[: length + 1], BUILD, **ASK).messages
        after = by_json.request(TALK[: length + 3], BUILD, **ASK).messages
        assert after[: len(before) - 1] == before[:-1]


# Bodies.


def needed(path: str = "calc.py") -> NeedBody:
    action = {"thought": "t", "tool": "write", "arguments": {"path": path}}
    need = by_json.read(Reply(json.dumps(action)), BUILD)
    assert isinstance(need, NeedBody)
    return need


@pytest.mark.parametrize(
    ("path", "text", "body"),
    [
        ("a.py", "```\nx = 1\n```", "x = 1\n"),
        ("a.py", "Here:\n```python\nx = 1\n```\nDone.", "x = 1\n"),
        ("a.py", "```python\nx = 1\n```\n```python\ny = 2\n```", "x = 1\n"),
        ("a.py", '```\nD = """\n```sh\nls\n```\n"""\n```', 'D = """\n```sh\nls\n```\n"""\n'),
        ("a.py", "~~~\nx = 1\n~~~", "x = 1\n"),
        ("a.py", "```\r\nx = 1\r\n```\r\n", "x = 1\n"),
        ("pkg/__init__.py", "```\n```", ""),
        ("a.md", "````\n# A\n```\nls\n```\nend\n````", "# A\n```\nls\n```\nend\n"),
        ("a.md", "```markdown\n# A\n```\nls\n```\nend\n```", "# A\n```\nls\n```\nend\n"),
    ],
)
def test_a_body_is_the_first_block(path, text, body):
    read = by_json.read_body(Reply(text), needed(path))
    assert read == Act(ToolCall("write", {"path": path, "content": body}), "t")


@pytest.mark.parametrize(
    "reply",
    [
        Reply("x = 1"),
        Reply("```python\nx = 1\n"),
        Reply("```python\nx = 1\n", finish="length"),
        Reply("```\n```python\nx\n```\n"),
        Reply("```\n```\n```\n```\n"),
        Reply(""),
    ],
)
def test_half_a_body_is_never_taken_and_asked_for_in_other_words(reply):
    need = needed()
    seen = set()
    while isinstance(need, NeedBody):
        request = by_json.body_request(TALK, BUILD, need, **ASK)
        assert request.messages not in seen
        seen.add(request.messages)
        need = by_json.read_body(reply, need)
    assert isinstance(need, Malformed)
    assert len(seen) == MAX_ATTEMPTS


def test_a_body_that_came_inside_the_json_is_dropped_and_asked_for():
    action = {"thought": "t", "tool": "write", "arguments": {"path": "calc.py", "content": 'return s.replace("'}}
    assert by_json.read(Reply(json.dumps(action)), BUILD) == needed()


def test_over_native_calls_a_body_is_an_ordinary_argument():
    call = ToolCall("write", {"path": "a.py", "content": "x = 1\n"})
    assert acted(Reply("", (call,))) == call


@pytest.mark.parametrize("path", ["design.md", "README.MD", "notes.txt"])
def test_texts_with_blocks_of_their_own_are_asked_for_in_a_longer_fence(path):
    assert "````" in needed(path).instruction
    assert "````" not in needed("calc.py").instruction


def test_the_question_for_a_whole_file_is_one_short_sentence_with_its_language():
    wanted = "Write the complete new text of calc.py in exactly ONE ```python block and nothing else."
    assert needed("calc.py").instruction == wanted


def test_the_question_for_a_change_explains_its_form():
    need = by_json.read(Reply('{"tool": "edit", "arguments": {"path": "calc.py"}}'), BUILD)
    assert "ONE ``` block" in need.instruction
    assert "SEARCH" in need.instruction


def test_a_text_without_a_fence_has_no_block():
    assert first_block("no fence `x` here") is None


# Blocks that name their tool.


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("I look.\n```bash\nls\n```", LS),
        ("```bash timeout=9\nls\n```", ToolCall("bash", {"command": "ls", "timeout": 9})),
        ("```bash\nls\n```\nObservation: a.py\n```bash\nrm x\n```", LS),
        ("```python\nx\n```\n```bash\nls\n```", LS),
        ("```view\nsrc/a.py\n```", ToolCall("view", {"path": "src/a.py"})),
        ("```view src/a.py start=101\n```", ToolCall("view", {"path": "src/a.py", "start": 101})),
        ("```write a.py\nx = 1\n```", ToolCall("write", {"path": "a.py", "content": "x = 1\n"})),
        ("```write path=a.py\nx = 1\n```", ToolCall("write", {"path": "a.py", "content": "x = 1\n"})),
        ("```write 'a b.py'\nx\n```", ToolCall("write", {"path": "a b.py", "content": "x\n"})),
        ("```write it's.py\nx\n```", ToolCall("write", {"path": "it's.py", "content": "x\n"})),
        ("````write a.md\n```\nls\n```\n````", ToolCall("write", {"path": "a.md", "content": "```\nls\n```\n"})),
        ("```finish\nAll done.\n```", ToolCall("finish", {"summary": "All done."})),
        ("~~~finish\nAll done.\n~~~", ToolCall("finish", {"summary": "All done."})),
    ],
)
def test_a_block_names_its_tool_and_holds_its_text(text, call):
    assert acted(Reply(text), by_text) == call


@pytest.mark.parametrize(
    ("reply", "flaw"),
    [
        (Reply("```write a.py\nx = "), "format"),
        (Reply("```write a.py\nx = ", finish="length"), "length"),
        (Reply("```write\nx = 1\n```"), "arguments"),
        (Reply("```bash\n\n```"), "arguments"),
        (Reply("```write a.py\n```"), "arguments"),
        (Reply("```teleport\nhome\n```"), "format"),
    ],
)
def test_half_a_block_is_never_taken(reply, flaw):
    assert refused(reply, by_text).flaw == flaw


@pytest.mark.parametrize("message", TALK[2:6:3])
def test_a_block_of_the_past_is_shown_as_it_is_to_be_written(message):
    shown = by_text.request((message,), BUILD, **ASK).messages[1].text
    read = by_text.read(Reply(shown), BUILD)
    assert isinstance(read, Act)
    assert (read.call.name, read.call.arguments) == (message.calls[0].name, message.calls[0].arguments)
    assert read.thought == message.text


def test_blocks_need_words_to_stop_at_and_neither_tools_nor_a_schema():
    request = by_text.request(TALK, BUILD, **ASK)
    assert (request.tools, request.schema) == ((), None)
    assert request.stop
    assert all(not message.calls and message.role != "tool" for message in request.messages)


@pytest.mark.parametrize("protocol", [by_json, by_text])
def test_the_manual_leaves_room_for_the_prompt(protocol):
    assert len(protocol.manual(BUILD)) / 4 < 350


# Choosing.


@pytest.mark.parametrize(
    ("model", "tools", "protocol"),
    [
        ("gemma3:4b", False, "json"),
        ("gemma3:27b", True, "json"),
        ("library/gemma3", True, "json"),
        ("qwen2.5-coder:32b", True, "json"),
        ("llama3.2:3b", True, "json"),
        ("smollm2:135m", True, "json"),
        ("llama3.1:8b", True, "native"),
        ("qwen3:7b-q4_K_M", True, "native"),
        ("gpt-oss", True, "native"),
        ("qwen/qwen3-32b", True, "native"),
        ("anthropic/claude-sonnet-4.5", True, "native"),
        ("mistral:7b", False, "json"),
    ],
)
def test_auto_goes_by_what_models_can_rather_than_by_what_they_claim(model, tools, protocol):
    assert choose("auto", Abilities(8192, tools), model) == protocol


def test_an_agents_own_setting_wins():
    assert choose("native", Abilities(8192, False), "gemma3:4b") == "native"
    assert choose("json", Abilities(8192, True), "llama3.1:70b") == "json"


def test_sizes_are_read_from_names():
    sizes = {"llama3.2:3b": 3.0, "smollm2:135m": 0.135, "qwen2.5:0.5b-instruct": 0.5, "gpt-oss": None, "phi4": None}
    assert {model: billions(model) for model in sizes} == sizes


@pytest.mark.parametrize(
    ("command", "inside"),
    [
        ("cat > a <<EOF\nhello\nEOF\nls", False),
        ("cat > a <<-'END'\n\thello\n\tEND", False),
        ("cat <<A <<B\na\nA\nb\nB", False),
        ("cat <<< EOF", False),
        ("python3 -c 'print(1 << n)'", False),
        ("cat > a <<EOF\nhello\n EOF", True),
        ('cat > a << "EOF"\nhello', True),
        ("cat <<A <<B\na\nA\nb", True),
    ],
)
def test_a_command_that_ends_inside_a_here_document_is_known(command, inside):
    assert in_here_document(command) is inside
