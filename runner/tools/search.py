"""`search`: where a text occurs."""

from typing import Annotated

from msgspec import Meta

from runner.tools.files import ask_inside
from runner.tools.text import plain
from runner.tools.work import Observation, Work

Text = Annotated[str, Meta(min_length=1, max_length=200, examples=["def parse_date"])]


def search(work: Work, text: Text, path: str = ".") -> Observation:
    """Find the lines that hold a text, in all files or in one folder.

    text: the exact text, or a /regex/
    path: the folder or file to look in, such as src
    """
    return Observation(plain(ask_inside(work, "search", path, text=text))[: work.cap])
