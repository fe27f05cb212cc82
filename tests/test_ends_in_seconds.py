"""What eats a machine ends within seconds in one observation that says what it was, and all of it can be removed."""

import time
from pathlib import Path

import msgspec
import pytest
import repositories as r
from scenes import Scene
from tool_parts import make_work

from runner.sandbox import Limits
from runner.tools import Observation, toolbox
from runner.workspace import remove

CASES = {
    "10 GB of output": ("head -c 10G /dev/zero | tr '\\0' y", "it wrote too much output"),
    "a fork bomb": ("bomb() { bomb | bomb & }; bomb; sleep 30", "it did not end|Resource temporarily|memory"),
    "a full disk": ("while :; do head -c 5M /dev/urandom >> big; done", "it used too much disk space"),
    "no signal heard": ("trap '' TERM INT HUP QUIT; while :; do sleep 1; done", "it did not end within 2 s"),
    "3000 folders deep": (
        'python3 -c "import os\nfor n in range(3000): os.mkdir(\'d\'); os.chdir(\'d\')\nos.chmod(\'.\', 0)"', "exit 0"
    ),
    "memory": ("python3 -c 'x = [bytearray(50 << 20) for _ in range(99)]'", "MemoryError|too much memory"),
}  # fmt: skip

SECONDS = {"a fork bomb": 4, "no signal heard": 2}  # what ends only because its time is up


@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_seconds_and_says_what_it_was(name: str, tmp_path: Path) -> None:
    line, says = CASES[name]
    limits = Limits(seconds=120.0, processes=60, disk=40 << 20, memory=500 << 20)
    work = msgspec.structs.replace(make_work(tmp_path / "w"), limits=limits)
    began = time.monotonic()
    answer = toolbox(("bash",), work)["bash"].run({"command": line, "timeout": SECONDS.get(name, 50)})
    assert time.monotonic() - began < 100  # seconds, on a machine that does much else; unbounded it would take minutes
    assert isinstance(answer, Observation)
    assert any(words in answer.text for words in says.split("|")), answer.text
    assert len(answer.text) < 4500
    remove(tmp_path / "w")
    assert not (tmp_path / "w").exists()


LEFT_BEHIND = {
    "3000 folders deep": CASES["3000 folders deep"][0].replace("os.chmod('.', 0)", "pass"),
    "a repository inside": "git init -q bad; echo x > bad/x",
}


@pytest.mark.parametrize("name", [pytest.param("3000 folders deep", marks=pytest.mark.soak), "a repository inside"])
def test_a_workspace_that_cannot_be_taken_keeps_its_work_until_it_can(name: str, tmp_path: Path, person: Path) -> None:
    """The agent says that it is done; it is told what is in the way, takes it away, and its other files are there."""
    story = r.story()
    mess = ("bash", {"command": LEFT_BEHIND[name]})
    cleaned = ("bash", {"command": "rm -rf bad d; ls greeting.txt"})
    story["build"] = [mess, story["build"][0], story["build"][1], story["build"][1], cleaned, story["build"][1]]
    scene = Scene(r.project(tmp_path / "repo", agents=r.settings(review=r.AUTO), replies=story))
    r.add_task(scene.folder, stages=["build", "complete"])
    scene.run()
    assert scene.state().current is None, "\n".join(scene.said)
    assert sum("the work cannot be taken" in line for line in scene.said) >= 2
    assert "goodbye" in r.git(scene.folder, "show", "main:greeting.txt")
