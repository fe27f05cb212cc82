"""What runners that were killed left of their sandboxes; the next runner ends it.

While bwrap makes its namespaces there are two of it, and the inner one waits for a word of the outer one. A kill that
comes just then leaves the inner one waiting for ever: it has not asked yet to die with its parent.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

from runner.sandbox.descriptors import NAME


def sweep() -> None:
    """End every bwrap of ours whose outer one is gone."""
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        with suppress(OSError):  # it has ended, or is not ours to look at
            if Path("/proc", name, "comm").read_text() == "bwrap\n":
                _end_orphan(int(name))


def _end_orphan(pid: int) -> None:
    handle = os.pidfd_open(pid)  # before looking: numbers recur
    try:
        if waits(Path(f"/proc/{pid}")):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


def waits(place: Path) -> bool:
    """Whether it is the init of a namespace, has what only we hand over, and no other bwrap as its parent.

    A parent that cannot be seen from here (0) is no reason to believe it dead.
    """
    lines = (line.partition(":") for line in (place / "status").read_text().splitlines())
    told = {name: value.split() for name, _, value in lines}
    parent = told["PPid"][0]
    if parent == "0" or told["NSpid"][-1] != "1" or len(told["NSpid"]) < 2:
        return False
    if Path("/proc", parent, "comm").read_text() == "bwrap\n":
        return False
    return any(f"memfd:{NAME}" in str(fd.readlink()) for fd in (place / "fd").iterdir())
