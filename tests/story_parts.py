"""A model for a whole story: it answers by what it is asked, and waits where a test wants to look first."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from answer_parts import MODELS, calls
from repositories import DESIGN, TASK
from wire import ScriptedOllama
from wire.ollama import NDJSON, chunk, last, says
from wire.server import Answer, Asked

PATIENCE = 120.0
DRAFT = {
    "title": "Say goodbye in Latin", "description": "`vale` in latin.txt.", "complexity": 2,
    "complexity_reason": "One word in one file.", "stages": ["build", "test"], "acceptance": ["latin.txt says vale"],
}  # fmt: skip
WORDS = ("It says **hello**, ", "as greeting.txt:1 shows; ", "a second line is ", "still to come.")


class Storyteller(ScriptedOllama):
    """`gates` are what a test opens: `ask` when the agent shall ask, `pause` once it was paused, `word` amid an answer,
    `build` when somebody may build.
    """

    def __init__(self) -> None:
        super().__init__((), models=MODELS)
        self.gates = {name: threading.Event() for name in ("ask", "pause", "word", "build")}
        self.heard: list[str] = []
        self.turns = self.written = 0
        self.asked = False

    def answer(self, asked: Asked) -> Answer:
        """By who is spoken to: the agent that works, the one that talks, the one that drafts."""
        if asked.path != "/api/chat" or not asked.body.get("messages"):
            return super().answer(asked)
        said = [str(message["content"]) for message in asked.body["messages"]]
        self.heard.append("\n".join(said))
        if said[0].startswith("You write tasks"):
            return says(json.dumps(DRAFT))
        return self._talks() if "A person talks with you" in said[0] else self._works(asked.body["messages"])

    def _talks(self) -> Answer:
        return Answer(_Pieces(self._pieces()), headers=NDJSON)  # type: ignore[arg-type]

    def _pieces(self) -> Iterator[dict[str, Any]]:
        for number, word in enumerate(WORDS):
            if number == 2:
                self.gates["word"].wait(PATIENCE)
            yield chunk(word)
        yield last()

    def _works(self, messages: list[dict[str, Any]]) -> Answer:
        if any("Now do the stage build." in str(message["content"]) for message in messages):
            self.gates["build"].wait(PATIENCE)
        self.turns += 1
        if self.turns == 1:
            return calls("view", path="greeting.txt")
        if self.turns == 2:
            return calls("write", path=f"tasks/{TASK}/design.md", content="A first draft.\n")
        if self.gates["ask"].is_set() and not self.asked:
            self.asked = True
            return calls("ask", question="Shall it say goodbye, or farewell?")
        if not self.gates["pause"].wait(1):
            return calls("search", text=f"hello {self.turns}")
        self.written += 1
        if self.written == 1:
            return calls("write", path=f"tasks/{TASK}/design.md", content=DESIGN)
        return calls("finish", summary="A second line is added.")


class _Pieces:
    """Lines that are made while they are sent."""

    def __init__(self, lines: Iterator[dict[str, Any]]) -> None:
        self.lines = lines

    def __iter__(self) -> Iterator[bytes]:
        return (json.dumps(line).encode() + b"\n" for line in self.lines)


__all__ = ["Storyteller"]
