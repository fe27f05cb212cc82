"""Text as it comes, made fit for a terminal: lines end at spaces, and nothing in it steers anything. Pure."""

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from rich.cells import cell_len

from runner.parsing.characters import calm
from runner.tools.text import plain

_PARTS = re.compile(r"\n|[ \t]+|[^ \t\n]+")
_FENCE = re.compile(r"\s*(?:```|~~~)")


def safe(text: str) -> str:
    """Somebody's words as a terminal may get them."""
    return calm(plain(text))


class Flow:
    """Lines of at most `width` cells, each after `indent`. Code in a fence keeps its lines."""

    def __init__(self, width: int, indent: str = "  ") -> None:
        self.width, self.indent = max(width, len(indent) + 20), indent
        self.line = ""  # as it was said, to see fences
        self.column = 0
        self.gap = ""
        self.code = False

    def feed(self, text: str) -> str:
        """What to print for the next piece of the text."""
        return "".join(map(self._part, _PARTS.findall(text)))

    def _part(self, part: str) -> str:
        if part == "\n":
            self.code ^= bool(_FENCE.match(self.line))
            self.line, self.column, self.gap = "", 0, ""
            return "\n"
        self.line += part
        if part.isspace():
            self.gap += part
            return ""
        return self._word(part)

    def _word(self, word: str) -> str:
        gap, self.gap = self.gap.expandtabs(4), ""
        lead = self.indent if self.column == 0 else ""
        needs = len(gap) + cell_len(word)
        if lead or self.code or not gap or self.column + needs <= self.width:
            self.column += len(lead) + needs
            return lead + gap + word
        self.column = len(self.indent) + cell_len(word)
        return f"\n{self.indent}{word}"


_LEAD = re.compile(r"\s*(?:[→✗·…] )?")
_COMMAND = re.compile(r"\s*→ (?:git|pullwright) ")
LEAST = 20
"""Columns that a meaning needs beside its word."""


def hung(text: str, width: int) -> str:
    """Our own lines, which end at spaces and go on below their beginning. A command is one line, to be copied."""
    lines: list[str] = []
    for line in text.split("\n"):
        lead = " " * len((_LEAD.match(line) or [""])[0])
        whole = len(line) <= width or _COMMAND.match(line)
        lines += [line] if whole else wrap(line, width, subsequent_indent=lead, **_AS_THEY_ARE)
    return "\n".join(lines)


def meanings(rows: Sequence[tuple[str, str]], width: int) -> Iterator[tuple[str, str]]:
    """Rows of a word and what it means as two columns; where there is no room for two, one below the other."""
    wide = max((len(word) for word, _ in rows), default=0)
    beside = width - wide - 4 >= LEAST
    for word, meaning in rows:
        lead = " " * (wide + 4 if beside else 6)
        told = "\n".join(wrap(lead + meaning, width, subsequent_indent=lead, **_AS_THEY_ARE))
        yield f"  {word}", told[2 + len(word) :] if beside else f"\n{told}"


_AS_THEY_ARE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, "replace_whitespace": False}


def flowed(text: str, width: int, indent: str = "  ") -> str:
    """A whole text."""
    return Flow(width, indent).feed(safe(text).strip("\n"))
