"""What one sees while turns are taken: a live table on a terminal, plain lines in a pipe."""

import time
from types import TracebackType
from typing import Any, Self, TextIO

from runner.decide import Claim, Escalate, Merge, Propose, Resume, Rework
from runner.worker import Step

LINES = 12  # of the log that stay in sight on a terminal


class Screen:
    """Hears steps and sentences. On a terminal lines scroll above one status line; elsewhere they are just lines."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.status: Any = None
        self.started = time.monotonic()

    def __enter__(self) -> Self:
        if self.out.isatty():
            from rich.console import Console

            console = Console(file=self.out, highlight=False)
            self.status = console.status("looking", spinner="dots")
            self.status.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status is not None:
            self.status.__exit__(kind, error, trace)

    def step(self, step: Step) -> None:
        """A step begins."""
        text = f"{step.state.task.id}  {beginning(step)}"
        if self.status is not None:
            self.status.update(_escaped(text))
        self.say(text, strong=True)

    def say(self, line: str, *, strong: bool = False) -> None:
        """Something happened."""
        shown = "".join(char if char.isprintable() or char == "\n" else " " for char in line)
        if self.status is None:
            self.out.write(shown + "\n")
            self.out.flush()
        else:
            seconds = int(time.monotonic() - self.started)
            style = "bold" if strong else None
            self.status.console.print(f"{seconds // 60:02}:{seconds % 60:02}  {shown}", style=style, markup=False)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def beginning(step: Step) -> str:
    """What a step sets out to do, in words. Pure."""
    stage = step.state.current
    match step.action:
        case Claim(_, attempt, agent):
            return f"{stage}  {agent.name} ({agent.model}) takes it" + (f", attempt {attempt}" if attempt > 1 else "")
        case Escalate(agent, _):
            return f"{stage}  {agent.name} ({agent.model}) takes over"
        case Resume(takeover):
            return f"{stage}  taken over: its lease has expired" if takeover else f"{stage}  goes on"
        case Rework(said, findings):
            first = said[0].text if said else findings
            return f"{stage}  goes back to its agent: {' '.join(first.split())[:120]}"
        case Merge():
            return f"{stage}  is merged, as the policy says"
        case Propose(merge_base):
            return f"{stage}  " + ("base has moved: merged in, gated again" if merge_base else "gated again")
        case _:
            return str(stage)
