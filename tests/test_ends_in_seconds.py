"""What eats a machine ends within seconds in one observation that says what it was, and all of it can be removed."""

import time
from pathlib import Path

import msgspec
import pytest
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


@pytest.mark.parametrize("name", CASES)
def test_it_ends_in_seconds_and_says_what_it_was(name: str, tmp_path: Path) -> None:
    line, says = CASES[name]
    limits = Limits(seconds=8.0, processes=60, disk=40 << 20, memory=500 << 20)
    work = msgspec.structs.replace(make_work(tmp_path / "w"), limits=limits)
    began = time.monotonic()
    answer = toolbox(("bash",), work)["bash"].run({"command": line, "timeout": 2 if "signal" in name else 8})
    assert time.monotonic() - began < 60  # seconds, on a machine that does much else; unbounded it would take minutes
    assert isinstance(answer, Observation)
    assert any(words in answer.text for words in says.split("|")), answer.text
    assert len(answer.text) < 4500
    remove(tmp_path / "w")
    assert not (tmp_path / "w").exists()
