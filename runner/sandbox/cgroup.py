"""Limits that the kernel keeps: a cgroup (v2) for each command, where a part of the tree is ours.

It is ours when systemd delegated it, which marks the folder with `user.delegate` (https://systemd.io/CGROUP_DELEGATION),
or when the operator names a folder in `PULLWRIGHT_CGROUP`. Any other part is left alone, and a watch looks instead.
"""

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from pathlib import Path

from runner.sandbox import Limits

NEEDED = frozenset({"memory", "pids"})
OURS = "pullwright"
"""The leaf in which we sit ourselves: a cgroup with processes of its own can give no limits to others."""
_OWN_PROCESSES = 8  # bwrap, prlimit and the relay count as well
_GONE = 5.0  # seconds that the kernel may take to end a cgroup

# Moves itself, then becomes the program with nothing of ours but its arguments. It writes to a descriptor that we have
# opened: the kernel asks who opened it, and the program's user may not write there.
ENTER = 'echo 0 >&"$0" && fd=$0 && exec {fd}>&- && exec -c "$@"'


def own(cgroup: str, mountinfo: str) -> Path | None:
    """Where our own cgroup lies: from /proc/self/cgroup and /proc/self/mountinfo (cgroups(7)). Pure."""
    paths = [line[3:] for line in cgroup.splitlines() if line.startswith("0::/")]
    for line in mountinfo.splitlines() if paths else ():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            shown, place = before.split(" ")[3:5]
            if Path(paths[0]).is_relative_to(shown):
                return Path(place) / Path(paths[0]).relative_to(shown)
    return None


def settings(limits: Limits) -> dict[str, str]:
    """File → value of a command's cgroup. All of it ends when there is no memory, not some process. Pure."""
    return {
        "memory.max": str(limits.memory),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": str(limits.processes + _OWN_PROCESSES),
    }


def leaves(folder: Path) -> Callable[[Limits], "Leaf"]:
    """How each command gets a cgroup of its own below `folder`; what killed runs left there goes first."""
    sweep(folder)
    return lambda limits: Leaf(folder, settings(limits))


def find(env: Mapping[str, str] = os.environ) -> Path | None:
    """The part of the tree that is ours, with memory and pids handed down; None where there is none."""
    named = env.get("PULLWRIGHT_CGROUP")
    try:
        folder = Path(named) if named else _delegated()
        return folder if folder is not None and _handed_down(folder) else None
    except OSError:
        return None


def _delegated() -> Path | None:
    found = own(Path("/proc/self/cgroup").read_text(), Path("/proc/self/mountinfo").read_text())
    if found is None:
        return None
    folder = found.parent if found.name == OURS else found  # started by one of us
    return folder if os.getxattr(folder, "user.delegate") == b"1" else None


def _handed_down(folder: Path) -> bool:
    """Give the controllers to what lies below. Raises `OSError` where that may not be."""
    if not set(_words(folder / "cgroup.controllers")) >= NEEDED:
        return False
    if not set(_words(folder / "cgroup.subtree_control")) >= NEEDED:
        _make_way(folder)
        (folder / "cgroup.subtree_control").write_text("+memory +pids")
    return True


def _words(file: Path) -> list[str]:
    return file.read_text().split()


def _make_way(folder: Path) -> None:
    """Move what runs in the folder, us among it, into a leaf of its own."""
    (folder / OURS).mkdir(exist_ok=True)
    for _ in range(10):  # they may start others meanwhile
        pids = _words(folder / "cgroup.procs")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                (folder / OURS / "cgroup.procs").write_text(pid)
        if not pids:
            return


class Leaf:
    """The cgroup of one command, until `close`."""

    _numbers = count()

    def __init__(self, parent: Path, limits: Mapping[str, str]) -> None:
        """Raises `OSError`."""
        self.folder = parent / f"command-{os.getpid()}-{next(self._numbers)}"
        self.folder.mkdir()
        try:
            for name, value in limits.items():
                (self.folder / name).write_text(value)
            self.entry = os.open(self.folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            self.folder.rmdir()
            raise

    def into(self, argv: Iterable[str]) -> list[str]:
        """The words that start `argv` in here; the descriptor `entry` has to be passed on."""
        return ["/usr/bin/bash", "-c", ENTER, str(self.entry), *argv]

    def ran_out(self) -> bool:
        """Whether there was no memory left; never where memory is not what the cgroup limits."""
        told = self.folder / "memory.events"
        events = (line.split() for line in told.read_text().splitlines()) if told.exists() else ()
        return any(name == "oom_kill" and value != "0" for name, value in events)

    def kill(self) -> None:
        """End all that is in here, whatever it did to hide."""
        with contextlib.suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1")

    def close(self) -> None:
        """End what is left in here, and take the folder away."""
        os.close(self.entry)
        self.kill()
        deadline = time.monotonic() + _GONE
        while time.monotonic() < deadline:
            try:
                self.folder.rmdir()
                return
            except OSError:  # the kernel is still at it
                self._wait(deadline - time.monotonic())

    def _wait(self, seconds: float) -> None:
        """Until `populated` changes (cgroups(7): a change is an exceptional condition of the file), or a moment."""
        with contextlib.suppress(OSError), open(self.folder / "cgroup.events", "rb") as events:
            if b"populated 1" in events.read():
                waiting = select.poll()
                waiting.register(events, select.POLLPRI)
                waiting.poll(max(0.0, min(seconds, 0.2)) * 1000)


def sweep(folder: Path) -> None:
    """Remove the cgroups of runs that were killed; those in which something lives stay, and those of other runs."""
    for left in folder.glob("command-*-*"):
        if not Path("/proc", left.name.split("-")[1]).exists():
            with contextlib.suppress(OSError):
                left.rmdir()
