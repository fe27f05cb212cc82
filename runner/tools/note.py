"""`note`: a line for the task's history."""

from typing import Annotated

from msgspec import Meta

from runner.tools.text import plain
from runner.tools.work import Observation, Prose, Work


def note(work: Work, text: Annotated[str, Meta(min_length=1, max_length=2000), Prose]) -> Observation:
    """Write a line into the task's history, for people and for yourself.

    text: what was found or decided, such as The parser drops names with a dot.
    """
    work.journal.note(plain(text))
    return Observation("Noted.")
