"""Killed at any outgoing request, before it or after it was done, and run again: one of each, and nothing lost."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_github.office import Office, form, told_twice
from fake_github.pulls import head_of
from fake_github.server import FakeGitHub
from repositories import git

RUNNER = """
import sys
from pathlib import Path
from fake_github.office import Time, host_at
from runner import worker
list(worker.run(host_at(Path(sys.argv[1]), Time())))
"""


class Victim:
    """A runner in a process of its own, which is killed at write number `at` in `phase`, or by whoever calls `kill`."""

    def __init__(self, office: Office, program: str = RUNNER) -> None:
        self.office, self.program = office, program
        self.process: subprocess.Popen[str] | None = None
        self.at, self.phase, self.killed = 0, "", False

    def run(self, at: int = 0, phase: str = "") -> None:
        self.at, self.phase, self.killed = at, phase, False
        if at:
            self.office.fake.on_request = self._on_request
        self.office.fake.writes = 0
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", self.program, str(self.office.clone)]
        self.process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        said = self.process.communicate(timeout=300)[1]
        assert self.killed or self.process.returncode == 0, said

    def _on_request(self, number: int, phase: str, method: str, path: str) -> None:
        if (number, phase) == (self.at, self.phase):
            self.kill()

    def kill(self) -> None:
        """Nothing that it could have done after this moment is done."""
        assert self.process is not None
        self.killed = True
        os.kill(self.process.pid, signal.SIGKILL)


def proposed(office: Office) -> dict[str, object]:
    """What must be the same however often the runner was killed."""
    world = office.world
    (pull,) = world.pulls.values()
    return {
        "branches": sorted(git(world.git_dir, "for-each-ref", "--format=%(refname)", "refs/heads").splitlines()),
        "pulls": [(pull.head, pull.base, world.issues[pull.number].title)],
        "body": (world.issues[pull.number].body or "").split("Pullwright-Claim")[0].replace(str(office.folder), ""),
        "notes": office.notes(1),
        "labels": sorted(world.issues[1].labels),
        "commands": [command.verb for command in office.task().commands],
        "statuses": sorted({each["context"] for each in world.latest(head_of(world, pull))}),
        "stage": office.task().open.entry.state if office.task().open else None,
        "updates": [update.content for update in office.task().updates],
    }


def begun(fake: FakeGitHub, folder: Path) -> Office:
    """An issue that has just been labelled; its task has one stage."""
    office = Office(fake, folder, replies=told_twice("issue-1"))
    office.label(office.issue(body=form(Stages="design")).number)
    return office


def test_a_run_has_the_writes_that_are_killed_below(office: Office) -> None:
    office.label(office.issue(body=form(Stages="design")).number)
    victim = Victim(office)
    victim.run()
    assert LEAST <= office.fake.writes <= MOST
    assert proposed(office)["stage"] == "ready"


LEAST, MOST = 11, 24  # how many there are depends on the gates, each of which has a status of its own
POINTS = [(number, phase) for number in range(1, MOST + 1) for phase in ("before", "after")]


@pytest.mark.parametrize(("number", "phase"), POINTS[2 : 2 * LEAST : 4])
def test_killed_and_run_again_there_is_one_of_each(
    fake: FakeGitHub, bot: str, tmp_path: Path, number: int, phase: str
) -> None:
    killed_and_run_again(fake, tmp_path, number, phase)


@pytest.mark.soak
@pytest.mark.parametrize(("number", "phase"), POINTS)
def test_killed_anywhere_there_is_one_of_each(
    fake: FakeGitHub, bot: str, tmp_path: Path, number: int, phase: str
) -> None:
    killed_and_run_again(fake, tmp_path, number, phase)


def killed_and_run_again(fake: FakeGitHub, folder: Path, number: int, phase: str) -> None:
    office = begun(fake, folder)
    victim = Victim(office)
    victim.run(number, phase)
    if number > LEAST and not victim.killed:
        pytest.skip("the run has fewer writes")
    assert victim.killed
    office.run()
    found = proposed(office)
    assert found["branches"] == ["refs/heads/agents/issue-1/design", "refs/heads/main", "refs/heads/work/issue-1"]
    assert found["pulls"] == [("agents/issue-1/design", "main", "design: Say goodbye")]
    assert (found["commands"], found["labels"]) == (["accept"], ["pullwright", "pullwright:design"])
    assert (found["stage"], len(office.notes(1))) == ("ready", 1)
    assert "waits for review" in office.notes(1)[0]
    assert found["statuses"] == sorted(f"pullwright/{gate.name}" for gate in office.task().open.entry.gates)  # type: ignore[union-attr]
    contents = [update.content for update in office.task().updates]
    assert len(contents) == len(set(contents))
