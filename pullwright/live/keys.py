"""What the keys of the live view do. Pure: where one is and a key in, where one is then and what is to be done out."""

import re
from typing import Literal, NamedTuple

from pullwright.live.rows import Row

Mode = Literal["table", "log", "diff", "help", "answer"]

NAMES = {
    "\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down", "\x1b[5~": "page up", "\x1b[6~": "page down",
    "\x1b[H": "home", "\x1b[F": "end", "\x1b": "escape", "\r": "enter", "\n": "enter", "\x7f": "backspace",
    "\x08": "backspace", "\x15": "clear",
}  # fmt: skip
_KEY = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1bO.|.", re.DOTALL)

HELP = (
    ("↑ ↓  k j", "select a task; in a log or diff: scroll"),
    ("p", "pause the selected task, on every host; once more: let it go on"),
    ("a", "answer the question that its agent asks"),
    ("l", "what its agent did last, with the end of what came of it"),
    ("d", "the diff of its branch against where it will be merged"),
    ("q", "stop after this step; the next run goes on from there"),
    ("q q  ^C", "stop at once; the next run goes on from there all the same"),
    ("esc", "back to the tasks"),
)


class Mood(NamedTuple):
    """Where one is: the `mode`, the task that is `selected`, how far a page is scrolled (lines from its top; None: its
    end), what has been `typed` of an answer, and whether to stop after this step."""

    mode: Mode = "table"
    selected: str = ""
    scroll: int | None = None
    typed: str = ""
    leaving: bool = False


class Deed(NamedTuple):
    """What a key asks for beyond the view: `pause`, `resume`, `answer` (a command to the task), `diff` (to be shown),
    `leave` (after this step), `stop` (at once), `tell` (a word to whoever pressed it)."""

    verb: str
    task: str = ""
    text: str = ""


def keys(text: str) -> list[str]:
    """What a terminal sent, as names of keys; a printable character is its own name."""
    found = [NAMES.get(key, key) for key in _KEY.findall(text)]
    return [key for key in found if key in NAMES.values() or (len(key) == 1 and key.isprintable())]


def press(mood: Mood, key: str, rows: tuple[Row, ...], page: int = 10, bottom: int = 0) -> tuple[Mood, Deed | None]:
    """What a key does. `page` is how many lines a page shows, `bottom` how far it can be scrolled."""
    if mood.mode == "answer":
        return _type(mood, key)
    if key == "q":
        return (mood, Deed("stop")) if mood.leaving else (mood._replace(leaving=True), Deed("leave"))
    if key in ("escape", "enter") or (key, mood.mode) in (("l", "log"), ("d", "diff"), ("?", "help")):
        return mood._replace(mode="table", scroll=None), None
    if key == "?":
        return mood._replace(mode="help"), None
    if mood.mode in ("log", "diff") and key in MOVES:
        return mood._replace(scroll=_scrolled(mood, key, page, bottom)), None
    if key in ("up", "k", "down", "j"):
        return mood._replace(selected=_other(mood.selected, key, rows)), None
    chosen = next((row for row in rows if row.task == mood.selected), None)
    return _to_task(mood, key, chosen) if chosen is not None else (mood, None)


MOVES = ("up", "k", "down", "j", "page up", "page down", " ", "home", "end")


def _scrolled(mood: Mood, key: str, page: int, bottom: int) -> int | None:
    if key in ("home", "end"):
        return 0 if key == "home" else None
    by = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page, " ": page}[key]
    line = max(0, (bottom if mood.scroll is None else min(mood.scroll, bottom)) + by)
    return line if line < bottom else None


def _other(selected: str, key: str, rows: tuple[Row, ...]) -> str:
    names = [row.task for row in rows]
    if selected not in names:
        return names[0] if names else ""
    by = -1 if key in ("up", "k") else 1
    return names[max(0, min(len(names) - 1, names.index(selected) + by))]


def _to_task(mood: Mood, key: str, row: Row) -> tuple[Mood, Deed | None]:
    match key:
        case "p" if row.mark == "done":
            return mood, Deed("tell", row.task, "it is complete")
        case "p":
            return mood, Deed("resume" if row.paused else "pause", row.task)
        case "l":
            return mood._replace(mode="log", scroll=None), None
        case "d":
            return mood._replace(mode="diff", scroll=0), Deed("diff", row.task)
        case "a" if row.asks:
            return mood._replace(mode="answer", typed=""), None
        case "a":
            return mood, Deed("tell", row.task, "it asks nothing")
        case _:
            return mood, None


def _type(mood: Mood, key: str) -> tuple[Mood, Deed | None]:
    """An answer is typed: enter sends it, escape leaves it."""
    if key == "enter" and mood.typed.strip():
        return mood._replace(mode="table", typed=""), Deed("answer", mood.selected, mood.typed.strip())
    if key in ("enter", "escape"):
        return mood._replace(mode="table", typed=""), None
    if key in ("backspace", "clear"):
        return mood._replace(typed=mood.typed[:-1] if key == "backspace" else ""), None
    return mood._replace(typed=mood.typed + key) if len(key) == 1 else mood, None
