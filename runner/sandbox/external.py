"""Commands on this host itself, for machines that are disposable as a whole. Only by the operator's explicit choice."""

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from runner.errors import UserError
from runner.sandbox import Command, Ending, Limits, Mount, Network, Result, cgroup, flags, interpreter, launcher
from runner.sandbox.descriptors import Descriptors
from runner.sandbox.egress import Egress
from runner.sandbox.mounts import inside_path
from runner.sandbox.scratch import scratch
from runner.sandbox.supervise import Job, supervise
from runner.sandbox.usage import Disk

_MARK = "PULLWRIGHT_RUN"
_FREE_FLOOR = 512 << 20
_PATIENCE = 5.0


class External:
    """Runs commands on the host, in their own process group, with limits and an end, and with no wall.

    There are no mounts: a command works in the folders behind them. What is given as a path of the sandbox (`cwd`,
    `path`, a mounted HOME or /tmp) is translated; `argv`, `env` and `stdin` are not, for which there is `locate`.
    """

    def __init__(self, *, free_floor: int = _FREE_FLOOR, leaf: Callable[[Limits], cgroup.Leaf] | None = None) -> None:
        """`leaf` makes a command's cgroup; where it is None and a part of the tree is ours, each has one there."""
        self._floor = free_floor
        self._interpreter = interpreter.ours()
        self._leaf = leaf
        self._probed = False
        self.level = _level(limited=leaf is not None)

    def check(self) -> None:
        """Raises `UserError` where even limits and an orderly end cannot be had."""
        if self._probed:
            return
        for needed in ("/usr/bin/prlimit", "/usr/bin/setpriv", "/proc/self/environ"):
            if not Path(needed).exists():
                raise UserError(f"{needed} is missing; commands cannot be bounded", "apt-get install util-linux")
        ours = cgroup.find() if self._leaf is None else None
        self._leaf = self._leaf if ours is None else cgroup.leaves(ours)
        self.level = _level(limited=self._leaf is not None)
        self._probed = True

    def locate(self, mounts: tuple[Mount, ...], inside: str) -> str:
        """The host path behind `inside`; unchanged where no mount covers it."""
        path = inside_path(mounts, inside)
        return inside if path is None else str(path)

    def run(self, command: Command) -> Result:
        """Run `command` to its end or to a limit; processes that it leaves behind are ended."""
        self.check()
        began = time.monotonic()
        disk = Disk([mount.source for mount in command.mounts if mount.writable], command.limits, self._floor)
        disk.require()
        with scratch() as folder, contextlib.ExitStack() as cleaning:
            try:
                started = self._start(command, folder, cleaning)
            except OSError as error:
                return Result("failed", None, str(error).encode(), time.monotonic() - began)
            with started.process as process:
                seen = supervise(started.job, command.stdin, command.limits, disk)
            starved = started.leaf is not None and started.leaf.ran_out()
        ending: Ending = "memory" if seen.ending == "exited" and starved else seen.ending
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        exit_ = code if ending == "exited" else None
        return Result(ending, exit_, seen.output, time.monotonic() - began, seen.omitted)

    def _start(self, command: Command, scratch: Path, cleaning: contextlib.ExitStack) -> "_Started":
        mark = secrets.token_hex(16)
        cwd = self.locate(command.mounts, command.cwd)
        env = {**self._environment(command, scratch), _MARK: mark}
        leaf = self._leaf(command.limits) if self._leaf else None
        if leaf is not None:
            cleaning.callback(leaf.close)
        bounded = flags.limited(command.argv, command.limits, count_processes=False)
        # RLIMIT_NPROC would count all that our user runs on this host, and in other containers, where nobody sees it.
        # setpriv: the command ends with us. The way into a cgroup forgets the environment.
        argv = ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", *bounded]
        argv = leaf.into(["/usr/bin/env", *(f"{name}={value}" for name, value in env.items()), *argv]) if leaf else argv
        with Descriptors() as open_:
            output, output_in = open_.pipe_from()
            stdin, stdin_out = open_.pipe_to() if command.stdin else (subprocess.DEVNULL, None)
            fds = (leaf.entry,) if leaf else ()
            process = launcher.start(argv, stdin=stdin, output=output_in, fds=fds, env=env, cwd=cwd)
        return _Started(process, Job(process.pid, output, stdin_out, lambda: _end(process, mark, leaf)), leaf)

    def _environment(self, command: Command, scratch: Path) -> dict[str, str]:
        ours = self._interpreter
        around = flags.Surroundings(ours._replace(path=_host_path(ours)), (), _packages(command.network))
        path = tuple(self.locate(command.mounts, folder) for folder in command.path)
        places = {"HOME": flags.HOME, "TMPDIR": "/tmp", "PWD": command.cwd}
        located = {name: inside_path(command.mounts, place) or scratch for name, place in places.items()}
        env = flags.environment(msgspec.structs.replace(command, path=path), around)
        return {**env, **{name: str(place) for name, place in located.items() if name not in command.env}}


class _Started(NamedTuple):
    process: "subprocess.Popen[bytes]"
    job: Job
    leaf: cgroup.Leaf | None


def _level(*, limited: bool) -> str:
    bounds = "memory and processes limited by cgroups, disk" if limited else "memory, processes and disk"
    return (
        f"external: no walls of ours, {bounds} watched; commands run on this host with its files and its network,"
        " because the operator says that it is disposable as a whole"
    )


def _packages(network: Network) -> dict[str, str]:
    """pip's settings on this host, where there is a pip; nothing is kept from the network here."""
    with contextlib.suppress(UserError):
        return {} if network == "none" else Egress(()).prepare("open")[1]
    return {}


def _host_path(ours: interpreter.Interpreter) -> tuple[str, ...]:
    """PATH on the host: the folder of a linked Python stands for the link that only a sandbox has."""
    return (str(Path(ours.link).parent), *ours.path[1:]) if ours.link else ours.path


def _end(process: "subprocess.Popen[bytes]", mark: str, leaf: cgroup.Leaf | None) -> None:
    """Kill the group and every process that still carries the run's mark, until there is none; all of a cgroup.

    Without one, a process that leaves the group and wipes its environment escapes this: there is no wall here.
    """
    if leaf is not None:
        leaf.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        marked = list(_marked(f"{_MARK}={mark}".encode()))
        if not marked:
            return
        for fd in marked:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            os.close(fd)
        time.sleep(0.005)


def _marked(word: bytes) -> Iterator[int]:
    """A descriptor of each living process with `word` in its environment (opened before looking: numbers recur)."""
    for name in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        try:
            fd = os.pidfd_open(int(name))
        except OSError:
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                ours = word in file.read().split(b"\0")
        except OSError:
            ours = False
        if ours:
            yield fd
        else:
            os.close(fd)
