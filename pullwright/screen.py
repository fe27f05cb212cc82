"""What one sees while turns are taken: on a terminal lines that scroll above one status line, plain lines in a pipe."""

import os
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from runner.decide import Claim, Escalate, Hold, Merge, Propose, Resume, Rework
from runner.lifecycle import STAGES
from runner.wording import one_line
from runner.worker import Step

if TYPE_CHECKING:
    from rich.text import Text

STAGE_WIDTH = max(len(stage) for stage in STAGES)

# Words of a line → its style on a terminal; the first that is in the line counts.
STYLES = (
    (" gate passed ", "green"),
    (" gate failed ", "red"),
    (" is offline", "red"),
    (" is ready", "bold green"),
    (" is merged into ", "bold green"),
    (" told: ", "yellow"),
)


class Screen:
    """Hears steps and sentences; a context manager, since the status line must go at the end."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.status: Any = None
        self.now = Now()

    def __enter__(self) -> Self:
        if is_terminal(self.out):
            from rich.console import Console

            console = Console(file=self.out, highlight=False)
            self.status = console.status(self.now, spinner="dots")
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
        self.now.begin(text)
        self._show(text, "bold")

    def say(self, line: str) -> None:
        """Something happened."""
        self.now.last = line
        self._show(line, next((style for words, style in STYLES if words in line), ""))

    def _show(self, line: str, style: str) -> None:
        shown = aligned("".join(char if char.isprintable() or char == "\n" else " " for char in line))
        if self.status is None:
            self.out.write(shown + "\n")
            self.out.flush()
        else:
            self.status.console.print(self.now.stamped(shown, style), no_wrap=True, overflow="ellipsis", crop=True)


class Now:
    """The status line: how long it has been going, the current step, and what happened last."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.current = "looking"
        self.last = ""

    def begin(self, text: str) -> None:
        """A step begins."""
        self.current, self.last = text, ""

    def elapsed(self) -> str:
        """Minutes and seconds since the start."""
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60:02}:{seconds % 60:02}"

    def stamped(self, line: str, style: str) -> "Text":
        """A line of the log with its time."""
        from rich.text import Text

        return Text.assemble((f"{self.elapsed()}  ", "dim"), (line, style), no_wrap=True, overflow="ellipsis")

    def __rich__(self) -> "Text":
        """Asked for again at every turn of the spinner, so that the time goes on."""
        from rich.text import Text

        task, _, rest = self.last.partition("  ")
        news = rest if self.current.startswith(task) else self.last
        shown = [(f"{self.elapsed()}  ", "dim"), (one_line(self.current), "bold"), (f"  {one_line(news)}", "dim")]
        return Text.assemble(*shown, no_wrap=True, overflow="ellipsis")


def is_terminal(out: TextIO) -> bool:
    """Whether somebody watches who can see a line change."""
    return out.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def aligned(line: str) -> str:
    """`task  stage  what` with the stage in a column of its own; any other line as it is. Pure."""
    task, gap, rest = line.partition("  ")
    stage, _, what = rest.partition("  ") if "  " in rest else rest.partition(" ")
    return f"{task}{gap}{stage:<{STAGE_WIDTH}}  {what}" if stage in STAGES else line


def beginning(step: Step) -> str:
    """What a step sets out to do, in words. Pure."""
    stage = step.state.current
    match step.action:
        case Claim(_, attempt, agent):
            return f"{stage}  for {agent.name} ({agent.model})" + (f", attempt {attempt}" if attempt > 1 else "")
        case Escalate(agent, _):
            return f"{stage}  for {agent.name} ({agent.model}), who takes over"
        case Resume(takeover):
            return f"{stage}  taken over: its lease has expired" if takeover else f"{stage}  goes on"
        case Rework(said, findings):
            first = said[0].text if said else findings
            return f"{stage}  goes back to its agent: {one_line(first, 120)}"
        case Merge():
            return f"{stage}  is merged, as the policy says"
        case Propose(merge_base):
            return f"{stage}  " + ("base has moved: merged in, gated again" if merge_base else "gated again")
        case Hold(reason, _):
            return f"{stage}  held: {reason}"
        case _:
            return str(stage)
