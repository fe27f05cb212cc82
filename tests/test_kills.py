"""SIGKILL at every step boundary and at every outgoing Git command of a whole task: it ends as it would have."""

import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from kills import (
    Ended,
    Stand,
    check,
    kill_at_git,
    kill_at_step,
    orphan_ended,
    outgoing,
    run_later,
    run_whole,
    stand,
    template,
)
from repositories import COMMAND, at_home

SECONDS = 10.0  # of kills in `make test`


class Point(NamedTuple):
    """One kill, and where the task goes on: on the same clone or (`other`) on another one."""

    kind: str
    number: int
    other: bool

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}-{'other' if self.other else 'same'}"


class Whole(NamedTuple):
    """The undisturbed run: its hub to be copied, how it stands at the end, and every point where one can be killed.

    `other` ran in the same way to another end.
    """

    source: Path
    folder: Path
    place: Stand
    other: Stand
    points: list[Point]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """A task's undisturbed run, traced."""
    top = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        yield _whole(top)


def _whole(top: Path) -> Whole:
    source = template(top)
    place, other = stand(source, top / "whole"), stand(source, top / "other")
    ended = kill_at_git(place, 0, "never")
    assert ended.status == 0, ended.said
    commands = outgoing(place)
    replies = other.first / ".pullwright" / "replies.yaml"
    replies.write_text(replies.read_text().replace("Both lines are there.", "Both are there."))
    counted = kill_at_step(other, 0)
    boundaries = int(re.findall(r"boundaries: (\d+)", counted.said)[0])
    points = [
        Point(how, number, other)
        for how in ("before", "after", "orphan")
        for number, command in enumerate(commands, 1)
        if how != "orphan" or command == "push"
        for other in (False, True)
    ]
    points += [Point("step", number, other) for number in range(1, boundaries + 1) for other in (False, True)]
    assert len(commands) > 40 and boundaries > 60, "the whole task is traced"
    return Whole(source, top, place, other, points)


def killed(place: Stand, point: Point) -> Ended:
    if point.kind == "step":
        return kill_at_step(place, point.number)
    return kill_at_git(place, point.number, point.kind)


def suffer(whole: Whole, point: Point) -> None:
    """Kill one run at one point, let the task go on, and compare."""
    place = stand(whole.source, whole.folder / point.name)
    ended = killed(place, point)
    assert ended.status == -9, f"{point}: was not killed: {ended}"
    (run_later if point.other else run_whole)(place.second if point.other else place.first)
    if point.kind == "orphan":
        orphan_ended(place)
    check(place, whole.place, taken_over=point.other, where=str(point))
    shutil.rmtree(whole.folder / point.name)


def test_the_comparison_sees_a_difference(whole: Whole) -> None:
    check(whole.place, whole.place, taken_over=False, where="the control")
    with pytest.raises(AssertionError):
        check(whole.other, whole.place, taken_over=False, where="")


def test_a_task_that_is_killed_anywhere_ends_as_if_it_had_not_been(
    whole: Whole, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = random.Random(1).sample(whole.points, len(whole.points))
    begun, done = time.monotonic(), 0
    while waiting and time.monotonic() - begun < SECONDS:
        suffer(whole, waiting.pop())
        done += 1
    with capsys.disabled():
        print(f"\n{done} of {len(whole.points)} kills of a whole task: each ended as the undisturbed run")


def in_twos(points: list[Point], suffering: Callable[[Point], None]) -> list[str]:
    """Suffer them all, two at a time; what went wrong."""

    def tried(point: Point) -> str:
        try:
            suffering(point)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            print(f"{point}: {error}", flush=True)
            return str(point)
        return ""

    with ThreadPoolExecutor(2) as pool:
        return [wrong for wrong in pool.map(tried, points) if wrong]


@pytest.mark.soak
def test_every_kill_of_a_whole_task(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    shuffled = random.Random(5).sample(whole.points, len(whole.points))
    wrong = in_twos(shuffled, lambda point: suffer(whole, point))
    with capsys.disabled():
        kinds = {point.kind for point in whole.points}
        each = ", ".join(f"{sum(point.kind == kind for point in whole.points)} {kind}" for kind in sorted(kinds))
        print(f"\n{len(whole.points)} kills ({each}), {len(wrong)} wrong, {time.monotonic() - begun:.0f} s")
    assert wrong == []


@pytest.mark.soak
def test_runs_killed_again_and_again_at_any_moment(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    """`kill -9` of the process alone, at random moments, until the task is complete: git commands end as orphans."""
    lot, kills = random.Random(11), 0
    begun = time.monotonic()
    run_whole(stand(whole.source, whole.folder / "timed").first)
    usual = time.monotonic() - begun
    for number in range(20):
        place = stand(whole.source, whole.folder / f"random-{number}")
        while True:
            child = subprocess.Popen([*COMMAND, "run"], cwd=place.first, stdout=subprocess.DEVNULL)
            try:
                assert child.wait(lot.uniform(0.2, 1.2) * usual) == 0
                break
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                kills += 1
        check(place, whole.place, taken_over=False, where=f"random {number}")
        shutil.rmtree(whole.folder / f"random-{number}")
    with capsys.disabled():
        print(f"\n20 tasks killed {kills} times at random moments: each ended as the undisturbed run")
