"""A hub with rules of its own, and several hosts at one hub: main is closed to runners, and stages have one owner."""

import multiprocessing
import subprocess
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from repositories import (
    AUTO,
    COMMAND,
    TASK,
    add_task,
    as_replies,
    bare_hub,
    clone,
    commit,
    first_parents,
    git,
    project,
    pullwright,
    settings,
    story,
)

from runner import wiring
from runner.claims import taking
from runner.claims.lease import Lease
from runner.host import site_at
from runner.lifecycle import Stage
from runner.observe import observe

CLOSED = """#!/bin/sh
while read -r old new ref; do
  if [ "$ref" = refs/heads/main ]; then
    echo "main takes pull requests only" >&2
    exit 1
  fi
done
"""


# --- a main that takes no direct pushes ----------------------------------------------------------------------------


def test_a_main_that_refuses_pushes_is_no_obstacle_to_the_runner(hub: tuple[Path, Path]) -> None:
    bare, here = hub
    hook = bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(CLOSED)
    hook.chmod(0o755)
    before = git(bare, "rev-parse", "main")

    ran = pullwright(here, "run")
    assert ran.status == 0, ran.err
    last = ran.out.splitlines()[-1]
    command = "git fetch && git merge --no-ff origin/agents/greet/complete"
    assert "held: main does not take direct pushes (main takes pull requests only)" in last
    assert last.endswith(command)
    assert git(bare, "rev-parse", "main") == before
    assert len(first_parents(bare, "work/greet")) == 6  # the four merged stages upon the project and its task
    heads = git(bare, "for-each-ref", "refs/")

    again = pullwright(here, "run")
    assert (again.status, again.out.splitlines()[-1]) == (0, last)
    assert git(bare, "for-each-ref", "refs/") == heads

    hook.unlink()
    subprocess.run(command, shell=True, cwd=here, check=True, capture_output=True)  # noqa: S602 (as the hold says)
    git(here, "push", "-q", "origin", "main")
    assert "complete  done" in pullwright(here, "run").out
    assert len(first_parents(bare)) == 3


# --- two hosts -----------------------------------------------------------------------------------------------------

ROUNDS = 100


class Turn(NamedTuple):
    """One claim of one host: when it began and ended (system-wide seconds), and the commit if it was won."""

    began: float
    ended: float
    won: str | None


def _race(folder: Path, ids: list[str], barrier: Barrier, results: Any) -> None:
    """What each of the two processes does: in every round, at the same moment as the other, claim the same stage."""
    site = site_at(folder)
    view = observe(site)
    host = wiring.host(site, view.settings, say=lambda line: None)
    turns = []
    for id in ids:
        barrier.wait(300)
        began = time.monotonic()
        taken = taking.claim(host, view.settings, view.state(id), view.settings.agents[0], Stage.DESIGN, 1, view.refs)
        turns.append(Turn(began, time.monotonic(), taken.head if isinstance(taken, Lease) else None))
    results.put(turns)


def test_of_two_hosts_that_claim_at_the_same_moment_exactly_one_owns_the_stage(
    tmp_path: Path, person: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = project(tmp_path / "one", agents=settings())
    ids = [f"round-{number:03}" for number in range(ROUNDS)]
    commit(source, "Tasks", {f"tasks/{id}.yaml": f"title: {id}\n" for id in ids})
    bare = bare_hub(source, tmp_path / "hub.git")
    one, two = _both((source, clone(bare, tmp_path / "two")), ids)
    heads = git(bare, "for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/agents/").splitlines()
    owners = {line.split("/")[1]: line.partition(" ")[0] for line in heads}
    for id, first, second in zip(ids, one, two, strict=True):
        assert [first.won, second.won].count(None) == 1, id
        assert owners[id] == (first.won or second.won)
    overlapping = sum(a.began < b.ended and b.began < a.ended for a, b in zip(one, two, strict=True))
    wins = sum(turn.won is not None for turn in one)
    with capsys.disabled():
        print(f"\n{ROUNDS} races for a stage, {overlapping} at the same moment: {wins} to {ROUNDS - wins}, never both")
    assert overlapping > ROUNDS / 10


def _both(folders: tuple[Path, Path], ids: list[str]) -> list[list[Turn]]:
    """The turns of `_race` in two processes of their own."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    processes = [context.Process(target=_race, args=(folder, ids, barrier, queue)) for folder in folders]
    for process in processes:
        process.start()
    turns = [queue.get(timeout=300) for _ in processes]
    for process in processes:
        process.join(300)
    return turns


def test_two_runs_at_the_same_moment_finish_every_task_and_share_no_stage(tmp_path: Path, person: Path) -> None:
    names, stages = ("one", "two", "three"), ["design", "build", "complete"]
    agents = [
        {"name": name, "model": "recording", "provider": "scripted", "endpoint": f".pullwright/{name}.yaml"}
        for name in names
    ]
    here = project(tmp_path / "here", agents=settings(*agents, review=AUTO))
    commit(here, "Words", {f".pullwright/{n}.yaml": as_replies(story(n, f"word-{n}", f"{n}.txt")) for n in names})
    for name in names:
        add_task(here, name, agent=name, stages=stages)
    bare = bare_hub(here, tmp_path / "hub.git")
    there = clone(bare, tmp_path / "there")
    runs = [
        subprocess.Popen([*COMMAND, "run"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for folder in (here, there)
    ]
    for run in runs:
        _, err = run.communicate(timeout=300)
        assert run.returncode == 0, err
    for _ in range(2):  # whoever ended first may have left the other's last task to be taken up
        assert pullwright(here, "run").status == 0
    merges = [subject for subject in first_parents(bare) if subject.startswith("Merge ")]
    assert sorted(merges) == sorted(f"Merge complete of {name} into main" for name in names)
    claims = git(bare, "log", "--all", "--format=%s", "--grep=takes", "--", "tasks").splitlines()
    wanted = [f"{name}: {name} takes {stage}" for name in names for stage in stages]
    assert sorted(subject for subject in claims if " takes " in subject) == sorted(wanted)


def test_two_runs_for_one_task_at_the_same_moment_make_one_branch_for_each_stage(hub: tuple[Path, Path]) -> None:
    bare, here = hub
    there = clone(bare, here.with_name("there"))
    for _ in range(3):
        runs = [subprocess.Popen([*COMMAND, "run", "--once"], cwd=folder, stdout=-3) for folder in (here, there)]
        assert [run.wait(300) for run in runs] == [0, 0]
    assert pullwright(here, "run").status == pullwright(there, "run").status == 0
    claims = git(bare, "log", "--all", "--format=%s", "--grep= takes ").splitlines()
    assert sorted(claims) == sorted(f"{TASK}: scripted takes {stage}" for stage in Stage)
    assert first_parents(bare)[0] == "Merge complete of greet into main"
