"""How often a host is asked, and how much an agent may ask: for all runners of this machine together.

What is counted lies in files of the state folder, one for each host and agent, which whoever counts locks meanwhile.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from runner.errors import ToolError

BETWEEN = 1.0
"""Seconds between two requests to one host."""
MOST_REQUESTS, PERIOD = 60, 3600.0
"""Requests of one agent within so many seconds, whatever it is after."""
AHEAD = 60.0
"""Seconds that a turn may be away; one that is further was written before the clock was set back."""


class Pace:
    """Waits before a host is asked again so soon; refuses when an agent asked much in the last hour.

    `clock` gives Unix time, which processes share; `folder` is made when it is first needed.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._folder, self._clock, self._sleep = folder, clock, sleep

    def wait(self, host: str, agent: str = "") -> None:
        """Return when `host` may be asked by `agent`. Raises `ToolError` where that is not soon."""
        self._count(agent)
        pause = self._turn(host) - self._clock()
        if pause > 0:
            self._sleep(pause)

    def _count(self, agent: str) -> None:
        with self._times(f"agent {agent}") as asked:
            now = self._clock()
            asked[:] = [at for at in asked if 0 <= now - at <= PERIOD]
            if len(asked) >= MOST_REQUESTS:
                raise ToolError(f"That were {MOST_REQUESTS} requests within an hour: go on with what you have.")
            asked.append(now)

    def _turn(self, host: str) -> float:
        """The moment that is kept for this request: nobody waits with the lock in hand."""
        with self._times(f"host {host}") as turns:
            now = self._clock()
            last = turns[-1] if turns and turns[-1] <= now + AHEAD else now - BETWEEN
            turns[:] = [max(now, last + BETWEEN)]
            return turns[0]

    @contextmanager
    def _times(self, what: str) -> Iterator[list[float]]:
        """The moments noted in a file of ours, to be changed; what a crash left half written counts as none."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / sha256(what.encode("utf-8", "replace")).hexdigest()[:32]).open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            times = _known(file.read())
            yield times
            file.truncate(0)
            file.write(msgspec.json.encode(times))


def _known(data: bytes) -> list[float]:
    try:
        return msgspec.json.decode(data, type=list[float])
    except msgspec.DecodeError:
        return []
