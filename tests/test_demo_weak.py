"""The demo's task with a weak model over HTTP that makes every mistake of the list once: taught, it gets there too.

Between its mistakes it says what the demo's recording says, as constrained JSON with bodies in fences. It claims tool
calls and cannot make them.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from repositories import git, pullwright
from wire import ScriptedOllama
from wire.ollama import chunk, says, stream
from wire.server import Answer

RECORDED = Path(__file__).parent.parent / "pullwright/demo/replies.yaml"
ENTRY = "worklog/entry.py"


def wants(tool: str, **arguments: Any) -> Answer:
    return says(json.dumps({"thought": "Next.", "tool": tool, "arguments": arguments}), prompt=0)


def raw(text: str, **closing: Any) -> Answer:
    return says(text, prompt=0, **closing)


def fence(text: str) -> Answer:
    return raw(f"Here it is:\n~~~~\n{text}~~~~")


def change(search: str, replace: str) -> Answer:
    return fence(f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n")


# What it says in the beginning of a stage, and what it has to be told about it before its next word ("": nothing).
MISTAKES: dict[str, list[tuple[list[Answer], str]]] = {
    "design": [
        (
            [raw("Sure! First I will look at the files, and then I will write a design for you.")],
            "no action in your reply",
        ),
        ([raw("", generated=1)], "was empty"),
        ([wants("view", path="worklog")], "entry.py"),
        ([wants("view", path="worklog")], "It was not run again"),
        ([wants("open_browser", url="http://example.org")], "There is no tool 'open_browser'"),
        ([wants("view", path="/etc/passwd")], "outside the workspace"),
        ([wants("view", path="worklog/entries.py")], "does not exist"),
    ],
    "build": [
        ([wants("bash")], "'command' is missing"),
        (
            [raw('I run it now:\n```json\n{"name": "bash", "parameters": {"command": "echo here"}}\n```')],
            "exit 0\nhere",
        ),
        ([raw('{"thought": "I will", "tool": "bash", "argu', reason="length")], "too long"),
        ([stream(chunk("I beg"), chunk(" you"))], "ended in the middle"),
        ([wants("edit", path=ENTRY), raw("return later - earlier")], "There was no block"),
        ([raw("```\n<<<<<<< SEARCH\n    def minutes(self)\n=======\n    def")], "was not closed"),
        (
            [change("        return minute_of_day(self.end)-minute_of_day(self.start)", "        return 0")],
            "nearest lines",
        ),
        (
            [wants("edit", path=ENTRY), change("    return at.hour * 60 + at.minute", "    return at.hour * (60")],
            "does not compile",
        ),
        ([wants("write", path=ENTRY), fence("def minutes(self)\n    return 0\n")], "expected ':'"),
        ([wants("write", path="notes.py"), fence(""), fence(""), fence("")], "Try something smaller"),
    ],
    "test": [
        ([wants("bash", command="sleep 9", timeout="1")], "did not end within 1 s"),
        ([wants("bash", command="yes | head -c 90000")], "characters left out"),
        ([wants("execute_bash", command="printf '\\033[2Jcleared'")], "exit 0\ncleared"),
        ([wants("finish", summary="All done, everything passes!")], "test-report.md"),
    ],
    "review": [
        (
            [raw('<tool_call>{"name": "view", "arguments": {"path": "README.md", "start": "1"}}</tool_call>')],
            "README.md: lines 1-",
        ),
        ([wants("bash", command="cat worklog/nothing.py")], "exit 1"),
    ],
    "complete": [
        ([wants("note", text="I begin.")], "Noted"),
        ([wants("note", text="I begin.")], "It was not run again"),
    ],
}


def recorded(lines: list[dict[str, Any]]) -> Iterator[Answer]:
    """A stage of the recording, as a model without tool calls says it."""
    for line in lines:
        for call in line["calls"]:
            given = dict(call["arguments"])
            bodies = [given.pop(name) for name in ("content", "change") if name in given]
            yield says(json.dumps({"thought": line["text"], "tool": call["name"], "arguments": given}), prompt=0)
            yield from (raw(f"~~~~\n{body}~~~~") for body in bodies)


def test_a_weak_model_that_makes_every_mistake_once_completes_the_demo(tmp_path: Path, person: Path) -> None:
    told = yaml.safe_load(RECORDED.read_text())
    answers, lessons = [raw('{"name": "view", "arguments": {"path": "."}}')], []
    for stage, lines in told.items():
        for said, lesson in MISTAKES[stage]:
            answers += said
            lessons.append((len(answers), lesson))
        answers += recorded(lines)
    with ScriptedOllama(answers, models={"llama3.1:8b": ("completion", "tools")}) as server:
        demo = pullwright(tmp_path, "demo", "kept", "--model", "ollama:llama3.1:8b", "--endpoint", server.url)
        chats = server.chats
    assert demo.status == 0, demo.out[-3000:] + demo.err
    assert "night-shifts: complete" in demo.out
    assert len(chats) == len(answers), "every answer was asked for, and none was asked for twice"
    for number, lesson in lessons:
        heard = chats[number]["messages"][-1]["content"]
        assert lesson in heard, f"{lesson!r} is not in {heard[-600:]!r}"
    assert "tools" in chats[0] and all("tools" not in body for body in chats[1:]), "native calls were tried once"
    record = yaml.safe_load(git(tmp_path / "kept", "show", "main:tasks/night-shifts/record.yaml"))
    assert {stage: entry["reworks"] for stage, entry in record["stages"].items()} == {
        "design": 0, "build": 0, "test": 1, "review": 0, "complete": 0,
    }  # fmt: skip
