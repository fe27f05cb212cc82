"""A host whose disk is full or read-only: a person hears of it, nothing is judged by it, and nothing is lost."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from repositories import AUTO, add_task, bare_hub, git, project, pullwright, settings, typed
from scenes import Scene

from runner import git as git_
from runner import worker
from runner.errors import UserError
from runner.host import Host
from runner.sandbox import Command, Mount, Result
from runner.sandbox.bubblewrap import Bubblewrap

NEARLY_FULL = 1 << 60  # bytes that no disk has


class Filling:
    """A sandbox on a disk that is nearly full from the command on that `last` names, until `room` is true."""

    def __init__(self, last: str) -> None:
        self.roomy, self.full = Bubblewrap(), Bubblewrap(free_floor=NEARLY_FULL)
        self.last, self.room, self.level = last, True, self.roomy.level

    def check(self) -> None:
        self.roomy.check()
        self.full.check()

    def locate(self, mounts: tuple[Mount, ...], inside: str) -> str:
        return self.roomy.locate(mounts, inside)

    def run(self, command: Command) -> Result:
        self.room = self.room and not any(self.last in word for word in command.argv)
        return (self.roomy if self.room else self.full).run(command)


@pytest.mark.parametrize(
    "last",
    [
        pytest.param("echo goodbye >> greeting.txt", id="a step", marks=pytest.mark.soak),
        pytest.param("for test in tests/*.sh", id="a gate"),
    ],
)
def test_a_disk_without_room_is_no_fault_of_the_work(last: str, tmp_path: Path, person: Path) -> None:
    folder = project(tmp_path / "clone", agents=settings(review=AUTO))
    add_task(folder, stages=["build"])
    bare_hub(folder, tmp_path / "hub.git")
    scene, box = Scene(folder), Filling(last)
    host: Host = replace(scene.host(), sandbox=box)
    with pytest.raises(UserError, match="the disk is nearly full"):
        list(worker.run(host))
    entry = scene.state().open
    assert entry is not None and entry.entry.state == "working" and entry.entry.reworks == 0
    scene.run()
    assert git(tmp_path / "hub.git", "show", "main:greeting.txt") == "hello\ngoodbye"
    record = git(tmp_path / "hub.git", "show", "main:tasks/greet/record.yaml")
    assert "steps: 2" in record and "attempts: []" in record


def test_who_watches_says_it_once_and_goes_on(repository: Path, tmp_path: Path) -> None:
    scene, said = Scene(repository), list[str]()
    host = replace(scene.host(), sandbox=Bubblewrap(free_floor=NEARLY_FULL), say=said.append)
    assert list(worker.watch(host, rounds=3, sleep=lambda seconds: None))
    assert sum("the disk is nearly full" in line for line in said) == 1


# --- a disk of its own ---------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small file system for this host's state."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=640m", "tmpfs", str(place)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("no file system can be mounted here")
    monkeypatch.setenv("PULLWRIGHT_STATE", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "tiny"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Not a byte is free meanwhile."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    yield
    (disk / "ballast").unlink()


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Nothing can be written meanwhile."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)


@pytest.mark.parametrize(("how", "why"), [(filled, "is full"), (read_only, "is read-only")])
def test_git_that_cannot_write_is_told_as_the_disk_that_it_is(
    how: Callable[[Path], AbstractContextManager[None]], why: str, tiny: Path
) -> None:
    repo = git_.init_bare(tiny / "repo.git")
    with how(tiny), pytest.raises(git_.NoRoom, match=f"the disk {why}; git cannot write there") as told:
        git_.git(repo, "hash-object", "-w", "--stdin", stdin=b"x" * 9999)
    assert "PULLWRIGHT_STATE" in told.value.remedy
    assert git_.git(repo, "hash-object", "-w", "--stdin", stdin=b"x" * 9999)


@pytest.mark.soak
@pytest.mark.parametrize("how", [filled, read_only])
def test_a_disk_on_which_nothing_can_be_written_is_named_and_all_goes_on_when_it_can(
    how: Callable[[Path], AbstractContextManager[None]], disk: Path, tmp_path: Path
) -> None:
    folder = project(tmp_path / "clone", agents=settings(review=AUTO))
    add_task(folder, stages=["build"])
    bare_hub(folder, tmp_path / "hub.git")
    assert pullwright(folder, "task", "list").status == 0
    add_task(folder, "other")
    git(folder, "push", "-q", "origin", "main")
    with how(disk):
        for ask, words in ((pullwright, ["run"]), (typed, ["task", "list"]), (typed, ["comment", "greet", "Hello."])):
            ran = ask(folder, *words)
            assert ran.status == 1 and "PULLWRIGHT_STATE" in ran.err, (words, ran)
    assert pullwright(folder, "run", "--task", "greet").status == 0
    assert git(tmp_path / "hub.git", "show", "main:greeting.txt") == "hello\ngoodbye"
