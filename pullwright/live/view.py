"""`pullwright run` on a terminal: the tasks as they are worked on, and keys to step in. Start reading at `LiveView`.

What is shown is worked out elsewhere (`rows`, `keys`, `look`, all pure); here are the threads: one draws
and hears keys, one looks at the hub and does what a key asks for, while the turns go on in the main thread.
"""

import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from pullwright import people
from pullwright.live.facts import Facts
from pullwright.live.keys import Deed, Mood, press
from pullwright.live.look import Scene, page_room, picture
from pullwright.live.rows import Row, clock, log
from pullwright.live.terminal import Canvas, Keyboard, Signals, stop_at_once
from pullwright.screen import Left, beginning, in_columns, parts
from runner.errors import UserError
from runner.host import Site
from runner.observe import View, observe
from runner.planning import Step

FRAME = 0.15  # seconds between two pictures
LOOK_EVERY = 5.0  # seconds between two looks at a hub on this machine
LOOK_FAR = 15.0  # and at another one (docs/design.md, rule 8)
STUCK = 2.0  # seconds that a terminal may take for a picture at the end
KEPT = 400  # events that are kept

if TYPE_CHECKING:
    from rich.text import Text


class LiveView:
    """Hears steps and sentences as `Screen` does. A context manager: the terminal is given back however it ends."""

    def __init__(self, out: TextIO, site: Site, view: View, only: str | None = None) -> None:
        self.out, self.site = out, site
        self.facts = Facts(site, view, only)
        self.started = time.monotonic()
        self.lock = threading.RLock()
        self.over, self.leaving, self.stirred = threading.Event(), threading.Event(), threading.Event()
        self.jobs: queue.Queue[Deed | None] = queue.Queue()
        self.events: deque[tuple[str, str]] = deque(maxlen=KEPT)
        self.mood = Mood()
        self.rows: tuple[Row, ...] = ()
        self.diff: tuple[str, ...] = ()
        self.message = ""
        self.fault: Exception | None = None
        self.keyboard, self.canvas = Keyboard(), Canvas(out)
        self.signals = Signals(self._take, self._give_back)
        self.threads = [threading.Thread(target=self._guarded, args=(deed,), daemon=True) for deed in self._loops()]

    # --- as a screen: called by the turns --------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.signals.__enter__()
        self._take()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.jobs.put(None)
        self.threads[0].join(STUCK)
        self._give_back()
        self.signals.__exit__()
        for at, line in self.events:
            if not re.search(r"  step \d|  gate passed ", line):  # those are in logs and records; how it came out stays
                self.out.write(f"{at}  {line}\n")
        self.out.flush()
        if kind is None and self.fault is not None:
            raise self.fault

    def step(self, step: Step) -> None:
        """A step begins. Raises `Left` instead where the person wants to stop."""
        self._go_on()
        with self.lock:
            self.facts.begin(step)
        self._happened(f"{step.state.task.id}  {step.state.current}  {beginning(step)}")

    def say(self, line: str) -> None:
        """Something happened. Raises `Left` where the person wants to stop."""
        self._happened(line)
        if threading.current_thread() is threading.main_thread():
            self._go_on()

    def pause(self, seconds: float) -> None:
        """Wait, at most until a key has said something to a task. Raises `Left` once the person wants to stop."""
        self.stirred.wait(seconds)
        self.stirred.clear()
        self._go_on()

    def _go_on(self) -> None:
        if self.fault is not None:
            raise self.fault
        if self.leaving.is_set():
            raise Left

    def _happened(self, line: str) -> None:
        said = in_columns(parts("".join(char if char.isprintable() or char == "\n" else " " for char in line)))
        at = clock(int(time.monotonic() - self.started))
        with self.lock:
            self.events.extend((f"{at:>7}", each) for each in said.splitlines())
        if "  step " not in line:
            self.jobs.put(None)

    # --- the terminal ----------------------------------------------------------------------------------------------

    def _take(self) -> None:
        with self.lock:
            self.keyboard.take()
            self.canvas.live.start()

    def _give_back(self) -> None:
        with self.lock:
            self.canvas.live.stop()
            self.keyboard.give_back()

    def _loops(self) -> tuple[Callable[[], None], Callable[[], None]]:
        return self._draw, self._look

    def _guarded(self, deed: Callable[[], None]) -> None:
        try:
            deed()
        except Exception as error:  # told by the main thread: a thread's own words would be drawn over
            self.fault = error
            self._leave()

    def _leave(self) -> None:
        self.leaving.set()
        self.stirred.set()

    def _draw(self) -> None:
        frame = 0
        while not self.over.is_set():
            for key in self.keyboard.read(FRAME):
                self._press(key)
            with self.lock:
                lines = self._picture(frame)
            if not self.over.is_set():
                self.canvas.draw(
                    lines
                )  # not under the lock: a terminal that stands still (^S) does not hold up the work
            frame += 1

    def _picture(self, frame: int) -> "list[Text]":
        width, height = self.canvas.size()
        self.rows = self.facts.rows()
        if self.mood.selected not in {row.task for row in self.rows}:
            self.mood = self.mood._replace(selected=self.rows[0].task if self.rows else "")
        passed = int(time.monotonic() - self.started)
        place, complete = str(self.site.folder), len(self.facts.known)
        scene = Scene(self.rows, list(self.events), self._page(), passed, place, complete, self.message, frame)
        return picture(scene, self.mood, width, height)

    def _page(self) -> list[str]:
        if self.mood.mode == "diff":
            return list(self.diff)
        return log(self.facts.lines(self.mood.selected)) if self.mood.mode == "log" else []

    def _press(self, key: str) -> None:
        room = page_room(self.canvas.size()[1])
        with self.lock:
            self.message = ""
            bottom = max(0, len(self._page()) - room)
            self.mood, deed = press(self.mood, key, self.rows, room, bottom)
        match deed:
            case Deed("leave"):
                self._leave()
            case Deed("stop"):
                stop_at_once()
            case Deed("tell", task, text):
                self.message = f"{task}: {text}"
            case Deed("diff"):
                self.diff = ("looking …",)
                self.jobs.put(deed)
            case Deed(_, task):
                self.message = f"{task}: {deed.verb} …"
                self.jobs.put(deed)

    # --- the hub ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Look at the hub, from time to time and whenever something happened; do what keys ask for."""
        pause = LOOK_FAR if "://" in self.site.hub.url or ":" in self.site.hub.url else LOOK_EVERY
        while not self.over.is_set():
            deeds = self._wanted(pause)
            if self.over.is_set():
                return
            try:
                for deed in deeds:
                    self._do(deed)
                view = observe(self.site)
                with self.lock:
                    self.facts.see(view)
            except UserError as error:
                self.message = " ".join(str(error).split())

    def _wanted(self, pause: float) -> list[Deed]:
        """What is to be done next; waits for something, or `pause` seconds."""
        found = []
        try:
            found.append(self.jobs.get(timeout=pause))
            while True:
                found.append(self.jobs.get_nowait())
        except queue.Empty:
            return [deed for deed in found if deed is not None]

    def _do(self, deed: Deed) -> None:
        if deed.verb == "diff":
            self.diff = tuple(self.facts.diff(deed.task))
            return
        words = {"text": deed.text} if deed.text else {}
        self.message = people.say(self.site.folder, deed.task, deed.verb, **words)
        self.stirred.set()
