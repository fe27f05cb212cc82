"""CSV → rows and columns that can be shown. Pure."""

import csv
from collections.abc import Iterator
from typing import NamedTuple

MOST_TEXT = 1_000_000  # characters
MOST_ROWS, MOST_COLUMNS = 500, 40


class Sheet(NamedTuple):
    """The rows of a table, the first of them its heads; `cut` says that there are more, or wider ones."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    cut: bool


def sheet(text: str) -> Sheet | None:
    """CSV as a table; None for what is none."""
    try:
        found = [tuple(row) for row in _rows(text)]
    except csv.Error:
        return None
    if not found or len(found[0]) < 2:
        return None
    wide = any(len(row) > MOST_COLUMNS for row in found)
    cut = [tuple(cell[:500] for cell in row[:MOST_COLUMNS]) for row in found[: MOST_ROWS + 1]]
    return Sheet(cut[0], tuple(cut[1:]), wide or len(found) > MOST_ROWS + 1)


def _rows(text: str) -> Iterator[list[str]]:
    lines = text[:MOST_TEXT].splitlines()[: MOST_ROWS + 2]
    first = lines[0] if lines else ""
    comma = max(",;\t", key=first.count)
    yield from csv.reader(lines, delimiter=comma)
