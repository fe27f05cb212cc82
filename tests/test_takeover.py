"""Hosts that compete: who lost a stage cannot change anything any more and says why; a lease is renewed in time."""

import itertools
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kills import Stand, check, outgoing, refs, run_later, run_whole, stand, start_at_git, template
from repositories import AUTO, COMMAND, as_replies, bare_hub, commit, git, settings, story
from scenes import PAT, Scene

from runner import acting
from runner.forge import Refused

SAMPLE = 1


def stopped(runner: "subprocess.Popen[str]") -> None:
    """Wait until a runner stands still."""
    pid, status = os.waitpid(runner.pid, os.WUNTRACED)
    assert pid == runner.pid and os.WIFSTOPPED(status), status


def wake(runner: "subprocess.Popen[str]") -> str:
    """Let a runner go on to its end; what it said."""
    os.killpg(runner.pid, signal.SIGCONT)
    said, _ = runner.communicate(timeout=300)
    assert runner.returncode == 0, said
    return said


@pytest.fixture
def source(tmp_path: Path, person: Path) -> Path:
    return template(tmp_path)


@pytest.fixture
def whole(source: Path, tmp_path: Path) -> tuple[Stand, list[int]]:
    """The undisturbed run, and the numbers of its pushes among the outgoing commands."""
    place = stand(source, tmp_path / "whole")
    assert start_at_git(place, 0, "never").wait(300) == 0
    return place, [number for number, word in enumerate(outgoing(place), 1) if word == "push"]


def sleep_over(source: Path, folder: Path, whole: Stand, number: int) -> str:
    """A host falls asleep in the middle of a push; another one takes over and ends the task; the first one wakes."""
    place = stand(source, folder)
    runner = start_at_git(place, number, "stop")
    stopped(runner)
    run_later(place.second)
    before = refs(place)
    said = wake(runner)
    assert refs(place) == before, f"push {number}: the former owner changed something:\n{said}"
    check(place, whole, taken_over=True, where=f"push {number}")
    return said


SAYS_WHY = re.compile(r"has taken it over|was claimed first|has come to be|has moved|no longer ours|is merged into")


def test_a_former_owner_that_wakes_in_the_middle_of_a_push_changes_nothing_and_says_why(
    source: Path, whole: tuple[Stand, list[int]], tmp_path: Path
) -> None:
    place, pushes = whole
    for number in random.Random(3).sample(pushes, SAMPLE):
        said = sleep_over(source, tmp_path / f"push-{number}", place, number)
        assert SAYS_WHY.search(said), f"push {number}: {said}"


@pytest.mark.soak
def test_a_former_owner_that_wakes_in_any_push(
    source: Path, whole: tuple[Stand, list[int]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, pushes = whole
    for number in pushes:
        said = sleep_over(source, tmp_path / f"push-{number}", place, number)
        assert SAYS_WHY.search(said), f"push {number}: {said}"
    with capsys.disabled():
        print(f"\n{len(pushes)} pushes, at each the owner slept over its lease: the hub refused them all")


def wait_for(what: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def slow(place: Stand) -> Path:
    """The first clone's agent takes its time with the build, until somebody makes this file."""
    told = story()
    told["build"].insert(0, ("bash", {"command": "until rm go 2>/dev/null; do sleep 0.05; done"}))
    (place.first / ".pullwright" / "replies.yaml").write_text(as_replies(told))
    return place.first / ".git/pullwright/workspaces/scripted/tasks/greet/src/go"


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, "run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def head(place: Stand, branch: str) -> str:
    return git(place.hub, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")


def test_a_former_owner_that_wakes_in_the_middle_of_a_command_stops_at_its_push(source: Path, tmp_path: Path) -> None:
    place = stand(source, tmp_path / "stand")
    go = slow(place)
    runner = start(place.first)
    told = place.first / ".git/pullwright/trajectories/greet/build.1/trajectory.jsonl"
    wait_for(lambda: told.exists() and b'"kind":"reply"' in told.read_bytes())
    os.killpg(runner.pid, signal.SIGSTOP)
    run_later(place.second)
    before = refs(place)
    go.touch()
    said = wake(runner)
    assert refs(place) == before
    assert re.search(r"agents/greet/build is no longer ours: scripted on \S+ has taken it over", said), said


def test_a_run_that_is_told_to_end_in_the_middle_of_a_command_pushes_what_there_is(
    source: Path, tmp_path: Path
) -> None:
    place = stand(source, tmp_path / "stand")
    slow(place)
    runner = start(place.first)
    told = place.first / ".git/pullwright/trajectories/greet/build.1/trajectory.jsonl"
    wait_for(lambda: told.exists() and b'"kind":"reply"' in told.read_bytes())
    os.kill(runner.pid, signal.SIGTERM)
    said, _ = runner.communicate(timeout=300)
    assert (runner.returncode, "stopping: what is there is pushed" in said) == (143, True), said
    pushed = git(place.hub, "show", "refs/pullwright/trajectories/greet/build.1:trajectory.jsonl")
    assert '"kind":"reply"' in pushed


def short(source: Path, lease: str) -> None:
    """Leases of that length, on the hub's base branch."""
    folder = source.parent / "source"
    commit(folder, "Short leases", {"agents.yaml": settings(review=AUTO) + f"  lease: {lease}\n"})
    git(folder, "push", "-q", "origin", "main")


def test_a_lease_is_renewed_while_one_command_takes_longer_than_it(source: Path, tmp_path: Path) -> None:
    short(source, "4s")
    place = stand(source, tmp_path / "stand")
    go = slow(place)
    runner = start(place.first)
    wait_for(lambda: bool(head(place, "agents/greet/build")))
    seen: list[tuple[float, str]] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.wait(0.05):
            now = head(place, "agents/greet/build")
            if not seen or seen[-1][1] != now:
                seen.append((time.monotonic(), now))

    observer = threading.Thread(target=watch)
    observer.start()
    wait_for(lambda: len(seen) > 3)
    run_whole(place.second)  # looks twice in a row, and takes nothing
    watching.set()
    observer.join()
    go.touch()
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(seen)]
    said, _ = runner.communicate(timeout=300)
    assert runner.returncode == 0 and "taken it over" not in said, said
    assert max(gaps) < 4.0, gaps
    assert len(set(re.findall(r"Pullwright-Claim: (\S+)", git(place.hub, "log", "--format=%B", "main")))) == 5


def test_who_decided_to_merge_before_a_person_commented_merges_nothing(repository: Path, tmp_path: Path) -> None:
    bare_hub(repository, tmp_path / "hub.git")
    scene = Scene(repository)
    scene.to("design")
    seen = scene.look()  # and here this one falls asleep
    scene.say("comment", text="shorter, please")
    told = story()
    told["design"] += [("bash", {"command": "true"}), ("finish", {"summary": "Shorter."})]
    scene.replies(told)
    scene.run(turns=1)
    before = git(tmp_path / "hub.git", "for-each-ref")
    answer = acting.merge(scene.host(), seen, seen.state("greet"), by=PAT)
    assert isinstance(answer, Refused) and answer.reason == "agents/greet/design has moved"
    assert git(tmp_path / "hub.git", "for-each-ref") == before
