"""What a line of a chat means: words for the agent, or a command. Pure."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from runner.people.remarks import Unknown
from runner.people.remarks import parse as remark

Needs = Literal["nothing", "words", "maybe words"]


class Entry(NamedTuple):
    """A command as the help shows it; `task`: only in the discussion of one."""

    name: str
    needs: Needs
    argument: str
    does: str
    task: bool = True


ENTRIES = (
    Entry("attach", "words", "FILE", "send a picture, a PDF or a text with the next message", task=False),
    Entry("task", "nothing", "", "the agent writes a task of this talk, and you edit it", task=False),
    Entry("status", "nothing", "", "where the task stands, and what waits for you"),
    Entry("approve", "nothing", "", "merge its proposal"),
    Entry("comment", "words", "TEXT", "send the proposal back to the agent with this"),
    Entry("reject", "words", "TEXT", "close the proposal"),
    Entry("answer", "words", "TEXT", "answer what its agent asks"),
    Entry("pause", "nothing", "", "let the task rest, on all hosts"),
    Entry("resume", "nothing", "", "let it go on"),
    Entry("cancel", "nothing", "", "end it; /retry takes it up again"),
    Entry("retry", "nothing", "", "start the next attempt at the stage"),
    Entry("assign", "words", "AGENT", "give its next stages to this agent"),
    Entry("budget", "maybe words", "steps=300 …", "bound what it may use: steps, tokens, cost, minutes"),
    Entry("history", "nothing", "", "all that was said", task=False),
    Entry("files", "nothing", "", "what was sent", task=False),
    Entry("help", "nothing", "", "this", task=False),
    Entry("quit", "nothing", "", "leave; so does ^D", task=False),
)
NAMES = {entry.name: entry for entry in ENTRIES}
KEYS = (
    ("enter", "send it"),
    ("alt-enter", "a new line; so does enter after a \\"),
    ("^C", "stop the answer, or clear the line"),
    ("^D", "leave"),
)


class Order(NamedTuple):
    """A command: its name, and what stands after it."""

    name: str
    words: str = ""


def parse(line: str) -> Order | Unknown | str:
    """What a message is: a command, one that does not exist, or words (without the space that keeps `/` from counting).

    A path such as /etc/hosts is no command, and of several lines only the first can be one.
    """
    head, *rest = line.split(maxsplit=1) or [""]
    name, words = head.removeprefix("/"), "".join(rest).strip()
    if line[:1].isspace() or not head.startswith("/") or not name.isalpha():
        return line.strip()
    entry = NAMES.get(name)
    if entry is None:
        return Unknown(f"there is no command /{name[:40]}; /help lists them. To say it, put a space before it")
    if entry.needs == "nothing" and words:
        return Unknown(f"/{name} stands alone")
    if entry.needs == "words" and not words:
        return Unknown(f"/{name} needs something after it: /{name} {entry.argument}")
    return Order(name, words)


def bounds(words: str) -> dict[str, float] | Unknown:
    """The bounds in `steps=300 cost=2.50`, read as a comment on GitHub is."""
    said = remark(f"/pullwright budget {words}")
    if isinstance(said, Unknown) or said is None:
        return Unknown("say bounds of steps, tokens, cost and minutes: /budget steps=300 cost=2.50")
    return dict(said.args["budget"])


def help_lines(task: bool) -> Sequence[tuple[str, str]]:
    """What there is to say and to press, for the discussion of a `task` or another one."""
    said = [(f"/{each.name} {each.argument}".strip(), each.does) for each in ENTRIES if task or not each.task]
    return (*said, *KEYS)
