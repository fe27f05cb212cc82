"""`view`: a file, page by page."""

from typing import Annotated

from msgspec import Meta

from runner.tools.files import ask_inside
from runner.tools.text import plain
from runner.tools.work import Observation, Work


def view(work: Work, path: str, start: Annotated[int, Meta(ge=1)] = 1) -> Observation:
    """Show a file with line numbers, 100 lines at a time, or a folder as a tree.

    path: a file or folder of the repository, such as src/calc.py
    start: the first line to show, such as 101
    """
    return Observation(plain(ask_inside(work, "view", path, start=start, cap=work.cap)))
