"""The model out of a file."""

from pathlib import Path

import pytest

from runner.errors import UserError
from runner.models import Abilities, Message, ModelError, Request, ToolCall
from runner.models.scripted import Scripted

FILE = """\
build:
  - text: I look.
    calls: [{name: bash, arguments: {command: ls -la}}]
  - text: |
      ```
      x = 1
      ```
"""


def ask(turn: int) -> Request:
    return Request((Message("system", "s" * 300), Message("user", "u" * 100)), turn=turn)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "replies.yaml"
    path.write_text(FILE)
    return path


def test_the_turn_chooses_the_reply_whatever_was_asked_before(file):
    model = Scripted(file, "build")
    assert model.reply(ask(1)).text == "```\nx = 1\n```\n"
    first = model.reply(ask(0))
    assert (first.text, first.calls) == ("I look.", (ToolCall("bash", {"command": "ls -la"}, "call_0"),))
    assert Scripted(file, "build").reply(ask(0)) == first


def test_tokens_are_estimated_so_that_budgets_count(file):
    reply = Scripted(file, "build").reply(ask(0))
    assert reply.prompt_tokens == 100
    assert reply.completion_tokens > 0
    assert reply.cost == 0.0


def test_text_is_heard_as_from_any_model(file):
    heard: list[str] = []
    Scripted(file, "build").reply(ask(0), heard.append)
    assert heard == ["I look."]


@pytest.mark.parametrize(("stage", "turn"), [("build", 2), ("review", 0)])
def test_the_end_of_the_script_names_file_stage_and_turn(file, stage, turn):
    with pytest.raises(ModelError) as caught:
        Scripted(file, stage).reply(ask(turn))
    assert (caught.value.kind, caught.value.retryable) == ("refused", False)
    for part in (str(file), stage, f"turn {turn}"):
        assert part in str(caught.value)


def test_check_tells_window_and_tools(file):
    assert Scripted(file, "build").check() == Abilities(32768, tools=True)
    assert Scripted({"build": []}, "build", context=4096).check().context == 4096


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("build: [{txt: hi}]", ["build[0]", "txt"]),
        ("build: [{text: a}, {text: no}]", ["build[1]", "text"]),
        ("build: [{calls: [{arguments: {}}]}]", ["build[0]", "name"]),
        ("build: hi", ["build"]),
        ("- text: hi", ["object"]),
        ("build: [", ["line 2"]),
        ("build: !!python/object/apply:os.getcwd []", ["python"]),
        ("\0", ["replies.yaml"]),
    ],
)
def test_a_malformed_script_is_named_with_its_key_and_its_shape(tmp_path, text, names):
    path = tmp_path / "replies.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        Scripted(path, "build").check()
    for name in (str(path), *names):
        assert name in caught.value.what
    assert "calls" in caught.value.remedy


def test_a_script_that_is_not_there_names_the_key_that_points_to_it(tmp_path):
    with pytest.raises(UserError) as caught:
        Scripted(tmp_path / "none.yaml", "build").check()
    assert "none.yaml" in caught.value.what
    assert "agents.yaml" in caught.value.remedy
