"""Stages, status and branch names, both ways.

Everything here is a value or a pure function: no Git, no clock, no network.
"""

import re
from enum import StrEnum
from typing import NamedTuple

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Stage(StrEnum):
    """The five stages, in the order in which a task goes through them."""

    DESIGN = "design"
    BUILD = "build"
    TEST = "test"
    REVIEW = "review"
    COMPLETE = "complete"

    __hash__ = str.__hash__  # Enum's own is a function in Python, and sets of stages are asked all the time


STAGES: tuple[Stage, ...] = tuple(Stage)

NOT_STARTED = "not_started"


class StageRef(NamedTuple):
    """One attempt at one stage of one task, as its branch name says it."""

    task: str
    stage: Stage
    attempt: int


def work_branch(task: str) -> str:
    """The branch where a task's stages come together: `work/<id>`."""
    return f"work/{task}"


def stage_branch(task: str, stage: Stage, attempt: int = 1) -> str:
    """`agents/<id>/<stage>`, a later attempt `agents/<id>/<stage>.<n>`."""
    suffix = "" if attempt == 1 else f".{attempt}"
    return f"agents/{task}/{stage}{suffix}"


_STAGE_BRANCH = re.compile(rf"agents/({SLUG.pattern})/({'|'.join(STAGES)})(?:\.([2-9]|[1-9][0-9]{{1,3}}))?")


def parse_stage_branch(branch: str) -> StageRef | None:
    """The attempt that a branch name stands for, or None for any other branch. A name alone proves nothing."""
    match = _STAGE_BRANCH.fullmatch(branch)
    if match is None:
        return None
    return StageRef(match[1], Stage(match[2]), int(match[3] or 1))


def first_open(stages: tuple[Stage, ...], done: frozenset[Stage]) -> Stage | None:
    """The first of a task's stages that is not done; None when all are."""
    for stage in stages:
        if stage not in done:
            return stage
    return None


def status(stages: tuple[Stage, ...], done: frozenset[Stage], started: bool) -> str:
    """`not_started`, the name of the stage that the task stands at, or `complete`.

    `started` says whether any stage branch exists.
    """
    stage = first_open(stages, done)
    if stage is None:
        return str(Stage.COMPLETE)
    return str(stage) if started or done else NOT_STARTED
