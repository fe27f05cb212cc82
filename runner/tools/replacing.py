"""SEARCH/REPLACE blocks: reading them, and applying them to a text. Pure.

The block format is aider's (docs/models.md R12); it must match whole lines in exactly one place. What is
forgiven is what weak models get wrong without meaning anything by it: white space at the end of lines, and one
indentation that is missing from, or added to, every line alike.
"""

import re
from collections.abc import Callable, Iterator
from itertools import chain

import msgspec

from runner.errors import ToolError

_OPEN = re.compile(r"(<{5,}) SEARCH\s*")
FORMAT = """\
<<<<<<< SEARCH
    return a - b
=======
    return a + b
>>>>>>> REPLACE"""
NEAR = 0.35
"""Share of words that lines must have in common to be shown as the nearest ones: lower shows noise."""


MOST_PAIRS = 2_000_000
"""Lines that are compared to find the nearest ones; of a longer SEARCH the first lines have to do. Indentation is
forgiven for twenty times as many."""

Shift = Callable[[str], str]


class Block(msgspec.Struct, frozen=True):
    """Lines to be found, and the lines that take their place."""

    search: tuple[str, ...]
    replace: tuple[str, ...]


def parse(change: str) -> tuple[Block, ...]:
    """The blocks of a change. Text around them is passed over; a block that is not whole is a `ToolError`."""
    lines = iter(change.replace("\r\n", "\n").split("\n"))
    blocks: list[Block] = []
    for line in lines:
        opened = _OPEN.fullmatch(line.strip())
        if opened:
            blocks.append(_block(lines, len(opened[1])))
    if not blocks:
        raise ToolError(f"The change has no SEARCH/REPLACE block. Write it like this:\n{FORMAT}")
    return tuple(blocks)


def _block(lines: Iterator[str], length: int) -> Block:
    middle, end = "=" * length, ">" * length + " REPLACE"
    search = _until(lines, middle, f"the line {middle}")
    replace = _until(lines, end, f"the line {end}")
    if middle in (line.rstrip() for line in replace):
        raise ToolError(
            f"A block has the line {middle} twice. If the file itself has such a line, write all three markers longer, "
            f"such as {'<' * (length + 2)} SEARCH."
        )
    if not any(line.strip() for line in search):
        raise ToolError(
            "A SEARCH part is empty. To add lines, SEARCH for the line before them and REPLACE it by itself "
            "and the new lines. To make a new file, use write."
        )
    if search == replace:
        raise ToolError("SEARCH and REPLACE are the same: nothing would change.")
    return Block(search, replace)


def _until(lines: Iterator[str], mark: str, what: str) -> tuple[str, ...]:
    taken: list[str] = []
    for line in lines:
        if line.strip() == mark:
            return tuple(taken)
        taken.append(line)
    raise ToolError(f"A block ends without {what}. Write it like this:\n{FORMAT}")


def apply(text: str, blocks: tuple[Block, ...]) -> tuple[str, str]:
    """The text with every block applied in turn, and the changed lines, numbered, for the model to see.

    A block must match in exactly one place, else `ToolError` says where it is nearest and nothing is changed.
    """
    seen: list[str] = []
    for number, block in enumerate(blocks, 1):
        which = f"Block {number}: " if len(blocks) > 1 else ""
        lines = text.split("\n")
        start, new = _place(lines, block, which)
        lines[start : start + len(block.search)] = new
        text = "\n".join(lines)
        seen.append(numbered(lines, start - 2, start + len(new) + 2))
    return text, "\n…\n".join(seen)


def _place(lines: list[str], block: Block, which: str) -> tuple[int, list[str]]:
    """Where the block goes, and the lines to put there with the indentation of that place."""
    found = matches(lines, block.search)
    if len(found) > 1:
        places = ", ".join(str(at + 1) for at, _ in found[:10])
        raise ToolError(f"{which}SEARCH matches {len(found)} places (lines {places}). Add lines around it.")
    if not found:
        raise ToolError(which + _missed(lines, block))
    at, shift = found[0]
    return at, [shift(line) for line in block.replace]


def matches(lines: list[str], search: tuple[str, ...]) -> list[tuple[int, Shift]]:
    """Every place where the search lines stand: as they are, or else all of them in- or outdented alike."""
    wanted = [line.rstrip() for line in search]
    have = [line.rstrip() for line in lines]
    starts = range(len(have) - len(wanted) + 1)
    exact = [at for at in starts if have[at] == wanted[0] and have[at : at + len(wanted)] == wanted]
    if exact:
        return [(at, _same) for at in exact]
    if len(starts) * len(wanted) > 20 * MOST_PAIRS:
        return []
    shifts = ((at, _shift(have[at : at + len(wanted)], wanted)) for at in starts)
    return [(at, shift) for at, shift in shifts if shift is not None]


def _same(line: str) -> str:
    return line


def _shift(have: list[str], wanted: list[str]) -> Shift | None:
    """What turns the wanted lines into those that are there, if one change of indentation does."""
    pairs = ((h, w) for h, w in zip(have, wanted, strict=True) if h or w)
    first = first_have, first_want = next(pairs)
    extra = len(first_have) - len(first_want)
    pad = (first_have if extra > 0 else first_want)[: abs(extra)]
    if pad.strip():
        return None
    if extra > 0 and all(h == pad + w for h, w in chain([first], pairs)):
        return lambda line: pad + line if line.strip() else line
    if extra < 0 and all(pad + h == w for h, w in chain([first], pairs)):
        return lambda line: line.removeprefix(pad)
    return None


def _missed(lines: list[str], block: Block) -> str:
    """Why nothing matched: it is done already, or the nearest lines as they really are."""
    if any(line.strip() for line in block.replace) and matches(lines, block.replace):
        return "The REPLACE lines are already there, and the SEARCH lines are not: this change has been made."
    at = nearest(lines, block.search)
    if at is None:
        return "No line like the SEARCH lines is in the file. View it, and copy the lines as they are."
    near = numbered(lines, at - 1, at + len(block.search) + 1)
    return (
        f"The SEARCH lines are not in the file. The nearest lines are:\n{near}\nCopy whole lines, without the numbers."
    )


def nearest(lines: list[str], search: tuple[str, ...]) -> int | None:
    """Where the words of the search lines are found best, line by line; None if hardly any are."""
    most = max(1, MOST_PAIRS // len(lines))
    wanted = [(line.strip(), _words(line)) for line in search[:most]]
    have = [(line, _words(line)) for line in lines]
    scores = [
        sum(_alike(a, b) for a, b in zip(have[at : at + len(wanted)], wanted, strict=False)) for at in range(len(have))
    ]
    best = max(range(len(scores)), key=scores.__getitem__)
    return best if scores[best] >= NEAR * sum(1 for _, words in wanted if words) else None


def _words(line: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", line))


def _alike(have: tuple[str, frozenset[str]], wanted: tuple[str, frozenset[str]]) -> float:
    """How alike two lines are, from 0 to 1; a part of a line is like the whole of it."""
    (line, a), (part, b) = have, wanted
    if not a or not b:
        return 0.0
    return 1.0 if part in line else len(a & b) / len(a | b)


def numbered(lines: list[str], start: int, end: int) -> str:
    """Lines `start` to `end` (from 0, end excluded, cut to what is there) as `view` shows them."""
    whole = len(lines) - (lines[-1:] == [""])
    start, end = max(start, 0), min(end, whole)
    return "\n".join(f"{number:>4} {line}" for number, line in enumerate(lines[start:end], start + 1))
