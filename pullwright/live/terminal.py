"""The terminal itself: keys as they are pressed, a screen of our own; both given back however it ends."""

import codecs
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, Self, TextIO

from pullwright.live.keys import keys


class Keyboard:
    """Standard input without waiting for a whole line; no keys where it is no terminal, or another job has it.

    ^C and ^Z stay signals (cbreak, not raw: termios(3)).
    """

    def __init__(self) -> None:
        self.fd = sys.stdin.fileno() if sys.stdin and not sys.stdin.closed else -1
        self.before: list[Any] | None = None
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self) -> None:
        """Begin to hear keys."""
        if self.fd >= 0 and os.isatty(self.fd) and os.tcgetpgrp(self.fd) == os.getpgrp():
            self.before = self.before or termios.tcgetattr(self.fd)
            tty.setcbreak(self.fd, termios.TCSADRAIN)

    def give_back(self) -> None:
        """The terminal as it was found."""
        if self.before is not None:
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self.before)

    def read(self, seconds: float) -> list[str]:
        """The names of the keys that were pressed, at most `seconds` from now."""
        if self.before is None:
            time.sleep(seconds)
            return []
        if not select.select([self.fd], [], [], seconds)[0]:
            return []
        data = os.read(self.fd, 4096)
        if not data:  # the terminal is gone
            time.sleep(seconds)
        return keys(self.decoder.decode(data))


class Canvas:
    """The terminal's other screen, where lines are drawn over one another; what was on it comes back at the end."""

    def __init__(self, out: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self.out = out
        self.console = Console(file=out, highlight=False)
        self.live = Live(
            console=self.console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

    def size(self) -> tuple[int, int]:
        """Columns and lines as they are now."""
        size = os.get_terminal_size(self.out.fileno())
        return max(20, size.columns), max(3, size.lines)

    def draw(self, lines: Iterable[Any]) -> None:
        """Show these lines and nothing else."""
        from rich.console import Group

        if self.live.is_started:
            self.console.size = self.size()
            self.live.update(Group(*lines), refresh=True)


class Signals:
    """What happens to the terminal when the process is to end, or to stop for a while (^Z, then `fg`)."""

    def __init__(self, take: Callable[[], None], give_back: Callable[[], None]) -> None:
        self.take, self.give_back = take, give_back
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number, handler in ((signal.SIGTERM, _end), (signal.SIGHUP, _end), (signal.SIGTSTP, self._stop)):
            self.before[number] = signal.signal(number, handler)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.give_back()
        os.kill(os.getpid(), signal.SIGSTOP)
        self.take()


def stop_at_once() -> None:
    """As ^C does. It goes to the main thread itself, whose waiting ends by it (signal.pthread_kill)."""
    ident = threading.main_thread().ident
    assert ident is not None  # it has started
    signal.pthread_kill(ident, signal.SIGINT)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
