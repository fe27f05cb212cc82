"""What bwrap says of itself on its `--json-status-fd`, which a command inside can neither reach nor imitate."""

import json
import os
import select
import signal
import subprocess
import time
from types import TracebackType

_GONE = 5000  # milliseconds that the kernel may take to clear a PID namespace


class Status:
    """Reads bwrap's status pipe (`fd`), and ends a bwrap by it.

    bwrap writes {"child-pid": …} when it has started, and {"exit-code": …} only if the command was executed: without
    the latter the sandbox failed, whatever the output says.
    """

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd, self._text = fd, b""

    def __enter__(self) -> "Status":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._read()
        os.close(self._fd)

    @property
    def exit(self) -> int | None:
        """The command's exit status (128 + n for signal n), or None if it was not executed or did not end."""
        return self._value("exit-code")

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill bwrap and wait until the last process of its PID namespace is gone.

        Killing the outer bwrap ends the namespace's init, which ends all; the init is killed as well for the moment
        before it has asked for that. It is not if bwrap is over, since the number might belong to somebody else then.
        """
        over = process.poll() is not None
        init = self._open_init()
        process.kill()
        if init is None:
            return
        if not over:
            signal.pidfd_send_signal(init, signal.SIGKILL)
        waiting = select.poll()
        waiting.register(init, select.POLLIN)
        waiting.poll(_GONE)
        os.close(init)

    def _open_init(self) -> int | None:
        self._settle()
        pid = self._value("child-pid")
        try:
            return None if pid is None else os.pidfd_open(pid)
        except ProcessLookupError:
            return None

    def _settle(self) -> None:
        """Read until bwrap has named its init, or is over: killed in between it would leave one that waits for ever."""
        until = time.monotonic() + _GONE / 1000
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        self._read()
        while self._value("child-pid") is None and (left := until - time.monotonic()) > 0:
            if any(event & select.POLLHUP and not event & select.POLLIN for _, event in waiting.poll(1000 * left)):
                return
            self._read()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._fd, 4096):
                self._text += chunk
        except BlockingIOError:
            return

    def _value(self, key: str) -> int | None:
        for line in self._text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue  # killed in the middle of a line
            if key in found:
                return int(found[key])
        return None
