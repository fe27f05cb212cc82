"""What a weak model says over HTTP, as constrained JSON with bodies in fences, and every mistake known of small ones.

A mistake is what it says, and a part of what it must be told before its next word.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from wire.ollama import chunk, says, stream
from wire.server import Answer

Mistake = tuple[list[Answer], str]


def wants(tool: str, **arguments: Any) -> Answer:
    """An action."""
    return says(json.dumps({"thought": "Next.", "tool": tool, "arguments": arguments}), prompt=0)


def raw(text: str, **closing: Any) -> Answer:
    """Whatever else it says."""
    return says(text, prompt=0, **closing)


def fence(text: str) -> Answer:
    """A body."""
    return raw(f"Here it is:\n~~~~\n{text}~~~~")


def change(search: str, replace: str) -> Answer:
    """A replacement, as the edit tool wants it."""
    return fence(f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n")


def replies(calls: Sequence[tuple[str, dict[str, Any]]], thought: str = "I go on.") -> Iterator[Answer]:
    """Good calls, as a model without tool calls says them."""
    for name, given in calls:
        arguments = dict(given)
        bodies = [arguments.pop(key) for key in ("content", "change") if key in arguments]
        yield says(json.dumps({"thought": thought, "tool": name, "arguments": arguments}), prompt=0)
        yield from (raw(f"~~~~\n{body}~~~~") for body in bodies)


def looking(folder: str, file: str) -> list[Mistake]:
    """Of who looks around; `file` is in the `folder`."""
    return [
        (
            [raw("Sure! First I will look at the files, and then I will write a design for you.")],
            "no action in your reply",
        ),
        ([raw("", generated=1)], "was empty"),
        ([wants("view", path=folder)], file),
        ([wants("view", path=folder)], "It was not run again"),
        ([wants("open_browser", url="http://example.org")], "There is no tool 'open_browser'"),
        ([wants("view", path="/etc/passwd")], "outside the workspace"),
        ([wants("view", path=f"{folder}/nothing.py")], "does not exist"),
    ]


def changing(path: str, line: str) -> list[Mistake]:
    """Of who changes the Python file at `path`; `line` stands in it and has a minus or a plus between blanks."""
    nearly = line.replace(" - ", "-").replace(" + ", "+")
    return [
        ([wants("bash")], "'command' is missing"),
        (
            [raw('I run it now:\n```json\n{"name": "bash", "parameters": {"command": "echo here"}}\n```')],
            "exit 0\nhere",
        ),
        ([raw('{"thought": "I will", "tool": "bash", "argu', reason="length")], "too long"),
        ([stream(chunk("I beg"), chunk(" you"))], "ended in the middle"),
        ([wants("edit", path=path), raw("return later - earlier")], "There was no block"),
        ([raw("```\n<<<<<<< SEARCH\n    def minutes(self)\n=======\n    def")], "was not closed"),
        ([change(nearly, "        return 0")], "nearest lines"),
        ([wants("edit", path=path), change(line, f"{line} + (")], "does not compile"),
        ([wants("write", path=path), fence("def minutes(self)\n    return 0\n")], "expected ':'"),
        ([wants("write", path="notes.py"), fence(""), fence(""), fence("")], "Try something smaller"),
    ]


def running() -> list[Mistake]:
    """Of who runs commands, and of who believes to be done; a test report is owed."""
    return [
        ([wants("bash", command="sleep 9", timeout="1")], "did not end within 1 s"),
        ([raw('{"thought": "It ran."' + "\n  \t" * 90, reason="length")], "ended in the middle"),
        ([wants("bash", command="yes | head -c 90000")], "characters left out"),
        ([wants("execute_bash", command="printf '\\033[2Jcleared'")], "exit 0\ncleared"),
        ([wants("finish", summary="All done, everything passes!")], "test-report.md"),
    ]


def reading(path: str) -> list[Mistake]:
    """Of who writes calls as models of another harness do; `path` is a file."""
    call = json.dumps({"name": "view", "arguments": {"path": path, "start": "1"}})
    return [
        ([raw(f"<tool_call>{call}</tool_call>")], f"{path}: lines 1-"),
        ([wants("bash", command="cat nothing.py")], "exit 1"),
    ]


def noting() -> list[Mistake]:
    """Of who says the same twice."""
    return [
        ([wants("note", text="I begin.")], "Noted"),
        ([wants("note", text="I begin.")], "It was not run again"),
    ]


class Script:
    """Answers in their order, and what must be heard after some of them."""

    def __init__(self, *first: Answer) -> None:
        self.answers = list(first)
        self.lessons: list[tuple[int, str]] = []

    def stage(self, mistakes: Sequence[Mistake], good: Iterator[Answer]) -> None:
        """One more stage: its mistakes, then good work."""
        for said, lesson in mistakes:
            self.answers += said
            self.lessons.append((len(self.answers), lesson))
        self.answers += good

    def was_heard(self, chats: Sequence[Any]) -> None:
        """Every answer was asked for once, and every mistake was taught."""
        for number, lesson in self.lessons:
            heard = chats[number]["messages"][-1]["content"]
            assert lesson in heard, f"{lesson!r} is not in {heard[-600:]!r}"
        assert len(chats) == len(self.answers), "every answer was asked for, and none was asked for twice"
