"""A git process waited for: for so many seconds, or while a hub lets it get on; and its end, with all below it.

Git has no bound of its own for a hub that is silent. `http.lowSpeedTime` is none: it takes the five bytes that a hub
sends every five seconds while one of its hooks works (`receive.keepAlive`) for less than one byte a second, and cuts.
"""

import math
import os
import select
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from runner.errors import UserError

SILENCE = 60.0  # seconds
GRACE = 5.0  # seconds that git has to remove its lock files before it is killed


def silence() -> float:
    """For how many seconds a hub may say nothing: `PULLWRIGHT_HUB_SILENCE`, or 60. Raises `UserError`."""
    given = os.environ.get("PULLWRIGHT_HUB_SILENCE") or str(SILENCE)
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise UserError(f"PULLWRIGHT_HUB_SILENCE={given} is no number of seconds", "set one above 0, or unset it")
    return seconds


def answer(
    run: "subprocess.Popen[bytes]", stdin: bytes, *, most: float = math.inf, silent: float = math.inf
) -> tuple[bytes, bytes]:
    """What a process says on its two outputs until it ends.

    After `most` seconds, or `silent` seconds in which nothing moved, `subprocess.TimeoutExpired` is raised. The process
    and all below it are ended then, as for any other exception: a helper that stays behind would wait for ever.
    """
    try:
        return _answer(run, stdin, time.monotonic() + most, silent)
    except BaseException:
        end(run)
        raise


def _answer(run: "subprocess.Popen[bytes]", stdin: bytes, until: float, silent: float) -> tuple[bytes, bytes]:
    given: bytes | None = stdin
    last, since = dict[int, tuple[int, int]](), time.monotonic()
    while True:
        pause = min(silent / 4, until - time.monotonic())
        try:
            return run.communicate(given, timeout=None if pause == math.inf else max(0.0, pause))
        except subprocess.TimeoutExpired as waited:
            if run.poll() is not None:  # just now; or something that it left behind holds its outputs, as ssh does
                return (waited.output or b"") + _rest(run.stdout), (waited.stderr or b"") + _rest(run.stderr)
            now, given = time.monotonic(), None
            if now >= until:
                raise
            if silent < math.inf and (seen := moved(run.pid)) != last:
                last, since = seen, now
            elif now - since >= silent:
                raise


def _rest(output: IO[bytes] | None) -> bytes:
    """What lies in an output and was not read yet; nobody is waited for who might say more."""
    if output is None or output.closed:
        return b""
    os.set_blocking(output.fileno(), False)
    return output.read() or b""


def moved(pid: int) -> dict[int, tuple[int, int]]:
    """Process → bytes read and written, and whole seconds computed, of git and each git below it.

    Not of ssh and its like, which hear from a server's machine while its git says nothing. proc_pid_io(5)
    """
    found = {}
    for one, (name, seconds) in _family(pid).items():
        if name.startswith("git"):
            found[one] = (_carried(one), seconds)
    return found


def _carried(pid: int) -> int:
    """Bytes read and written by a process; 0 where the kernel does not count them, or not for us."""
    try:
        read, written = Path(f"/proc/{pid}/io").read_text().split()[1:4:2]
    except OSError:
        return 0
    return int(read) + int(written)


def _family(pid: int) -> dict[int, tuple[str, int]]:
    """A process and all below it: pid → its name, and the whole seconds that it has computed. proc_pid_stat(5)"""
    known, below = {}, dict[int, list[int]]()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended just now
            name, _, rest = stat.read_text(errors="replace").partition("(")[2].rpartition(")")
            fields, one = rest.split(), int(stat.parent.name)
            known[one] = (name, (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK"))
            below.setdefault(int(fields[1]), []).append(one)
    found = [pid] if pid in known else []
    for one in found:  # it grows meanwhile
        found += below.get(one, [])
    return {one: known[one] for one in found}


def end(run: "subprocess.Popen[bytes]") -> None:
    """End a process and all below it: asked first, and killed after `GRACE` seconds."""
    with ExitStack() as opened:
        handles = []
        for pid in _family(run.pid):
            with suppress(ProcessLookupError):
                handles.append(os.pidfd_open(pid))
                opened.callback(os.close, handles[-1])
        for number in (signal.SIGTERM, signal.SIGKILL):
            for handle in handles:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
            if _gone(handles, GRACE):
                break
    run.wait()


def _gone(handles: list[int], seconds: float) -> bool:
    """Whether all of them have ended within some seconds."""
    until = time.monotonic() + seconds
    return all(select.select([handle], [], [], max(0.0, until - time.monotonic()))[0] for handle in handles)
