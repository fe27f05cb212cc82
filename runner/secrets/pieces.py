"""A known value that was taken apart: a half in each of two files, steps or letters, or something between its letters.

A rule for what is simple. Who encrypts, compresses or rewrites it is not found (docs/sandbox.md). Pure.
"""

import base64
import re
from collections.abc import Iterable, Iterator

PIECE = 8
"""Letters and digits of a value in a row, as they do not come about by chance."""
SHARE = 3 / 4
"""Of a value that pieces have to hold together before they count: many tokens begin alike."""
LEAST = 12
"""Letters and digits of a value that is looked for in pieces."""
MOST = 4 << 20
"""Letters and digits of all texts together that are looked at."""

_BETWEEN = re.compile(r"[^A-Za-z0-9]+")
_WORDS = re.compile(r"[A-Z]?[a-z]*|[A-Z]*")

Form = tuple[str | None, ...]
"""Every `PIECE` letters in a row of a value, from each of its letters on; None for those that may be a word."""


class Pieces:
    """Looks for the pieces of `values`, as they are and in hexadecimal and base64, whatever stands between letters."""

    def __init__(self, values: Iterable[str]) -> None:
        self._forms = tuple(form for value in values for form in _forms(value))
        self._wanted = frozenset(piece for form in self._forms for piece in form if piece)

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def adds(self, new: Iterable[str], before: Iterable[str] = (), known: Iterable[str] = ()) -> bool:
        """Whether `new` brings a piece of a value that is then as good as whole with what stood in texts `before`.

        Pieces which are in `known` are nobody's secret; those texts are read only where there is a suspicion.
        """
        if not self._wanted:
            return False
        start = _letters(before, MOST)
        old = self._in(start)
        all_ = self._in(start[-MOST:] + _letters(new, MOST))
        if not self._whole(all_ - old, all_):
            return False
        public = self._in(_letters(known, MOST))
        return self._whole(all_ - old - public, all_ - public)

    def in_text(self, text: str) -> bool:
        """Whether there is any piece at all."""
        return bool(self._in(_letters([text], MOST)))

    def _in(self, letters: str) -> set[str]:
        found = (letters[at : at + PIECE] for at in range(len(letters) - PIECE + 1))
        return {piece for piece in found if piece in self._wanted}

    def _whole(self, gained: set[str], all_: set[str]) -> bool:
        return bool(gained) and any(gained & set(form) and _share(form, all_) >= SHARE for form in self._forms)


def _letters(texts: Iterable[str], most: int) -> str:
    """The letters and digits of texts, one after the other."""
    found, room = [], most
    for text in texts:
        found.append(_BETWEEN.sub("", text[: 2 * room]).lower()[:room])
        room -= len(found[-1])
    return "".join(found)


def _forms(value: str) -> Iterator[Form]:
    data = value.encode()
    for spelling in (value, data.hex(), base64.b64encode(data).decode()):
        letters = _BETWEEN.sub("", spelling)
        if len(letters) >= LEAST:
            rows = (letters[at : at + PIECE] for at in range(len(letters) - PIECE + 1))
            yield tuple(None if _WORDS.fullmatch(row) else row.lower() for row in rows)


def _share(form: Form, pieces: set[str]) -> float:
    """How much of a value the pieces make up, from 0 to 1."""
    covered = {at + step for at, row in enumerate(form) if row in pieces for step in range(PIECE)}
    return len(covered) / (len(form) + PIECE - 1)
