"""`progress`: how far the stage has come."""

from typing import Annotated

from msgspec import Meta

from runner.tools.work import Observation, Work


def progress(work: Work, percent: Annotated[int, Meta(ge=0, le=100)]) -> Observation:
    """Say how far this stage has come.

    percent: from 0 to 100, such as 60
    """
    work.journal.progress(percent)
    return Observation(f"Noted: {percent} %.")
