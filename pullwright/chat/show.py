"""What a chat looks like: who said what, an answer as it comes, what the agent looks at meanwhile."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pullwright.chat.flow import Flow, flowed, hung, meanings, safe
from runner.talk.messages import Discussion, Look, Message
from runner.wording import one_line

LAST, LINES = 6, 12
"""Messages that are shown of a talk that is taken up again, and lines of each."""
WIDEST = 100  # columns: longer lines are hard to read
HOW = {"comment": "to the agent", "answer": "answers", "reject": "rejects"}


class Screen:
    """A terminal, or what stands for one. It forgets nothing: what was printed stays."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(highlight=False, soft_wrap=True, emoji=False, markup=False)

    @property
    def width(self) -> int:
        """Columns of text."""
        return min(shutil.get_terminal_size().columns, WIDEST)

    def line(self, text: str = "", style: str = "") -> None:
        """Something that Pullwright itself says."""
        told = hung(safe(text), self.width) if self.console.is_terminal else safe(text)
        self.console.print(told, style=style)

    def problem(self, what: str, remedy: str = "") -> None:
        """Something that did not go, and what to do."""
        self.line(f"✗ {what}" + (f"\n  → {remedy}" if remedy else ""), "red")

    def opening(self, found: Discussion, now: Sequence[str]) -> None:
        """What a talk is about, and what was said last."""
        self.line(found.about.title, "bold")
        for line in now:
            self.line(line, "dim")
        left = len(found.messages) - LAST
        if left > 0:
            self.line(f"… {left} earlier messages: /history shows them", "dim")
        self.messages(found.messages[-LAST:], LINES)

    def messages(self, said: Iterable[Message], most: int | None = None) -> None:
        """Messages, each at most so many lines."""
        for message in said:
            self.line()
            self.head(message)
            lines = flowed(message.text, self.width).split("\n")
            shown = lines if most is None or len(lines) <= most + 1 else lines[:most]
            self._raw("\n".join(shown) + "\n")
            if len(shown) < len(lines):
                self.line(f"  … {len(lines) - len(shown)} more lines: /history shows them", "dim")
            self.foot(message)

    def head(self, message: Message) -> None:
        """Who says it, when, and how it is meant."""
        style = {"agent": "bold cyan", "person": "bold green"}.get(message.role, "dim")
        how = f"  {HOW[message.verb]}" if message.verb in HOW else ""
        self._pair(one_line(message.who, 40), f"  {clock(message.at, datetime.now().astimezone())}{how}", style)

    def foot(self, message: Message) -> None:
        """What belongs to a message beside its words."""
        for line in footnotes(message):
            self.line(f"  {line}", "dim")

    def about(self, rows: Iterable[tuple[str, str]]) -> None:
        """Two columns: a word and what it means."""
        safely = [(safe(word), safe(meaning)) for word, meaning in rows]
        for word, meaning in meanings(safely, self.width):
            self._pair(word, meaning, "bold")

    def _pair(self, first: str, second: str, style: str) -> None:
        from rich.text import Text

        self.console.print(Text.assemble((safe(first), style), (safe(second), "dim")))

    def _raw(self, text: str) -> None:
        self.console.out(text, end="", highlight=False)
        self.console.file.flush()

    # --- an answer that is coming ----------------------------------------------------------------------------------

    @contextmanager
    def coming(self, words: str) -> Iterator["Coming"]:
        """While an answer is waited for; `words` say for what."""
        with Coming(self, words) as coming:
            yield coming


class Coming:
    """One answer as it comes. Its callbacks may be called by another thread, one at a time."""

    def __init__(self, screen: Screen, words: str) -> None:
        self.screen, self.words = screen, words
        self.shown = ""
        self.flow = Flow(screen.width)
        self.status: Any = None
        self.headed = False

    def __enter__(self) -> "Coming":
        self._wait(self.words)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def named(self, agent: str) -> None:
        """Who answers."""
        self._head(agent)
        self._wait(f"{agent} is thinking")

    def elsewhere(self) -> None:
        """Another process is at it."""
        self._wait("another process on this host answers")

    def look(self, look: Look) -> None:
        """The agent looks at something."""
        self.screen.line(f"  · {look.tool} {one_line(look.what, self.screen.width - 20)}", "dim")

    def text(self, whole: str) -> None:
        """All of the answer so far."""
        if not whole.startswith(self.shown):
            self.screen.line("\n  (it begins anew)", "dim")
            self.shown, self.flow = "", Flow(self.screen.width)
        if whole == self.shown:
            return
        self._stop()
        self.screen._raw(self.flow.feed(safe(whole[len(self.shown) :])))
        self.shown = whole

    def end(self, message: Message) -> None:
        """The answer as it is stored: what of it was not shown yet, or all of it where another one came first."""
        self._stop()
        self._head(message.who)
        if self.shown and message.text.split() != self.shown.split() and not message.text.startswith(self.shown):
            self.screen.line("\n  (another answer was there first)", "dim")
            self.shown, self.flow = "", Flow(self.screen.width)
        self.screen._raw(self.flow.feed(safe(message.text[len(self.shown) :].rstrip())) + "\n")
        self.screen.foot(message)

    def _head(self, agent: str) -> None:
        if not self.headed:
            self.headed = True
            self.screen.line()
            self.screen.line(one_line(agent, 40), "bold cyan")

    def _wait(self, words: str) -> None:
        from rich.text import Text

        if self.status is not None:
            self.status.update(Text(safe(words), "dim"))
        elif self.screen.console.is_terminal and not self.shown:
            self.status = self.screen.console.status(Text(safe(words), "dim"), spinner="dots")
            self.status.start()

    def _stop(self) -> None:
        if self.status is not None:
            self.status.stop()
            self.status = None


def clock(at: str, now: datetime) -> str:
    """A moment (ISO 8601) as somebody says it whose clock shows `now`; nothing for what is no moment. Pure."""
    try:
        moment = datetime.fromisoformat(at).astimezone(now.tzinfo)
    except (ValueError, OverflowError):
        return ""  # anybody who may push can write messages
    return moment.strftime("%H:%M" if moment.date() == now.date() else "%Y-%m-%d %H:%M")


def footnotes(message: Message) -> list[str]:
    """What is to be known of a message beside its words. Pure."""
    used = [message.model, f"{message.tokens} tokens" if message.tokens else ""]
    cost = f"${message.cost:.4f}" if message.cost else ""
    seen = f"looked {len(message.read)}×" if message.read else ""
    told = " · ".join(filter(None, [*used, cost, seen])) if message.role == "agent" else ""
    files = f"with {', '.join(message.files)}" if message.files else ""
    stopped = "stopped before it was whole" if message.cancelled else ""
    return [line for line in (files, stopped, message.cut, told) if line]


def on_terminal() -> bool:
    """Whether a person types and reads."""
    return sys.stdin.isatty() and sys.stdout.isatty()
