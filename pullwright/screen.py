"""What one sees while turns are taken: on a terminal lines that scroll above one status line, plain lines in a pipe."""

import re
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TextIO

from pullwright.watching import is_terminal
from runner.decide import Claim, Escalate, Hold, Merge, Propose, Resume, Rework
from runner.lifecycle import STAGES
from runner.parsing.characters import calm
from runner.planning import Step
from runner.wording import one_line

if TYPE_CHECKING:
    from rich.text import Text

_STEP = re.compile(r"^\S+  step (\d+)  ")
STAGE_WIDTH = max(len(stage) for stage in STAGES)

# What stands in a line → its style on a terminal; the first that is there counts.
STYLES = (
    (r" gate passed ", "green"),
    (r" gate failed[ :]| is offline$", "red"),
    (r" is ready$| is merged into ", "bold green"),
    (r" told: | → exit [1-9]", "yellow"),
)


class Left(BaseException):
    """Whoever watches wants to stop; the step that was under way is done."""


class Screen:
    """Hears steps and sentences; a context manager, since the status line must go at the end. `plain`: none of that."""

    def __init__(self, out: TextIO, *, plain: bool = False) -> None:
        self.out = out
        self.plain = plain or not is_terminal(out)
        self.status: Any = None
        self.now = Now()

    def __enter__(self) -> Self:
        if not self.plain:
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
        """A step begins: it heads the lines that follow."""
        place = f"{step.state.task.id}  {step.state.current}"
        self.now.place, self.now.last = place, ""
        self._print(in_columns(parts(f"{place}  {beginning(step)}")), "bold")

    def say(self, line: str) -> None:
        """Something happened."""
        said = parts("".join(char if char.isprintable() or char == "\n" else " " for char in line))
        self.now.last = said.what
        below = self.status is not None and said.task and said.place == self.now.place
        self._print(indented(said.what) if below else in_columns(said), style_of(line))

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def _print(self, line: str, style: str) -> None:
        line = calm(line)
        if self.status is None:
            self.out.write(line + "\n")
            self.out.flush()
        else:
            console = self.status.console
            whole = "\n" in line  # a complaint with its remedy: that is read to its end
            shown = line if whole else fitted(line, console.width - len("00:00  "))
            console.print(self.now.stamped(shown, style), no_wrap=not whole, overflow="fold" if whole else "ellipsis")


class Now:
    """The status line: how long it has been going, where it is, and what happened last."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.place = ""
        self.last = "looking"

    def elapsed(self) -> str:
        """Minutes and seconds since the start."""
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60:02}:{seconds % 60:02}"

    def stamped(self, line: str, style: str) -> "Text":
        """A line of the log with its time."""
        from rich.text import Text

        return Text.assemble((f"{self.elapsed()}  ", "dim"), (line, style))

    def __rich__(self) -> "Text":
        """Asked for again at every turn of the spinner, so that the time goes on."""
        from rich.text import Text

        place = (f"{self.place}  " if self.place else "", "bold")
        shown = [(f"{self.elapsed()}  ", "dim"), place, (one_line(self.last), "dim")]
        return Text.assemble(*shown, no_wrap=True, overflow="ellipsis")


def style_of(line: str) -> str:
    """How a line looks on a terminal. Pure."""
    return next((style for words, style in STYLES if re.search(words, line)), "")


class Parts(NamedTuple):
    """A line `task  stage  what`; any other line is all `what`."""

    task: str
    stage: str
    what: str

    @property
    def place(self) -> str:
        """`task  stage`, or nothing."""
        return f"{self.task}  {self.stage}" if self.task else ""


def parts(line: str) -> Parts:
    """A line taken apart. Pure."""
    task, _, rest = line.partition("  ")
    stage, _, what = rest.partition(" ")
    return Parts(task, stage, what.lstrip()) if stage in STAGES else Parts("", "", line)


def indented(what: str) -> str:
    """What happened, below the heading that says where: an agent's steps by their numbers. Pure."""
    step = _STEP.match(what)
    return f"{step[1]:>5}  {what[step.end() :]}" if step else f"{'':7}{what}"


def fitted(line: str, width: int) -> str:
    """A line cut to `width` characters; how a command ended is kept. Pure."""
    ending = line[line.rfind(" → exit ") :] if " → exit " in line else ""
    return line if len(line) <= width else line[: width - len(ending) - 1] + "…" + ending


def in_columns(said: Parts) -> str:
    """The line with its stage in a column of its own. Pure."""
    return f"{said.task}  {said.stage:<{STAGE_WIDTH}}  {said.what}" if said.task else said.what


def beginning(step: Step) -> str:
    """What a step sets out to do, in words. Pure."""
    match step.action:
        case Claim(_, attempt, agent):
            return f"for {agent.name} ({agent.model})" + (f", attempt {attempt}" if attempt > 1 else "")
        case Escalate(agent, _):
            return f"for {agent.name} ({agent.model}), who takes over"
        case Resume(takeover):
            return "taken over: its lease has expired" if takeover else "goes on"
        case Rework(said, findings):
            why = said[0].text if said else findings.partition("\n")[0]  # below it stands what the agent has to read
            return f"goes back to its agent: {one_line(why, 120)}"
        case Merge():
            return "is merged, as the policy says"
        case Propose(merge_base):
            return "base has moved: merged in, gated again" if merge_base else "gated again"
        case Hold(reason, _):
            return f"held: {reason}"
        case _:
            return ""
