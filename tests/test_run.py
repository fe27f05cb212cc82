"""`pullwright run`: until nothing can be done, one turn, one stage, one task, or for ever."""

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from repositories import (
    AUTO,
    COMMAND,
    add_task,
    as_replies,
    commit,
    first_parents,
    git,
    project,
    pullwright,
    settings,
    story,
    typed,
)

from pullwright.running import FEW
from runner import wiring, worker
from runner.host import site_at
from runner.observe import observe


@pytest.fixture
def two(tmp_path: Path, person: Path) -> Path:
    """Two tasks of two stages with an agent each; nobody has to approve anything. `first` is the older one."""
    names = ("first", "second")
    agents = [{"name": n, "model": "m", "provider": "scripted", "endpoint": f".pullwright/{n}.yaml"} for n in names]
    here = project(tmp_path / "two", agents=settings(*agents, review=AUTO))
    commit(here, "Words", {f".pullwright/{n}.yaml": as_replies(story(n, f"{n}-word", f"{n}.txt")) for n in names})
    add_task(here, "first", agent="first", stages=["design", "build"], priority=6)
    add_task(here, "second", agent="second", stages=["design", "build"])
    return here


def begun(out: str) -> list[str]:
    """`task stage` of each claim, in order."""
    return [" ".join(line.split()[:2]) for line in out.splitlines() if "  for " in line]


def test_it_goes_on_until_every_task_is_complete(two: Path) -> None:
    ran = pullwright(two, "run")
    assert (ran.status, ran.err) == (0, "")
    assert begun(ran.out) == ["first design", "first build", "second design", "second build"]
    assert ran.out.splitlines()[-2:] == ["first   complete  done", "second  complete  done"]
    assert len([line for line in first_parents(two) if line.startswith("Merge build of ")]) == 2


def test_many_tasks_that_were_complete_before_are_only_counted(two: Path) -> None:
    pullwright(two, "run")
    for number in range(FEW - 1):  # a copy of the record under another name is a task that is complete as well
        shutil.copytree(two / "tasks/first", two / f"tasks/old-{number}")
        shutil.copy(two / "tasks/first.yaml", two / f"tasks/old-{number}.yaml")
    git(two, "add", "tasks")
    git(two, "commit", "-q", "-m", "Old tasks")
    add_task(two, "third", stages=["design"], agent="nobody")
    out = pullwright(two, "run").out.splitlines()
    assert out[2:] == [f"{FEW + 1} tasks were complete before", "third  not started  held: no agent nobody", out[-1]]
    assert len(typed(two, "task", "list").out.splitlines()) == FEW + 3


def test_once_is_one_turn(two: Path) -> None:
    assert begun(pullwright(two, "run", "--once").out) == ["first design"]
    assert begun(pullwright(two, "run", "--once").out) == []  # the merge of the design
    assert begun(pullwright(two, "run", "--once").out) == ["first build"]


def test_one_task_leaves_the_others_alone(two: Path) -> None:
    ran = pullwright(two, "run", "--task", "second")
    assert begun(ran.out) == ["second design", "second build"]
    assert ran.out.splitlines()[-1] == "second  complete  done"
    assert "first   not started  next: first takes design" in typed(two, "plan").out


def test_one_task_is_taken_up_although_another_comes_first_with_the_same_agent(two: Path) -> None:
    commit(two, "The other's agent", {"tasks/first.yaml": "title: x\nagent: second\npriority: 9\ncomplexity: 2\n"})
    shown = typed(two, "run", "--task", "second", "--once")
    assert begun(shown.out) == ["second design"]
    assert shown.out.splitlines()[-1] == "second  design 100 %  next: design is merged"


def test_one_stage_is_done_for_every_task_that_stands_there_and_no_further(two: Path) -> None:
    ran = pullwright(two, "run", "--stage", "design")
    assert begun(ran.out) == ["first design", "second design"]
    assert "first   build 0 %  next: first takes build" in ran.out
    assert "second  build 0 %  next: second takes build" in ran.out
    assert begun(pullwright(two, "run", "--stage", "design").out) == []
    assert begun(pullwright(two, "run", "--stage", "build", "--task", "second").out) == ["second build"]


def test_two_runs_on_a_host_never_work_on_the_same_stage_of_a_task(two: Path) -> None:
    with running(two, "run", "--task", "first") as (_, lines):
        next(line for line in lines if "step 1" in line)
        other = pullwright(two, "run", "--task", "first")  # between two turns of the first it may take one itself
        assert other.status == 0
        list(lines)
    pullwright(two, "run", "--task", "first")
    told = git(two, "show", "main:tasks/first/updates.jsonl")
    assert [told.count(f"takes {stage}, attempt 1") for stage in ("design", "build")] == [1, 1]
    assert "attempt 2" not in told and "goes on" not in told


# --- for ever ------------------------------------------------------------------------------------------------------


@contextmanager
def running(folder: Path, *words: str) -> Iterator[tuple["subprocess.Popen[str]", Iterator[str]]]:
    """A command under way, and its lines as they come."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    try:
        yield process, (line.rstrip("\n") for line in process.stdout)
    finally:
        process.kill()
        process.communicate()


def test_watching_works_waits_and_ends_cleanly_on_interruption(two: Path) -> None:
    with running(two, "run", "--watch") as (process, lines):
        next(line for line in lines if "second" in line and "is merged into main" in line)
        assert process.stdout
        assert not select.select([process.stdout], [], [], 1.0)[0]
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert err.strip() == "stopped; running it again goes on from here"


def test_a_run_that_is_interrupted_goes_on_where_it_was(two: Path) -> None:
    with running(two, "run", "--task", "first") as (process, lines):
        next(line for line in lines if "step 1" in line)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 130
    ran = pullwright(two, "run", "--task", "first")
    assert ran.out.splitlines()[-1] == "first  complete  done"
    assert "first  design    goes on" in ran.out.splitlines()
    claims = git(two, "log", "--all", "--format=%s", "--grep= takes ").splitlines()
    assert sorted(claims) == ["first: first takes build", "first: first takes design"]


def test_a_run_that_is_killed_leaves_nothing_running_and_goes_on_where_it_was(two: Path) -> None:
    slow = story("first", "first-word", "first.txt")
    nap = f"300.{os.getpid()}"  # among the processes it is ours alone
    once = f"[ -e ~/begun ] || {{ touch ~/begun; sleep {nap}; }}"  # the home stays, what else it did does not
    slow["build"] = [("bash", {"command": f"echo half >> first.txt; {once}"}), *slow["build"][1:]]
    slow["build"].insert(1, ("bash", {"command": "echo first-word >> first.txt"}))
    (two / ".pullwright/first.yaml").write_text(as_replies(slow))
    git(two, "commit", "-qam", "Slow")
    with running(two, "run", "--task", "first") as (process, lines):
        next(line for line in lines if "build" in line and "for first" in line)
        assert _soon(lambda: _processes(nap))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    assert _soon(lambda: not _processes(nap))
    ran = pullwright(two, "run", "--task", "first")
    assert ran.out.splitlines()[-1] == "first  complete  done"
    assert git(two, "show", "main:first.txt") == "half\nfirst-word"


def _processes(word: str) -> list[str]:
    """The ids of processes with `word` among their arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if word.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(folder.name)
        except OSError:
            continue
    return found


def _soon(condition: object, seconds: float = 60.0) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_watching_says_once_what_a_person_has_to_mend(two: Path) -> None:
    good = (two / "agents.yaml").read_text()
    site = site_at(two)
    heard: list[str] = []
    host = wiring.host(site, observe(site).settings, say=heard.append)

    def between(pause: float) -> None:
        rounds.append(pause)
        if len(rounds) == 3:
            commit(two, "Mended", {"agents.yaml": good})

    rounds: list[float] = []
    commit(two, "Broken", {"agents.yaml": "agents: ["})
    steps = list(worker.watch(host, task="first", sleep=between, rounds=4))
    assert [line for line in heard if "agents.yaml" in line] == heard[:1]
    assert "this is not YAML" in heard[0]
    assert rounds == [worker.WATCH_EVERY] * 3
    assert len(steps) == 4


def test_a_merge_by_a_person_is_seen_while_watching(repository: Path) -> None:
    site = site_at(repository)
    heard: list[str] = []
    host = wiring.host(site, observe(site).settings, say=heard.append)

    def between(_: float) -> None:
        git(repository, "fetch", "-q", ".", "agents/greet/design:work/greet")  # a fast-forward is a merge as well

    steps = [step.state.current for step in worker.watch(host, sleep=between, rounds=2)]
    assert steps[:2] == ["design", "build"]
