"""Commands on a host that is disposable as a whole: no walls, but limits and an end."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from cgroup_parts import tree

from runner.sandbox import Command, Limits, Mount, Result, cgroup
from runner.sandbox.external import External

__all__ = ["tree"]

NAP = f"sleep 4712.{os.getpid():07}"


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    return folder


def run(line: str, *mounts: Mount, limits: Limits = Limits(), **more: object) -> Result:  # noqa: B008
    return External().run(Command(("bash", "-c", line), mounts, limits=limits, **more))  # type: ignore[arg-type]


def pids_with(word: str) -> list[str]:
    return subprocess.run(["pgrep", "-f", word], capture_output=True, text=True, check=False).stdout.split()


def test_the_level_says_that_there_is_no_wall() -> None:
    assert "no walls of ours" in External().level and "the operator says" in External().level


def test_a_command_works_in_the_folder_behind_the_mount(src: Path) -> None:
    result = run("pwd; echo $PWD; cat", Mount(src, "/workspace/src", True), stdin=b"in")
    assert result.text == f"{src}\n{src}\nin" and result.ok


def test_paths_are_those_of_the_host(src: Path, tmp_path: Path) -> None:
    (src / ".git").mkdir()
    mounts = (Mount(src, "/workspace/src", True), Mount(tmp_path, "/workspace/src/.git"))
    sandbox = External()
    assert sandbox.locate(mounts, "/workspace/src/a/b") == f"{src}/a/b"
    assert sandbox.locate(mounts, "/workspace/src/.git/HEAD") == f"{tmp_path}/HEAD"
    assert sandbox.locate(mounts, "/usr/bin/env") == "/usr/bin/env"


def test_path_folders_are_located(src: Path) -> None:
    result = run("echo $PATH", Mount(src, "/workspace/src", True), path=("/workspace/src/venv/bin",))
    assert result.text.startswith(f"{src}/venv/bin:")


def test_nothing_of_our_environment_is_inherited(src: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "secret")
    assert "secret" not in run("env", Mount(src, "/workspace/src", True)).text


def test_home_and_tmp_are_folders_of_the_run(src: Path, tmp_path: Path) -> None:
    own = Mount(src, "/workspace/src", True)
    home = run("touch $HOME/f $TMPDIR/f; echo $HOME", own).text.strip()
    assert home != "/home/agent" and not Path(home).exists()
    (tmp_path / "home").mkdir()
    assert run("echo $HOME", own, Mount(tmp_path / "home", "/home/agent", True)).text == f"{tmp_path}/home\n"


def test_time_is_up_for_processes_in_other_sessions_too(src: Path) -> None:
    began = time.monotonic()
    line = f"(setsid {NAP}1 &); setsid bash -c 'trap \"\" TERM; exec {NAP}1' & wait; {NAP}1"
    result = run(line, Mount(src, "/workspace/src", True), limits=Limits(seconds=0.4))
    assert (result.ending, result.exit) == ("timeout", None) and time.monotonic() - began < 60
    assert not pids_with(f"{NAP}1")


def test_what_a_command_leaves_behind_is_ended(src: Path) -> None:
    result = run(f"(setsid {NAP}2 &); exit 4", Mount(src, "/workspace/src", True))
    assert (result.ending, result.exit) == ("exited", 4)
    assert not pids_with(f"{NAP}2")


def test_signals_become_exit_statuses(src: Path) -> None:
    assert run("kill -9 $$", Mount(src, "/workspace/src", True)).exit == 137


def test_limits_hold(src: Path) -> None:
    own = Mount(src, "/workspace/src", True)
    assert "MemoryError" in run("python3 -c 'bytearray(400 << 20)'", own, limits=Limits(memory=200 << 20)).text
    assert not run("head -c 3000000 /dev/zero > f", own, limits=Limits(file_size=1 << 20)).ok
    assert run("yes", own, limits=Limits(output=100)).ending == "output"


HIDDEN = f"(setsid env -i {NAP}3 >/dev/null 2>&1 &); until pgrep -f '^{NAP}3' >/dev/null; do sleep 0.02; done; echo $X"


def test_in_a_cgroup_of_its_own_no_process_hides_and_the_level_says_so(src: Path, tree: Path) -> None:
    own, given = (Mount(src, "/workspace/src", True),), {"env": {"X": "a b"}, "stdin": b"in"}
    walled = External(leaf=lambda limits: cgroup.Leaf(tree, {}))
    assert "limited by cgroups" in walled.level and "limited" not in External().level
    result = walled.run(Command(("bash", "-c", f"cat; {HIDDEN}"), own, **given))  # type: ignore[arg-type]
    assert (result.text, result.exit, pids_with(f"{NAP}3")) == ("ina b\n", 0, [])
    assert not list(tree.glob("command-*"))
    assert run(HIDDEN, *own).exit == 0
    left = pids_with(f"{NAP}3")
    subprocess.run(["kill", "-9", *left], check=False)
    assert left, "the control: where there is none, it escapes"


def test_a_working_directory_that_is_not_there_is_a_failure_of_the_sandbox(src: Path) -> None:
    assert run("true", Mount(src, "/workspace/src", True), cwd="/workspace/src/none").ending == "failed"
