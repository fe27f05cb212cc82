"""Text as it comes, made fit for a terminal: lines end at spaces, and nothing in it steers anything. Pure."""

import re

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


def flowed(text: str, width: int, indent: str = "  ") -> str:
    """A whole text."""
    return Flow(width, indent).feed(safe(text).strip("\n"))
