"""One bwrap per command: namespaces, read-only system, seccomp, limits. The rules: docs/sandbox.md."""

import contextlib
import os
import subprocess
import threading
import time
from functools import cache
from typing import NamedTuple

from runner.sandbox import (
    Command,
    Ending,
    Mount,
    Result,
    cgroup,
    demotion,
    flags,
    interpreter,
    kernel,
    launcher,
    leftovers,
    mounts,
    probe,
)
from runner.sandbox.descriptors import Descriptors
from runner.sandbox.egress import Egress
from runner.sandbox.status import Status
from runner.sandbox.supervise import Job, supervise
from runner.sandbox.usage import Disk

BWRAP = "/usr/bin/bwrap"
_TRIAL = Command(("/usr/bin/true",), (), cwd="/")
_FREE_FLOOR = 512 << 20


class _Started(NamedTuple):
    """A running bwrap: its process, what it says of itself, the job to supervise, and its cgroup if it has one."""

    process: "subprocess.Popen[bytes]"
    status: Status
    job: Job
    leaf: cgroup.Leaf | None


class Bubblewrap:
    """Runs each command in a bubblewrap of its own.

    `bwrap` is the program; AppArmor on Ubuntu permits only /usr/bin/bwrap to make user namespaces, so a copy elsewhere
    is for tests. `registry_hosts` are what `network="registry"` reaches: `host` (port 443, public) or `host:port` (may
    be private); none given: those that pip here is configured for. Below `free_floor` bytes of free space on a
    writable mount nothing runs.
    """

    def __init__(
        self, *, bwrap: str = BWRAP, registry_hosts: tuple[str, ...] = (), free_floor: int = _FREE_FLOOR
    ) -> None:
        self.level = "bubblewrap"
        self._bwrap = bwrap
        self._floor = free_floor
        self._interpreter = interpreter.ours()
        self._egress = Egress(registry_hosts)
        self._probed = False

    def check(self) -> None:
        """Probe once; raises `UserError` with the cause and its remedy when commands cannot be contained here."""
        if self._probed:
            return
        self._version = probe.version(self._bwrap)
        self._filter = probe.filter_program(os.uname().machine)
        self._demotion, self._cgroup = _demotion(), cgroup.find()
        if self._cgroup is not None:
            cgroup.sweep(self._cgroup)
        leftovers.sweep()
        trial = self._contain(_TRIAL)
        if not trial.ok and self._cgroup:
            self._cgroup = None
            trial = self._contain(_TRIAL)
        if not trial.ok and self._demotion:
            self._demotion = None
            trial = self._contain(_TRIAL)
        if not trial.ok:
            raise probe.refusal(trial.text)
        self.level = self._level()
        self._probed = True

    def _level(self) -> str:
        as_root = os.geteuid() == 0 and self._demotion is None
        return probe.level(self._version, as_root=as_root, limited=self._cgroup is not None)

    def locate(self, mounts: tuple[Mount, ...], inside: str) -> str:
        """Commands see `inside` under its own name."""
        return inside

    def run(self, command: Command) -> Result:
        """Run `command` to its end or to a limit. Raises `UserError` like `check`, `ValueError` for unsafe mounts."""
        self.check()
        mounts.verify(command.mounts)
        return self._contain(command)

    def _contain(self, command: Command) -> Result:
        began = time.monotonic()
        disk = Disk([mount.source for mount in command.mounts if mount.writable], command.limits, self._floor)
        disk.require()
        with contextlib.ExitStack() as cleaning:
            try:
                started = self._start(command, cleaning)
            except OSError as error:  # the proxy does not answer, too long an argument list, no descriptor left
                return Result("failed", None, str(error).encode(), time.monotonic() - began)
            with started.process, started.status as status:
                seen = supervise(started.job, command.stdin, command.limits, disk)
            starved = started.leaf is not None and started.leaf.ran_out()
        ending: Ending = seen.ending
        if ending == "exited" and (starved or status.exit is None):
            ending = "memory" if starved else "failed"
        seconds = time.monotonic() - began
        return Result(ending, status.exit if ending == "exited" else None, seen.output, seconds, seen.omitted)

    def _start(self, command: Command, cleaning: contextlib.ExitStack) -> _Started:
        around, leaf = self._surroundings(command), self._leaf(command, cleaning)
        mounts, user = self._owned((*around.shown, *command.mounts), cleaning)
        with Descriptors() as open_:
            output, output_in = open_.pipe_from()
            status, status_in = open_.pipe_from()
            stdin, stdin_out = open_.pipe_to() if command.stdin else (subprocess.DEVNULL, None)
            files = {path: open_.data(text.encode()) for path, text in flags.files(command.network).items()}
            fds = flags.Fds(open_.data(self._filter), status_in, files)
            words = flags.arguments(command, around, mounts, fds)
            arguments = open_.data(b"".join(os.fsencode(word) + b"\0" for word in words))
            argv = [self._bwrap, "--args", str(arguments), "--", *flags.program(command, self._interpreter)]
            passed = (arguments, fds.seccomp, fds.status, *files.values())
            process = launcher.start(
                leaf.into(argv) if leaf else argv,
                stdin=stdin,
                output=output_in,
                fds=(*passed, leaf.entry) if leaf else passed,
                user=user,
            )
        said = Status(status)
        return _Started(process, said, Job(process.pid, output, stdin_out, lambda: said.end(process)), leaf)

    def _leaf(self, command: Command, cleaning: contextlib.ExitStack) -> cgroup.Leaf | None:
        """A cgroup of the command's own, where we have a part of the tree. Raises `OSError`."""
        if self._cgroup is None:
            return None
        leaf = cgroup.Leaf(self._cgroup, cgroup.settings(command.limits))
        cleaning.callback(leaf.close)
        return leaf

    def _owned(self, mounts: tuple[Mount, ...], cleaning: contextlib.ExitStack) -> tuple[tuple[Mount, ...], int | None]:
        """The mounts as another user sees them, and that user; as they are where we are no root or cannot do it."""
        if self._demotion is None:
            return mounts, None
        try:
            staged = self._demotion.stage(mounts)
        except OSError as error:
            if not kernel.is_unsupported(error):
                raise
            self.level = probe.level(self._version, as_root=True, limited=self._cgroup is not None)
            return mounts, None
        cleaning.callback(staged.close)
        return staged.mounts, demotion.UID

    def _surroundings(self, command: Command) -> flags.Surroundings:
        prefix = self._interpreter.prefix
        python = () if prefix is None else (Mount(prefix, str(prefix)),)
        shown, env = self._egress.prepare(command.network)
        return flags.Surroundings(self._interpreter, (*python, *shown), env)


def _demotion() -> demotion.Demotion | None:
    """The means not to run commands as root, where we are root and have them."""
    if os.geteuid() != 0:
        return None
    try:
        with _FIRST_USE:
            return _shared_demotion(os.getpid())
    except OSError:
        return None


_FIRST_USE = threading.Lock()  # two threads at once would mount over each other


@cache
def _shared_demotion(_pid: int) -> demotion.Demotion:
    """One for a process: a fork has another launching thread, without the mounts of the first."""
    return demotion.Demotion()
