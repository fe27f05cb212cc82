"""What runs on this host do just now: the lines that they append to `<state>/live/<task>.jsonl`, read as they come."""

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec

EVERY = 0.25  # seconds between two looks at the files
IDLE = 5.0  # seconds without anybody who follows, after which nobody wants to hear what was written meanwhile
KEPT = 2000  # steps that a slow reader may be behind


class Live:
    """The lines that come from now on."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "live"
        self.at = self._sizes()

    def _sizes(self) -> dict[str, int]:
        """The files' names, and how many bytes they have."""
        found: dict[str, int] = {}
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(".jsonl"):
                    with suppress(OSError):  # cleaned away just now
                        found[entry.name] = entry.stat().st_size
        return dict(sorted(found.items()))

    def new(self) -> list[str]:
        """The whole lines that have come since the last call."""
        sizes, found = self._sizes(), list[str]()
        self.at = {name: at for name, at in self.at.items() if name in sizes}  # one that is made anew is read from 0
        for name, size in sizes.items():
            if size != self.at.get(name, 0):
                with suppress(OSError):
                    found += self._of(name, size)
        return found

    def _of(self, name: str, size: int) -> list[str]:
        start = self.at.get(name, 0)
        start = start if start < size else 0  # shorter than it was: another file by now
        with (self.folder / name).open("rb") as file:
            file.seek(start)
            data = file.read(1 << 20)
        whole = data[: data.rfind(b"\n") + 1]
        self.at[name] = start + len(whole)
        return [line for raw in whole.splitlines() if (line := _line(raw))]


def _line(raw: bytes) -> str:
    """A line as compact JSON; nothing for one that is none."""
    try:
        return msgspec.json.encode(msgspec.json.decode(raw)).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


class Steps:
    """The same for all who follow: the files are read once, however many they are. Used in the event loop."""

    def __init__(self, state: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._state = state
        self._clock = clock
        self._live = Live(state)
        self._looked = clock()
        self._kept: deque[str] = deque(maxlen=KEPT)
        self._number = 0

    def newest(self) -> int:
        """Where somebody stands who begins to follow: the number of the newest step."""
        self._look()
        return self._number

    def after(self, number: int) -> tuple[int, list[str]]:
        """The number of the newest step, and the steps after the given one."""
        self._look()
        behind = min(self._number - number, len(self._kept))
        return self._number, list(islice(self._kept, len(self._kept) - behind, None))

    def _look(self) -> None:
        idle = self._clock() - self._looked
        if idle < EVERY / 2:  # another one has just looked
            return
        self._looked += idle
        if idle > IDLE:
            self._live = Live(self._state)
        for line in self._live.new():
            self._kept.append(line)
            self._number += 1
