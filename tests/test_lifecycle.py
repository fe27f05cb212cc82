"""Stages, status and branch names."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import SLUGS, STAGE_LISTS

from runner.lifecycle import (
    NOT_STARTED,
    STAGES,
    Stage,
    StageRef,
    first_open,
    parse_stage_branch,
    stage_branch,
    status,
    work_branch,
)

REFS = st.builds(StageRef, SLUGS, st.sampled_from(STAGES), st.integers(1, 9999))
DONE = st.frozensets(st.sampled_from(STAGES))


@given(REFS)
def test_a_stage_branch_says_which_attempt_it_is(ref: StageRef) -> None:
    assert parse_stage_branch(stage_branch(*ref)) == ref


@given(
    st.text(max_size=40)
    | st.from_regex(r"agents/[a-z0-9-]{0,66}/(design|build|tests?)(\.[0-9]{0,5})?\n?", fullmatch=True)
)
def test_a_branch_that_reads_as_an_attempt_is_spelled_the_one_right_way(branch: str) -> None:
    ref = parse_stage_branch(branch)
    assert ref is None or stage_branch(*ref) == branch


@pytest.mark.parametrize("end", [".1", ".0", ".02", ".10000", ".", "\n", ".2\n", "/x", " "])
def test_a_stage_branch_with_another_end_is_none(end: str) -> None:
    assert parse_stage_branch(f"agents/a/build{end}") is None


@given(REFS)
def test_a_task_branch_is_no_stage_branch(ref: StageRef) -> None:
    assert parse_stage_branch(work_branch(ref.task)) is None
    assert parse_stage_branch(f"refs/heads/{stage_branch(*ref)}") is None


@pytest.mark.parametrize("task", ["a", "0-", "a" * 63, "lock", "head"])
def test_git_takes_every_name_that_is_made(task: str) -> None:
    for branch in (work_branch(task), stage_branch(task, Stage.BUILD, 9999)):
        subprocess.run(["git", "check-ref-format", f"refs/heads/{branch}"], check=True)


@given(STAGE_LISTS, DONE)
def test_the_first_open_stage_is_one_of_the_tasks_own_and_not_done(
    stages: tuple[Stage, ...], done: frozenset[Stage]
) -> None:
    stage = first_open(stages, done)
    assert (stage is None) == done.issuperset(stages)
    if stage is not None:
        assert stage in stages
        assert stage not in done
        assert done.issuperset(stages[: stages.index(stage)])


@given(STAGE_LISTS, DONE, st.booleans())
def test_a_status_is_never_a_stage_that_the_task_does_not_have(
    stages: tuple[Stage, ...], done: frozenset[Stage], started: bool
) -> None:
    word = status(stages, done, started)
    assert word in {NOT_STARTED, "complete", *stages}
    assert (word == NOT_STARTED) == (not started and not done)


@given(STAGE_LISTS)
def test_finishing_what_is_open_runs_each_stage_once_in_order(stages: tuple[Stage, ...]) -> None:
    done: frozenset[Stage] = frozenset()
    ran = []
    while (stage := first_open(stages, done)) is not None:
        ran.append(stage)
        done |= {stage}
    assert tuple(ran) == stages
    assert status(stages, done, True) == "complete"
