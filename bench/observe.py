"""What one look at all tasks costs: `python bench/observe.py [tasks …]`, 10 and 500 without any.

A hub with so many tasks, a fifth each not begun, in their design, in their build, complete, and with a part of their
own, all with something that a person said. *processes* are those that one look starts, *afresh* those of a look that
asks Git anew about each task, which is the floor's opposite: what remembering saves.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from many_tasks import crowded  # noqa: E402

from runner.observe import View, fetch_refs, look, observe  # noqa: E402
from runner.progress import Afresh  # noqa: E402

ROUNDS = 3
MOST_AFRESH = 100
"""Tasks beyond which looking afresh is not waited for."""
started = 0


def count(event: str, args: tuple[object, ...]) -> None:
    """Hear of each process."""
    global started
    started += event == "subprocess.Popen"


def cost(act: Callable[[], View]) -> tuple[int, float]:
    """Processes and seconds of one look."""
    before, began = started, time.perf_counter()
    act()
    return started - before, time.perf_counter() - began


def main(numbers: list[int]) -> None:
    """Print a row for each number of tasks."""
    sys.addaudithook(count)
    print("| tasks | processes | ms | ms a task | afresh: processes | ms |\n| --- | --- | --- | --- | --- | --- |")
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            site = crowded(Path(folder), number // 5)
            observe(site)
            rounds = [cost(lambda site=site: observe(site)) for _ in range(ROUNDS)]
            ms = 1000 * median(seconds for _, seconds in rounds)
            row = f"| {number} | {max(processes for processes, _ in rounds)} | {ms:.0f} | {ms / number:.2f} |"
            if number > MOST_AFRESH:
                print(f"{row} | |")
                continue
            processes, seconds = cost(lambda site=site: look(site, fetch_refs(site), Afresh(site)))
            print(f"{row} {processes} | {1000 * seconds:.0f} |")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [10, 500])
