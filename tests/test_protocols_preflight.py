"""A claim of tool calls is tried once, and what was found is remembered."""

from pathlib import Path

import pytest
from wire import ScriptedOllama
from wire.ollama import chunk, error, last, says, stream

from runner.models import Abilities, Message, ModelError
from runner.models.ollama import Ollama
from runner.protocols.preflight import Memory, settle
from runner.tools import TOOLS, describe

BUILD = tuple(describe(TOOLS[name]) for name in ("bash", "view", "finish"))
QUESTION = ((Message("system", "You mend programs."), Message("user", "Mend add.")), BUILD)
ABLE = Abilities(8192, tools=True)
CALL = stream(chunk("", ("bash", {"command": "ls"})), last())
TEXT = says('{"name": "bash", "arguments": {"command": "ls"}}')


def asked(server: ScriptedOllama, memory: Memory, setting="auto", abilities=ABLE, name="llama3.1:8b") -> str:
    model = Ollama(name, server.url, 8192, 2048, sleep=[].append)
    return settle(setting, abilities, model, QUESTION, memory)


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "state" / "protocols.json")


def server_with(*answers, name: str = "llama3.1:8b") -> ScriptedOllama:
    return ScriptedOllama(answers, models={name: ("completion", "tools")})


@pytest.mark.parametrize(
    ("answer", "protocol"),
    [
        (CALL, "native"),
        (TEXT, "json"),
        (says("I would list the files."), "json"),
        (stream(last(generated=30)), "json"),
        (stream(chunk("", ("teleport", {})), last()), "json"),
        (error(400, "llama3.1:8b does not support tools"), "json"),
        (error(500, "error parsing tool call: raw='x'"), "json"),
    ],
)
def test_the_probe_decides_and_is_made_once(memory, answer, protocol):
    with server_with(answer) as server:
        assert asked(server, memory) == protocol
        assert asked(server, memory) == protocol
    assert len(server.chats) == 1


def test_the_probe_is_the_stages_own_first_question(memory):
    with server_with(CALL) as server:
        asked(server, memory)
    body = server.chats[0]
    assert [message["content"] for message in body["messages"]] == ["You mend programs.", "Mend add."]
    assert [tool["function"]["name"] for tool in body["tools"]] == ["bash", "view", "finish"]
    assert body["options"]["num_ctx"] == 8192


@pytest.mark.parametrize(
    ("setting", "abilities", "name"),
    [
        ("native", ABLE, "llama3.1:8b"),
        ("json", ABLE, "llama3.1:8b"),
        ("text", ABLE, "llama3.1:8b"),
        ("auto", ABLE, "gemma3:12b"),
        ("auto", Abilities(8192, tools=False), "llama3.1:8b"),
    ],
)
def test_nothing_is_tried_where_nothing_is_open(memory, setting, abilities, name):
    with server_with(name=name) as server:
        asked(server, memory, setting, abilities, name)
    assert server.chats == []


def test_other_weights_are_tried_anew(memory):
    with server_with(CALL) as server:
        asked(server, memory)
    with server_with(TEXT, name="mistral:7b") as server:
        assert asked(server, memory, name="mistral:7b") == "json"


def test_a_server_that_cannot_be_asked_proves_nothing(memory):
    with server_with(*[error(503, "busy")] * 4) as server, pytest.raises(ModelError):
        asked(server, memory)
    with server_with(CALL) as server:
        assert asked(server, memory) == "native"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256:llama3.1:8b@0.33.0": "telepathy"}', "\0"])
def test_a_damaged_memory_is_a_memory_of_nothing(tmp_path, text):
    path = tmp_path / "protocols.json"
    path.write_text(text)
    with server_with(CALL) as server:
        assert asked(server, Memory(path)) == "native"
        assert asked(server, Memory(path)) == "native"
    assert len(server.chats) == 1
