"""Code as it was written: each character as wide as the next, on a shaded ground, long lines broken."""

import unicodedata
from collections.abc import Iterator

from reportlab.platypus import XPreformatted

from runner.pdf import styles
from runner.pdf.fonts import CODE
from runner.pdf.inline import plain

MOST_LINES = 600
MOST_COLUMNS = 2000  # of one line; what a person would not scroll to is not printed


def code(text: str, width: float) -> XPreformatted:
    """The lines of `text`, broken at `width` points; the middle of very long code is left out and said to be."""
    columns = max(8, int((width - 2 * styles.CODE_PADDING) / styles.CODE_WIDTH))
    lines = [piece for line in text.rstrip().split("\n") for piece in broken(line.expandtabs(4), columns)]
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half:,} lines left out …", *lines[-half:]]
    return XPreformatted("\n".join(plain(line, CODE) or "\u00a0" for line in lines), styles.PRE)


def broken(line: str, columns: int) -> Iterator[str]:
    """A line in pieces of at most `columns` columns; East Asian characters take two."""
    if len(line) > MOST_COLUMNS:
        line = line[:MOST_COLUMNS] + " …"
    piece, used = "", 0
    for char in line:
        wide = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used + wide > columns:
            yield piece
            piece, used = "", 0
        piece, used = piece + char, used + wide
    yield piece
