"""What a running command uses: processes, memory, disk. Reads /proc and the file system; changes nothing."""

import os
import stat
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from runner.errors import ELSEWHERE, UserError
from runner.sandbox import Limits

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PERIOD = 1.0  # seconds between two measurements of the folders, at least


def tree(root: int) -> list[int]:
    """`root` and all its descendants, as far as they are still there."""
    found, open_ = [], [root]
    while open_:
        pid = open_.pop()
        found.append(pid)
        open_ += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - twenty times a second
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    except OSError:
        return found  # it ended while we looked
    return found


def memory(pids: Iterable[int], limit: int) -> int:
    """Bytes of memory that the processes hold, exact only when it matters.

    Resident sizes count a page once for every process that shares it, so they can only be too large: only when they
    pass `limit` are the proportional sizes asked for, which cost more.
    """
    pids = list(pids)
    resident = sum(map(_resident, pids))
    return resident if resident <= limit else sum(map(_proportional, pids))


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith(b"Pss:"))
    except (OSError, StopIteration, ValueError):
        return _resident(pid)


def unlinked(pids: Iterable[int]) -> int:
    """Bytes on disk of the files that processes hold open and that have no name any more."""
    found = {}
    for pid in pids:
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
                about = os.stat(f"/proc/{pid}/fd/{fd}")  # noqa: PTH116
                if stat.S_ISREG(about.st_mode) and about.st_nlink == 0:
                    found[about.st_dev, about.st_ino] = about.st_blocks * 512
        except OSError:
            continue  # it ended while we looked
    return sum(found.values())


class Disk:
    """Watches the folders that a command may write.

    `floor` is the free space in bytes (and a thousandth of it in inodes) below which nothing runs, so that a command
    cannot fill the host's disk. There is no quota for an ordinary user, hence measuring: `du` while the command runs,
    and after it only when the file system shows that it wrote; that keeps a `true` at milliseconds in a large
    environment.
    """

    def __init__(self, folders: Sequence[Path], limits: Limits, floor: int) -> None:
        self._folders = [str(folder) for folder in folders]
        self._limit, self._most_files, self._floor = limits.disk, limits.files, floor
        self._next = time.monotonic() + _PERIOD
        self._used_before, self._files_before = self._used(), self._files()

    def require(self) -> None:
        """Raises `UserError` where a file system is nearly full: that is no fault of the work, and nothing runs."""
        full = self._full()
        if full is not None:
            what = f"{full}: the disk is nearly full, and no command runs with less than {self._floor >> 20} MiB free"
            raise UserError(what, f"make room there, perhaps by pullwright clean; {ELSEWHERE}")

    def scarce(self) -> bool:
        """Whether a file system is nearly full."""
        return self._full() is not None

    def _full(self) -> str | None:
        """The first folder whose file system is."""
        for folder in self._folders:
            found = os.statvfs(folder)
            if found.f_bavail * found.f_frsize < self._floor:
                return folder
            if found.f_files and found.f_favail < self._floor >> 10:
                return folder
        return None

    def exceeded(self, pids: Iterable[int] = (), *, final: bool = False) -> bool:
        """Whether the folders hold more bytes or files than the limits, with what the processes hold that has no name.

        Looks at most once in a while, and once more when `final`.
        """
        now = time.monotonic()
        if now < self._next and not (final and self._stirred()):
            return False
        exceeded = self._measure() + self._hidden(pids) > self._limit or self._count() > self._most_files
        self._next = time.monotonic() + max(_PERIOD, 20 * (time.monotonic() - now))
        return exceeded

    def _used(self) -> int:
        return sum((f.f_blocks - f.f_bfree) * f.f_frsize for f in map(os.statvfs, self._folders[:1]))

    def _files(self) -> int:
        return sum(found.f_files - found.f_ffree for found in map(os.statvfs, self._folders[:1]))

    def _growth(self) -> int:
        return self._used() - self._used_before

    def _stirred(self) -> bool:
        """Whether more or less is used than before: others who free space meanwhile may hide what a command took."""
        return abs(self._growth()) > 1 << 20 or abs(self._files() - self._files_before) > 1000

    def _measure(self) -> int:
        """`du` in bytes. Where a folder could not be read, what the file system grew by counts if that is more."""
        total, whole = self._du("-B1")
        return total if whole else max(total, self._growth())

    def _hidden(self, pids: Iterable[int]) -> int:
        """Bytes of files that are deleted and still open; looked for only where the disk has filled that much."""
        return unlinked(pids) if self._growth() > self._limit else 0

    def _count(self) -> int:
        """How many files and folders there are."""
        total, whole = self._du("--inodes")
        return total if whole else max(total, self._files() - self._files_before)

    def _du(self, unit: str) -> tuple[int, bool]:
        """The sum over the folders, and whether all of them could be read."""
        if not self._folders:
            return 0, True
        words = ["du", "-scx", unit, "--", *self._folders]
        done = subprocess.run(words, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, capture_output=True, check=False)
        lines = done.stdout.split()
        return (int(lines[-2]) if len(lines) >= 2 else 0), done.returncode == 0
