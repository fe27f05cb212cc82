"""`pullwright run` on a terminal: the tasks as they are worked on, and keys to step in. Start reading at `LiveView`.

What is shown is worked out elsewhere (`live_rows`, `live_keys`, `live_look`, all pure); here are the threads: one draws
and hears keys, one looks at the hub and does what a key asks for, while the turns go on in the main thread.
"""

import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TextIO

from pullwright import live_rows, people
from pullwright.follow import Tail, elsewhere
from pullwright.live_keys import Deed, Mood, press
from pullwright.live_look import Scene, page_room, picture
from pullwright.screen import Left, beginning, in_columns, parts
from pullwright.terminal import Canvas, Keyboard, Signals
from runner import git, live, worker
from runner.errors import UserError
from runner.host import Site
from runner.lifecycle import work_branch
from runner.live import Step as LiveStep
from runner.observe import View, observe
from runner.worker import Step

FRAME = 0.15  # seconds between two pictures
LOOK_EVERY = 5.0  # seconds between two looks at a hub on this machine
LOOK_FAR = 15.0  # and at another one (docs/design.md, rule 8)
KEPT = 400  # events, and live lines of a task, that can be looked at
DIFF_LINES = 5000


class LiveView:
    """Hears steps and sentences as `Screen` does. A context manager: the terminal is given back however it ends."""

    def __init__(self, out: TextIO, site: Site, view: View, only: str | None = None) -> None:
        self.out, self.site, self.only = out, site, only
        self.place = str(site.folder)
        self.started = time.monotonic()
        self.lock = threading.RLock()
        self.over, self.leaving = threading.Event(), threading.Event()
        self.jobs: queue.Queue[Deed | None] = queue.Queue()
        self.events: deque[tuple[str, str]] = deque(maxlen=KEPT)
        self.mood = Mood()
        self.rows: tuple[live_rows.Row, ...] = ()
        self.diff: tuple[str, ...] = ()
        self.message = ""
        self.current: Step | None = None
        self.refused: dict[str, Step] = {}
        self.fault: Exception | None = None
        self.tails: dict[str, Tail] = {}
        self.lines: dict[str, deque[LiveStep]] = {}
        self.far: dict[str, list[LiveStep]] = {}
        self.known = {state.task.id for state in view.states if state.current is None}
        self.keyboard, self.canvas = Keyboard(), Canvas(out)
        self.signals = Signals(self._take, self._give_back)
        self._seen(view)
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
        self.threads[0].join()
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
        id = step.state.task.id
        with self.lock:
            self.current = step
            self.refused.pop(id, None)
            if not worker.is_work(step.action):
                self.refused[id] = step
        self._happened(f"{id}  {step.state.current}  {beginning(step)}")

    def say(self, line: str) -> None:
        """Something happened. Raises `Left` where the person wants to stop."""
        self._happened(line)
        if threading.current_thread() is threading.main_thread():
            self._go_on()

    def pause(self, seconds: float) -> None:
        """Wait. Raises `Left` as soon as the person wants to stop."""
        self.leaving.wait(seconds)
        self._go_on()

    def _go_on(self) -> None:
        if self.fault is not None:
            raise self.fault
        if self.leaving.is_set():
            raise Left

    def _happened(self, line: str) -> None:
        said = in_columns(parts("".join(char if char.isprintable() or char == "\n" else " " for char in line)))
        at = live_rows.clock(int(time.monotonic() - self.started))
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
            self.leaving.set()

    def _draw(self) -> None:
        frame = 0
        while not self.over.is_set():
            for key in self.keyboard.read(FRAME):
                self._press(key)
            with self.lock:
                if not self.over.is_set():
                    self._picture(frame)
            frame += 1

    def _picture(self, frame: int) -> None:
        width, height = self.canvas.size()
        self._read()
        passed = int(time.monotonic() - self.started)
        scene = Scene(
            self.rows, list(self.events), self._page(), passed, self.place, len(self.known), self.message, frame
        )
        self.canvas.draw(picture(scene, self.mood, width, height))

    def _page(self) -> list[str]:
        if self.mood.mode == "diff":
            return list(self.diff)
        return live_rows.log(self._lines(self.mood.selected)) if self.mood.mode == "log" else []

    def _press(self, key: str) -> None:
        room = page_room(self.canvas.size()[1])
        with self.lock:
            self.message = ""
            bottom = max(0, len(self._page()) - room)
            self.mood, deed = press(self.mood, key, self.rows, room, bottom)
        match deed:
            case Deed("leave"):
                self.leaving.set()
            case Deed("stop"):
                import _thread

                _thread.interrupt_main()
            case Deed("tell", task, text):
                self.message = f"{task}: {text}"
            case Deed("diff"):
                self.diff = ("looking …",)
                self.jobs.put(deed)
            case Deed(_, task):
                self.message = f"{task}: {deed.verb} …"
                self.jobs.put(deed)

    # --- what is known ---------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """The rows anew, with what has come to this host's live lines."""
        for step in self.steps:
            id = step.state.task.id
            tail = self.tails.setdefault(id, Tail(live.path_of(self.site.state, id)))
            self.lines.setdefault(id, deque(maxlen=KEPT)).extend(tail.more())
        lines = {step.state.task.id: self._lines(step.state.task.id) for step in self.steps}
        steps = [self.refused.get(step.state.task.id, step) for step in self.steps]
        found = live_rows.rows(steps, lines, datetime.now(UTC), self.site.hub, self.view.settings.base)
        self.rows = tuple(self._begun(row) for row in found)
        if self.mood.selected not in {row.task for row in self.rows}:
            self.mood = self.mood._replace(selected=self.rows[0].task if self.rows else "")

    def _lines(self, task: str) -> list[LiveStep]:
        return self.far.get(task) or list(self.lines.get(task, ()))

    def _begun(self, row: live_rows.Row) -> live_rows.Row:
        """A row whose step has begun since the last look."""
        step = self.current
        if row.mark != "next" or step is None or step.state.task.id != row.task:
            return row
        return row._replace(mark="work", now=beginning(step), stage=str(step.state.current or row.stage))

    def _seen(self, view: View) -> None:
        steps = [step for step in worker.plan(view) if step.state.task.id not in self.known]
        far = {}
        for step in steps:
            opened = step.state.open
            if opened is not None and not opened.mine:
                far[step.state.task.id] = elsewhere(self.site, view, opened)
        with self.lock:
            self.view, self.far = view, far
            self.steps = [step for step in steps if self.only in (None, step.state.task.id)]

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
                self._seen(observe(self.site))
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
            self.diff = tuple(self._diff(deed.task))
            return
        words = {"text": deed.text} if deed.text else {}
        self.message = people.say(self.site.folder, deed.task, deed.verb, **words)

    def _diff(self, task: str) -> list[str]:
        """The change of a task's open stage as it was last pushed, against where it will be merged."""
        state = self.view.state(task)
        if state.open is None:
            return [f"{task} has no open stage"]
        target = state.base if state.is_last else self.view.refs.branches.get(work_branch(task), state.base)
        text = git.git(
            self.site.repo, "diff", "--no-color", "--no-ext-diff", "--stat", "-p", f"{target}...{state.open.head}"
        )
        lines = text.splitlines() or ["nothing has been pushed yet"]
        more = [f"… {len(lines) - DIFF_LINES} more lines: git diff"] if len(lines) > DIFF_LINES else []
        return [state.open.branch, "", *lines[:DIFF_LINES], *more]
