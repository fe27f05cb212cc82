"""Killed with SIGKILL again and again, with the real sandbox: the end is that of a run which nobody disturbed."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent

# A stage in small: the workspace is put back to the last snapshot, then the conversation goes on.
CHILD = """
import shutil, sys
from pathlib import Path
from tool_parts import make_work
from runner.loop.dialogue import Bounds, Finished, converse
from runner.models import Message
from runner.models.scripted import Scripted
from runner.tools import toolbox
from runner.loop.trajectory import Trajectory

place = Path(sys.argv[1])
work = make_work(place)
source, snapshots = place / "src", place / "snapshots"
turns = [("write", {"path": "log.txt", "content": "begin"})]
turns += [("bash", {"command": f"echo {number} >> log.txt; sleep 0.02"}) for number in range(12)]
turns += [("edit", {"path": "log.txt", "change": "<<<<<<< SEARCH\\n5\\n=======\\nfive\\n>>>>>>> REPLACE"})]
turns += [("finish", {"summary": "done"})]
replies = [{"text": f"turn {n}", "calls": [{"name": t, "arguments": a}]} for n, (t, a) in enumerate(turns)]
model = Scripted({"build": replies}, "build")

with Trajectory.open(place / "trajectory.jsonl") as trajectory:
    shutil.rmtree(source)
    if trajectory.snapshot:
        shutil.copytree(snapshots / trajectory.snapshot, source)
    else:
        source.mkdir()

    def keep(tool):
        name = f"{trajectory.replies}"
        shutil.rmtree(snapshots / name, ignore_errors=True)
        shutil.copytree(source, snapshots / name)
        return name

    outcome = converse(model, "native", toolbox(("bash", "write", "edit", "finish"), work), trajectory,
                       (Message("system", "s"), Message("user", "u")), Bounds(), before_step=tuple, after_step=keep)
    sys.exit(0 if isinstance(outcome, Finished) else 1)
"""


def start(place: Path) -> subprocess.Popen[bytes]:
    place.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, "-c", CHILD, str(place)], env={"PYTHONPATH": f"{HERE}:{HERE.parent}"})


def told(place: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (place / "trajectory.jsonl").read_bytes().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines if line["kind"] != "end"]


def ends(child: "subprocess.Popen[bytes]", file: Path, after: float) -> bool:
    """Let a run come at least one line further, then kill it; True if it came to its end before."""
    size = file.stat().st_size if file.exists() else 0
    while child.poll() is None and (not file.exists() or file.stat().st_size == size):
        time.sleep(0.002)
    try:
        assert child.wait(after) == 0
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait(60)
        return False
    return True


def test_a_run_that_is_killed_many_times_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    assert start(tmp_path / "whole").wait(300) == 0
    generator, kills, place = random.Random(7), 0, tmp_path / "killed"
    while not ends(start(place), place / "trajectory.jsonl", generator.random() * 0.25):
        kills += 1
    assert kills >= 2, "the run was killed while it worked"
    log = (place / "src" / "log.txt").read_text()
    assert log == (tmp_path / "whole" / "src" / "log.txt").read_text()
    assert log.split() == ["begin", *(str(n) if n != 5 else "five" for n in range(12))]
    assert told(place) == told(tmp_path / "whole")
