"""Sixteen processes on four clones want the same stage at the same moment; exactly one of them gets it."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from races import Answer, Fleet, Round, chances, faulty, over_http
from repositories import COMMAND, clone, first_parents, git, pullwright
from scenes import Scene

from runner.git import Repo, commit, files, tree_of, tree_with

SECONDS = 24.0  # of racing in `make test`
ROUNDS = 1000  # in `make soak`
REFUSED = "does not take"
KINDS = ("first stage", "later stage", "stage just done")


class Ring(NamedTuple):
    """A hub with its addresses, the claimants, and a commit on whose record the design is done."""

    hub: Path
    urls: tuple[str, str]
    fleet: Fleet
    designed: str


@pytest.fixture
def ring(hub: tuple[Path, Path], tmp_path: Path) -> Iterator[Ring]:
    bare, first = hub
    scene = Scene(first)
    scene.run(turns=2)  # the design, and its merge
    git(bare, "config", "http.receivepack", "true")
    faulty(bare)
    clones = [clone(bare, tmp_path / f"clone-{number}") for number in range(4)]
    with over_http(tmp_path) as address:
        fleet = Fleet(clones, 4)
        try:
            yield Ring(bare, (str(bare), f"{address}/hub.git"), fleet, git(bare, "rev-parse", "work/greet"))
        finally:
            fleet.close()


def designed(ring: Ring, task: str) -> str:
    """`work/<task>` on the hub, where the design is merged."""
    repo = Repo(ring.hub)
    moved = {
        file.path.replace("tasks/greet/", f"tasks/{task}/"): git(ring.hub, "cat-file", "blob", file.blob).encode()
        + b"\n"
        for file in files(repo, ring.designed, "tasks/greet")
    }
    made = commit(repo, tree_with(repo, tree_of(repo, ring.designed), moved), [ring.designed], "Another task\n")
    git(ring.hub, "update-ref", f"refs/heads/work/{task}", made)
    return made


def heads(ring: Ring, task: str) -> dict[str, str]:
    listed = git(ring.hub, "for-each-ref", "--format=%(refname:short) %(objectname)", f"refs/heads/agents/{task}/")
    return dict(line.split() for line in listed.splitlines())


def race(ring: Ring, number: int) -> Counter[str]:
    """One round of the kind and over the transport that its number says; every promise is looked at."""
    task, kind, url = f"round-{number}", KINDS[number % 3], ring.urls[number // 3 % 2]
    faults = number // 6 % 2 == 1
    main, want = git(ring.hub, "rev-parse", "main"), "design"
    work = designed(ring, task) if kind != "first stage" else None
    chances(ring.hub, *((15, 30) if faults else (0, 0)))
    if kind == "later stage":
        want = "build"
        answers = ring.fleet.race(Round(url, task, "build", work, 0))
    else:  # who has seen the task branch before the merge believes that the design is nobody's
        answers = ring.fleet.race(Round(url, task, "design", main if work else None, 0))
    chances(ring.hub, 0, 0)
    there = heads(ring, task)
    winners = [answer.won for answer in answers if answer.won]
    where = f"round {number}: {kind} over {url}, {'with' if faults else 'without'} faults: {answers} {there} {main}"
    assert all(answer.won or answer.lost or REFUSED in answer.error for answer in answers), where
    assert faults or not any(answer.error for answer in answers), where
    if kind == "stage just done":
        assert (winners, there) == ([], {}), where
    else:
        assert len(winners) == 1 and there == {f"agents/{task}/{want}": winners[0]}, where
        assert all("claimed first" in answer.lost or "has come to be" in answer.lost for answer in losers(answers)), (
            where
        )
    return Counter(faults=faults, refused=sum(bool(answer.error) for answer in answers))


def losers(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.lost]


def tidy(ring: Ring) -> None:
    """Refs slow a push down: those of the rounds so far go."""
    found = git(
        ring.hub, "for-each-ref", "--format=delete %(refname)", "refs/heads/*/round-*", "refs/pullwright/trajectories"
    )
    for line in found.splitlines():
        git(ring.hub, "update-ref", "-d", line.removeprefix("delete "))


def run(ring: Ring, seconds: float, rounds: int) -> str:
    found: Counter[str] = Counter()
    begun = time.monotonic()
    number = 0
    while number < rounds and (time.monotonic() - begun < seconds or number < 12):
        found += race(ring, number)
        number += 1
        if number % 12 == 0:
            tidy(ring)
    took = time.monotonic() - begun
    return (
        f"{number} rounds of 16 claimants on 4 clones (file and HTTP in turns, {found['faults']} with faults): one "
        f"owner each, no owner where the stage was done; {found['refused']} claims refused by the hub, {took:.0f} s"
    )


def test_sixteen_processes_on_four_clones_and_one_of_them_has_the_stage(
    ring: Ring, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(ring, SECONDS, ROUNDS)
    with capsys.disabled():
        print(f"\n{said}")


@pytest.mark.soak
def test_a_thousand_rounds(ring: Ring, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(ring, 7200.0, ROUNDS)
    with capsys.disabled():
        print(f"\n{said}")


def test_two_runs_of_one_clone_at_the_same_moment_do_everything_once(hub: tuple[Path, Path]) -> None:
    bare, folder = hub
    runs = [
        subprocess.Popen([*COMMAND, "run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    said = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], said
    said.append(pullwright(folder, "run").out)  # each may have left the last turns to another
    claims = re.findall("Pullwright-Claim: (.+)", git(bare, "log", "--format=%B", "main"))
    assert len(set(claims)) == 5, "a claim a stage"
    assert re.findall(r"steps: (\d+)", git(bare, "show", "main:tasks/greet/record.yaml")) == ["2", "2", "3", "2", "2"]
    merges = git(bare, "log", "--merges", "--format=%s", "main").splitlines()
    assert sorted(set(merges)) == sorted(merges) and len(first_parents(bare)) == 3
