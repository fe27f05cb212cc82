"""A hub over HTTP that takes every connection, and then perhaps says nothing: not at all, or no longer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from races import Backend, over_http

Mood = Literal["well", "deaf", "half", "mute", "gone"]


class Moods:
    """How the hub is just now: `mood` may be changed at any time; `asked` counts the requests.

    deaf: nothing is done and nothing said. half: the first half of an answer comes. mute: a push is taken, and nothing
    said to it. gone: the same, and from then on the hub is deaf.
    """

    def __init__(self) -> None:
        self.url = ""
        self.mood: Mood = "well"
        self.asked = 0
        self.taken = threading.Event()
        self.landed = threading.Event()
        self.over = threading.Event()


class _Moody(Backend):
    moods: Moods
    mood: Mood

    def _run(self, body: bytes) -> None:
        self.moods.asked += 1
        self.mood = self.moods.mood
        if self.mood in ("mute", "gone") and not self.path.endswith("/git-receive-pack"):
            self.mood = "well"
        if self.mood in ("mute", "gone"):
            self.moods.taken.set()
        if self.mood == "gone":
            self.moods.mood = "deaf"
        if self.mood == "deaf":
            self._say_no_more()
        else:
            super()._run(body)

    def _answer(self, said: bytes, share: float = 1.0) -> None:
        if self.mood in ("mute", "gone"):
            self.moods.landed.set()
        else:
            super()._answer(said, 0.5 if self.mood == "half" else 1.0)
        if self.mood != "well":
            self._say_no_more()

    def _say_no_more(self) -> None:
        self.moods.over.wait()
        self.close_connection = True


@contextmanager
def moody(root: Path) -> Iterator[Moods]:
    """Serve the bare repositories below `root`; yields the moods, with the address of `root`."""
    moods = Moods()
    with over_http(root, type("Handler", (_Moody,), {"moods": moods})) as moods.url:
        try:
            yield moods
        finally:
            moods.over.set()
