"""A weak model makes every mistake of the list once, with the real tools: it is taught each time, and gets there."""

import json
from pathlib import Path

import pytest
from talk_parts import Model, entries
from tool_parts import make_work

from runner.loop.dialogue import Bounds, Finished, converse
from runner.loop.trajectory import Trajectory
from runner.models import Message, ModelError, Reply, Request, ToolCall
from runner.protocols import Act
from runner.tools import toolbox

GOOD = "def add(a, b):\n    return a + b\n"


def says(tool: str, **arguments: object) -> Reply:
    return Reply(json.dumps({"thought": "Next.", "tool": tool, "arguments": arguments}), prompt_tokens=500)


def fence(text: str) -> Reply:
    return Reply(f"```python\n{text}```", prompt_tokens=500)


def block(search: str, replace: str) -> Reply:
    return Reply(
        f"Here you are:\n```\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n```", prompt_tokens=500
    )


CHECK = "python3 -c 'import calc; print(calc.add(2, 3))'"
FENCED = Reply(f'I run it now:\n```json\n{{"name": "bash", "parameters": {{"command": "{CHECK}"}}}}\n```')

# What it says, and what it must be told about it ("" where nothing is wrong).
STORY: list[tuple[list[Reply], str]] = [
    ([Reply("Sure! First I will look at the files, and then I will fix the bug for you.")], "no action in your reply"),
    ([Reply("")], "was empty"),
    ([says("view", path="calc.py")], "return a - b"),
    ([says("view", path="calc.py")], "It was not run again"),
    ([says("open_browser", url="http://example.org")], "There is no tool 'open_browser'"),
    ([says("bash")], "'command' is missing"),
    ([FENCED], "exit 0\n-1"),
    ([Reply('{"thought": "I will", "tool": "bash", "argu', finish="length")], "too long"),
    ([Reply("I beg", finish="aborted")], "ended in the middle"),
    ([says("view", path="/etc/passwd")], "outside the workspace"),
    ([says("view", path="calculator.py")], "does not exist. Its folder holds: calc.py"),
    ([says("edit", path="calc.py"), Reply("return a + b")], "There was no block"),
    ([Reply("```\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a +")], "was not closed"),
    ([block("    return a-b", "    return a + b")], "The nearest lines are:"),
    ([says("edit", path="calc.py"), block("return a - b", "return a + ")], "does not compile"),
    ([says("write", path="calc.py"), fence(GOOD.replace(":", "", 1))], "expected ':'"),
    ([says("bash", command="sleep 9", timeout="1")], "did not end within 1 s"),
    ([says("bash", command="yes | head -c 90000")], "characters left out"),
    ([says("execute_bash", command="printf '\\033[2Jcleared'")], "exit 0\ncleared"),
    ([says("write", path="calc.py"), fence(GOOD)], "Wrote calc.py: 2 lines."),
    ([says("write", path="calc.py"), fence(GOOD)], "It was not run again"),
    ([says("bash", command=CHECK)], "exit 0\n5"),
    ([says("finish", summary="add() adds.")], ""),
]  # fmt: skip


def heard(request: Request) -> str:
    return request.messages[-1].text


@pytest.mark.parametrize("start", ["json", "native"])
def test_every_mistake_is_taught_and_the_task_is_done(tmp_path: Path, start: str) -> None:
    work = make_work(tmp_path)
    (tmp_path / "src" / "calc.py").write_text(GOOD.replace("+", "-"))
    replies = [reply for said, _ in STORY for reply in said]
    if start == "native":
        replies.insert(0, ModelError("no-tools", "registry.ollama.ai/library/weak does not support tools"))  # type: ignore[arg-type]
    model = Model(replies)
    with Trajectory.open(tmp_path / "trajectory.jsonl") as trajectory:
        outcome = converse(
            model,
            start,
            toolbox(("bash", "view", "write", "edit", "finish"), work),
            trajectory,
            (Message("system", "You mend code."), Message("user", "calc.add subtracts. Mend it.")),
            Bounds(),
            before_step=tuple,
            after_step=lambda tool: None,
            seeds=(Act(ToolCall("view", {"path": "."}), "I look at what is there."),),
        )
    assert outcome == Finished("add() adds.")
    assert (tmp_path / "src" / "calc.py").read_text() == GOOD
    asked = [request for request in model.requests if request.tools == ()]
    at = 0
    for said, told in STORY[:-1]:
        at += len(said)
        assert told in heard(asked[at]), f"after {said[-1].text[:60]!r}"
    rules = [line["rule"] for line in entries(tmp_path / "trajectory.jsonl", "told")]
    assert rules == ["format", "empty", "repeat", "tool", "arguments", "length", "aborted", "repeat"]
