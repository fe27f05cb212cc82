"""What `git diff` says → files and lines with their numbers. Pure."""

import re
from typing import NamedTuple

MOST_LINES = 3_000
_HEADS = ("index ", "--- ", "+++ ", "new file mode 100644")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Line(NamedTuple):
    """A line of a difference: its kind (`file`, `hunk`, `add`, `del`, `same`, `note`), its numbers and its text."""

    kind: str
    old: int | None
    new: int | None
    text: str


class Changed(NamedTuple):
    """What became of one file: its path, lines added and removed, and the lines of the difference."""

    path: str
    added: int
    removed: int
    lines: tuple[Line, ...]


def difference(text: str) -> tuple[tuple[Changed, ...], bool]:
    """What `git diff` says, file by file, and whether it was cut."""
    lines = text.split("\n")
    files: list[list[Line]] = []
    old = new = 0
    for line in lines[:MOST_LINES]:
        hunk = _HUNK.match(line)
        if line.startswith("diff --git "):
            files.append([Line("file", None, None, line.rpartition(" b/")[2])])
            old = new = 0
        elif not files:
            continue
        elif hunk:
            old, new = int(hunk[1]), int(hunk[2])
            files[-1].append(Line("hunk", None, None, line))
        elif not old and not new:
            files[-1].append(Line("note", None, None, line))
        elif line[:1] == "+":
            files[-1].append(Line("add", None, new, _short(line[1:])))
            new += 1
        elif line[:1] == "-":
            files[-1].append(Line("del", old, None, _short(line[1:])))
            old += 1
        elif line[:1] == " ":
            files[-1].append(Line("same", old, new, _short(line[1:])))
            old, new = old + 1, new + 1
        elif line:
            files[-1].append(Line("note", None, None, line))
    return tuple(_changed(own) for own in files), len(lines) > MOST_LINES


def _short(line: str) -> str:
    return line if len(line) <= 600 else f"{line[:600]} …"


def _changed(lines: list[Line]) -> Changed:
    kinds = [line.kind for line in lines]
    kept = [line for line in lines[1:] if line.kind != "note" or not line.text.startswith(_HEADS)]
    return Changed(lines[0].text, kinds.count("add"), kinds.count("del"), tuple(kept))
