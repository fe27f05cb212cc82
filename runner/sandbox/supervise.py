"""A started command, fed, read and watched until it is over or has used up a limit."""

import os
import select
import time
from collections.abc import Callable
from typing import NamedTuple

from runner.sandbox import Ending, Limits
from runner.sandbox.output import Capped
from runner.sandbox.usage import Disk, memory, tree

_CHUNK = 1 << 16
# A command that writes this many times what is kept is not going to say anything of use; a small cap does not make a
# test run of ordinary length a flood.
_FLOOD, _FLOOD_LEAST = 64, 16 << 20
_TICK = 0.05  # seconds between two looks at the processes
_DRAIN = 5.0  # seconds that the kernel may take to end a killed tree


class Job(NamedTuple):
    """A started command: its process, our ends of its pipes, and how to end it with all its descendants."""

    pid: int
    output: int
    stdin: int | None
    kill: Callable[[], None]


class Seen(NamedTuple):
    """How it went, as far as the pipes and the clock say; the exit status is the caller's to find."""

    ending: Ending
    output: bytes
    omitted: int


class _Watch:
    """Whether a limit is passed, asked at every tick. Looking costs at most a twentieth of the time."""

    def __init__(self, pid: int, limits: Limits, disk: Disk, output: Capped) -> None:
        self._pid, self._limits, self._disk, self._output = pid, limits, disk, output
        self._deadline = time.monotonic() + limits.seconds
        self._look = 0.0

    def verdict(self) -> Ending | None:
        now = time.monotonic()
        if self._output.total > max(_FLOOD * self._limits.output, _FLOOD_LEAST):
            return "output"
        if now >= self._deadline:
            return "timeout"
        if now < self._look:
            return None
        ending = self._processes() or self._folders()
        self._look = time.monotonic() + max(_TICK, 20 * (time.monotonic() - now))
        return ending

    def _processes(self) -> Ending | None:
        pids = tree(self._pid)
        # Normally RLIMIT_NPROC ends the growth; host root is exempt from it, so the count is looked at here as well.
        crowded = len(pids) > self._limits.processes + 8
        return "memory" if crowded or memory(pids, self._limits.memory) > self._limits.memory else None

    def _folders(self) -> Ending | None:
        return "disk" if self._disk.scarce() or self._disk.exceeded(tree(self._pid)) else None

    @property
    def pause(self) -> float:
        """Seconds until something has to be looked at again."""
        return max(0.0, min(self._look, self._deadline) - time.monotonic())


class _Feed:
    """Writes the input as far as the command takes it; one that does not read is no reason to wait."""

    def __init__(self, fd: int, data: bytes) -> None:
        os.set_blocking(fd, False)
        self._fd, self._rest = fd, memoryview(data)

    def more(self) -> bool:
        """Write what fits; False when all is written or nobody reads any more."""
        try:
            self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self._rest)


def supervise(job: Job, stdin: bytes, limits: Limits, disk: Disk) -> Seen:
    """Stay with `job` to its end or to a limit, then see to it that nothing of it is left.

    Closes the pipes. The ending is `exited` when the process ended by itself.
    """
    output = Capped(limits.output)
    watch = _Watch(job.pid, limits, disk, output)
    try:
        ending = _stay(job, stdin, watch, output)
        if ending == "exited" and disk.exceeded(final=True):
            ending = "disk"
    finally:
        job.kill()
        _drain(job.output, output)
        os.close(job.output)
    return Seen(ending, *output.result())


def _stay(job: Job, stdin: bytes, watch: _Watch, output: Capped) -> Ending:
    process = os.pidfd_open(job.pid)
    poller = select.poll()
    poller.register(process, select.POLLIN)
    poller.register(job.output, select.POLLIN)
    feed = None if job.stdin is None else _Feed(job.stdin, stdin)
    if job.stdin is not None:
        poller.register(job.stdin, select.POLLOUT)
    try:
        while (ending := watch.verdict()) is None:
            ready = {fd for fd, _ in poller.poll(watch.pause * 1000)}
            if job.output in ready and not _read(job.output, output):
                poller.unregister(job.output)
            if feed is not None and job.stdin in ready and not feed.more():
                poller.unregister(job.stdin)
                os.close(job.stdin)
                feed = None
            if process in ready:
                return "exited"
        return ending
    finally:
        os.close(process)
        if feed is not None and job.stdin is not None:
            os.close(job.stdin)


def _read(fd: int, output: Capped) -> bool:
    chunk = os.read(fd, _CHUNK)
    output.add(chunk)
    return bool(chunk)


def _drain(fd: int, output: Capped) -> None:
    """What is still in the pipe. All writers are dead or dying, so this ends; the bound is for what cannot die."""
    deadline = time.monotonic() + _DRAIN
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and poller.poll(left * 1000):
        if not _read(fd, output):
            return
