"""`write`: a whole file."""

from typing import Annotated

from runner.tools.files import ask_inside
from runner.tools.work import Body, Observation, Work


def write(work: Work, path: str, content: Annotated[str, Body]) -> Observation:
    """Create a file, or replace all of its text. Python that does not compile is refused.

    path: the file, such as src/calc.py
    content: the complete new text of the file
    """
    whole = content if content.endswith("\n") or not content else content + "\n"
    return Observation(ask_inside(work, "write", path, content=whole, check=True))
