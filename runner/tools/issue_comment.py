"""`issue_comment`: a word to the people who follow the task's issue."""

from typing import Annotated

from runner.errors import ToolError
from runner.tools.text import plain
from runner.tools.work import Body, Observation, Work

MOST = 4000


def issue_comment(work: Work, text: Annotated[str, Body]) -> Observation:
    """Comment below this task's issue, for the people there to read. Few words; it cannot be taken back.

    text: what they should know, such as The old parser is kept for files of 2019.
    """
    if work.reach.comment is None:
        raise ToolError("Comments are not allowed for this agent.")
    if not text.strip() or len(text) > MOST:
        raise ToolError(f"Write 1 to {MOST} characters.")
    address = work.reach.comment(plain(text).strip())
    work.journal.note(f"issue_comment: {address}")
    return Observation(f"It stands at {address}.")
