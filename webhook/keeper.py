"""The thread that keeps the index up with the hub and runners awake: look, note, wake; again when something happens.

An event only wakes it; it looks at everything that has changed since it looked last, and on a timer at the same. What
people say on a forge another thread hears (`webhook.hearing`), which this one tells of tasks that have changed.
"""

import queue
import random
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from runner.errors import UserError
from runner.observe import fetch_refs
from runner.progress import Refs
from webhook import store
from webhook.beginnings import Beginnings
from webhook.dispatch import Dispatcher, Workflow
from webhook.events import Notice
from webhook.hearing import speaks
from webhook.index import Index
from webhook.jobs import Work, slots
from webhook.options import Options


class Health(NamedTuple):
    """When the hub was last seen (seconds of the wall clock, 0: never) and what is wrong now, in words."""

    seen: float = 0.0
    fault: str = ""


Answer = TypeVar("Answer")
PATIENCE = 20.0  # seconds that somebody waits for an answer
FEW = 50  # tasks whose change people are told at once; of more they hear with the next sweep


class Question(NamedTuple):
    """What somebody wants to know of the index by its own thread."""

    ask: Callable[[Index, Refs], Any]
    answer: "Future[Any]"


class Keeper:
    """Owns the index for writing. `log` hears one line of structured words about what was done."""

    def __init__(self, options: Options, log: Callable[..., None]) -> None:
        self.options = options
        self.log = log
        self.health = Health()
        self.index: Index | None = None
        self.changed: Callable[[frozenset[str]], None] = lambda tasks: None
        self.dispatcher = Dispatcher(options.command, options.site.folder, options.site.state / "logs" / "serve")
        self.workflow = Workflow(self._start_workflow)
        self.work = Work()
        self._wakes: queue.SimpleQueue[Notice | frozenset[str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self._ended = threading.Event()
        self._asked: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._urgent = threading.Event()  # somebody waits for an answer
        self._beginnings = Beginnings(options.site.state)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and the runners with it."""
        self._ended.set()
        self._urgent.set()
        self._wakes.put(None)
        if self._thread.ident is not None:
            self._thread.join()
        while not self._asked.empty():
            self._asked.get().answer.set_exception(_ENDS)

    def hear(self, notice: Notice) -> None:
        """A delivery is there."""
        self._wakes.put(notice)

    def look_at(self, tasks: frozenset[str] = frozenset()) -> None:
        """Something about these tasks has changed on this host or on the hub."""
        self._wakes.put(tasks)

    def ask(self, question: Callable[[Index, Refs], Answer], tasks: frozenset[str] = frozenset()) -> Answer:
        """The answer to a question, asked after a new look at the hub and at `tasks`.

        Raises `UserError` when there is none in time, or the look came to nothing.
        """
        if self._ended.is_set():
            raise _ENDS
        asked = Question(question, Future())
        self._asked.put(asked)
        self._urgent.set()
        self.look_at(tasks)
        try:
            answer: Answer = asked.answer.result(PATIENCE)
        except TimeoutError:
            raise UserError("the hub did not answer in time", "try it again") from None
        return answer

    def _run(self) -> None:
        self.index = Index(self.options.index, self.options.site)
        with suppress(sqlite3.Error):
            store.hold(self.index.conn, {})  # what the service before this one had given up, this one tries
        try:
            sweep = 0.0
            owed: frozenset[str] = frozenset()
            while not self._ended.is_set():
                due = time.monotonic() >= sweep
                if self._look(owed, sweep=due):
                    owed = frozenset()
                    if due:  # with jitter, so that the services of many repositories do not ask at the same moment
                        sweep = time.monotonic() + self.options.sweep * random.uniform(0.9, 1.1)
                owed |= self._wait()
        finally:
            self.dispatcher.stop()
            self.index.close()

    def _wait(self) -> frozenset[str]:
        """Until something happens or it is time to look anyway; returns the tasks of which was heard.

        What comes shortly after is heard with it, unless somebody waits for an answer.
        """
        end = time.monotonic() + self.options.poll
        while not self._ended.is_set():
            patience = 0.5 if self.dispatcher.running else self.options.poll
            try:
                heard = [self._wakes.get(timeout=max(0.0, min(patience, end - time.monotonic())))]
            except queue.Empty:
                if self._has_stirred() or time.monotonic() >= end:
                    break
                continue
            self._urgent.wait(self.options.debounce)
            heard += [self._wakes.get() for _ in range(self._wakes.qsize())]
            return frozenset().union(*map(_tasks, heard))
        return frozenset()

    def _has_stirred(self) -> bool:
        """Whether a runner has ended, or an agent of this host has begun something."""
        return self._beginnings.any() or any(
            running.process.poll() is not None for running in self.dispatcher.running.values()
        )

    def _look(self, tasks: frozenset[str], *, sweep: bool) -> bool:
        """One look: the hub's refs, the index, runners. What goes wrong is told, and False returned: try it again."""
        index = self.index
        assert index is not None
        self._urgent.clear()
        asked = [self._asked.get() for _ in range(self._asked.qsize())]
        try:
            for job, how, said in self.dispatcher.reap():  # first of all: it is known also while the hub is away
                self.log("runner ended", task=job.task, stage=job.stage, how=how, **({"said": said} if said else {}))
            refs = fetch_refs(self.options.site)
            began = time.perf_counter()
            done = index.look_again(refs, tasks)
            self.health = Health(time.time())
            _answer(asked, index, refs)
            if done.tasks:
                self.log("refreshed", tasks=len(done.tasks), ms=round(1000 * (time.perf_counter() - began), 1))
            if 0 < len(done.tasks) <= FEW and speaks(index.settings()):
                self.changed(done.tasks)
            self.dispatcher.stir(tasks)
            self.work.forget(tasks, everything=sweep)
            if self.options.dispatch == "local":
                self._dispatch(index, refs)
            elif self.options.dispatch == "workflow":
                self.workflow.ask(self.work.jobs(index, refs, set(), self.workflow.may))
        except Exception as error:  # whatever it is, the next look may go well
            ours = not isinstance(error, (UserError, sqlite3.Error, OSError))
            self._failed(repr(error) if ours else str(error), traceback.format_exc() if ours else "")
            for question in asked:
                if not question.answer.done():
                    question.answer.set_exception(error)
            return False
        return True

    def _failed(self, what: str, trace: str = "") -> None:
        self.health = self.health._replace(fault=what)
        self.log("look failed", fault=what, trace=trace)

    def _dispatch(self, index: Index, refs: Refs) -> None:
        jobs = self.work.jobs(index, refs, set(self.dispatcher.running), self.dispatcher.may)
        for job in self.dispatcher.wanted(jobs, slots(index.settings())):
            self.log("runner started", task=job.task, stage=job.stage)
            if self._beginnings.any():  # what is written by now is of runs before this one
                self.look_at()
            self.dispatcher.start(job)
            self._beginnings.rests(job.task)
        if set(self.dispatcher.held()) != set(store.held(index.conn)):
            store.hold(index.conn, self.dispatcher.held())

    def _start_workflow(self) -> None:
        """Have GitHub run our workflow, which looks for itself what there is to do."""
        index = self.index
        assert index is not None
        settings = index.settings()
        hosting = self.options.hosting(self.options.site, settings)
        if hosting is None:
            raise UserError("agents.yaml says forge: local, which has no workflows", "serve with --dispatch local")
        hosting.start_workflow(settings.base)
        self.log("workflow started")


_ENDS = UserError("the service ends", "ask the next one")


def _tasks(wake: Notice | frozenset[str] | None) -> frozenset[str]:
    """The tasks of which a wake tells; `#12` is for those who know the forge."""
    tasks = wake.tasks if isinstance(wake, Notice) else wake or frozenset()
    return frozenset(task for task in tasks if not task.startswith("#"))


def _answer(asked: list[Question], index: Index, refs: Refs) -> None:
    for question in asked:
        try:
            question.answer.set_result(question.ask(index, refs))
        except Exception as error:
            question.answer.set_exception(error)
