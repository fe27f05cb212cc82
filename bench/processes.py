"""Which Git processes a whole task starts, and for what: `python bench/processes.py [rows]`.

The demo's five stages, in this process: what a task costs beside the model and its commands. Processes that Git starts
for itself do not count.
"""

import sys
from collections import Counter
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from pullwright.demonstration import demonstrate

OURS = str(Path(__file__).parent.parent)
started: Counter[tuple[str, str]] = Counter()


def count(event: str, args: tuple[object, ...]) -> None:
    """Hear of each process."""
    if event == "subprocess.Popen" and isinstance(args[1], list) and args[1][0] == "git":
        started[command([str(word) for word in args[1][1:]]), asker()] += 1


def command(words: list[str]) -> str:
    """The name of the command, after the options of Git itself."""
    while words[0].startswith("-"):
        words = words[2 if words[0] == "-c" else 1 :]
    return words[0]


def asker() -> str:
    """The function that asks Git: the innermost one of ours that is not of `runner.git`."""
    frame = sys._getframe(2)
    while frame.f_back and (OURS not in frame.f_code.co_filename or "runner/git/" in frame.f_code.co_filename):
        frame = frame.f_back
    return f"{frame.f_code.co_filename.removeprefix(OURS)[1:]}: {frame.f_code.co_qualname}"


def main(rows: int) -> None:
    """Run the demo and print what it started, the most frequent first."""
    sys.addaudithook(count)
    with redirect_stdout(StringIO()):
        demonstrate(None, None, None)
    print(f"{started.total()} Git processes\n\n| | command | asked by |\n| --- | --- | --- |")
    for (name, by), number in started.most_common(rows):
        print(f"| {number} | {name} | {by} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
