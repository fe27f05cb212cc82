"""Waking a runner: processes of `pullwright run --task … --stage …` on this host, bounded, watched, tried again.

One that ends well and leaves its task as it was (it waits for checks, say) is started again later, and at once when
something is heard of the task. A process that is killed, or ends for the worse, is started again after a pause that
doubles; after five in a row the task is left alone with the reason, until something about it changes. What it says goes
to a log of its stage.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

FIRST, LONGEST, TRIES = 5.0, 300.0, 5
UNHEARD = 3600.0  # seconds after which at the latest a run is asked for again that has changed nothing
LOG_LIMIT = 4 << 20  # bytes of a log, from which on it begins anew


class Job(NamedTuple):
    """A task with work to do at its stage; `version` changes with the task."""

    task: str
    stage: str
    version: str


class Trouble(NamedTuple):
    """How often a task's runner has ended for the worse in a row, when it may be tried again, why it ended.

    No `reason`: it ended well, and there is nothing wrong with waiting.
    """

    version: str
    tries: int
    again: float
    reason: str


class Running(NamedTuple):
    """A runner that was started for a job."""

    job: Job
    process: "subprocess.Popen[bytes]"
    log: Path


class Ended(NamedTuple):
    """What became of a runner: how it ended, and its last words where that was not well."""

    job: Job
    how: str
    said: str


class Dispatcher:
    """The runners of this service. `command` starts one; `clock` gives seconds."""

    def __init__(
        self, command: tuple[str, ...], folder: Path, logs: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.command = command
        self.folder = folder
        self.logs = logs
        self.clock = clock
        self.running: dict[str, Running] = {}
        self.trouble: dict[str, Trouble] = {}

    def wanted(self, jobs: Iterable[Job], slots: int) -> list[Job]:
        """Pure but for the clock: which of the jobs, which are in their order, may be started now."""
        free = slots - len(self.running)
        ready = [job for job in jobs if job.task not in self.running and self.may(job)]
        return ready[: max(0, free)]

    def may(self, job: Job) -> bool:
        """Whether a runner may be started for a job now, or has to wait after what became of the last one."""
        trouble = self.trouble.get(job.task)
        if trouble is None or trouble.version != job.version:
            return True
        return (trouble.tries < TRIES or not trouble.reason) and self.clock() >= trouble.again

    def stir(self, tasks: Iterable[str]) -> None:
        """Something was heard of these tasks: who only waits need not wait longer."""
        for task in tasks:
            if (trouble := self.trouble.get(task)) is not None and not trouble.reason:
                del self.trouble[task]

    def start(self, job: Job) -> None:
        """Start a runner for a job."""
        log = self.logs / job.task / f"{job.stage}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*self.command, "run", "--task", job.task, "--stage", job.stage],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.running[job.task] = Running(job, process, log)

    def reap(self) -> list[Ended]:
        """Take note of the runners that have ended."""
        ended = []
        for task, running in list(self.running.items()):
            status = running.process.poll()
            if status is not None:
                del self.running[task]
                how = f"signal {-status}" if status < 0 else f"exit {status}"
                ended.append(Ended(running.job, how, _last_words(running.log) if status else ""))
                self._note(ended[-1])
        return ended

    def _note(self, ended: Ended) -> None:
        task, version, before = ended.job.task, ended.job.version, self.trouble.get(ended.job.task)
        again = before is not None and before.version == version and bool(before.reason) == bool(ended.said)
        tries = before.tries + 1 if before and again else 1
        pause = min(LONGEST, FIRST * 2.0 ** (tries - 1))
        reason = f"its runner ended with {ended.how}, {tries} times in a row: {ended.said}" if ended.said else ""
        self.trouble[task] = Trouble(version, tries, self.clock() + pause, reason)

    def held(self) -> dict[str, str]:
        """Task → why it is left alone."""
        left = (each for each in self.trouble.items() if each[1].tries >= TRIES and each[1].reason)
        return {task: trouble.reason for task, trouble in left}

    def stop(self) -> None:
        """End the runners: what they were at goes on from there with the next one."""
        for running in self.running.values():
            _signal(running.process, signal.SIGTERM)
        for running in self.running.values():
            try:
                running.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                _signal(running.process, signal.SIGKILL)
                running.process.wait()
        self.running.clear()


class Workflow:
    """Runs of the workflow that GitHub was asked for. `start` asks for one, which takes up all that there is to do."""

    def __init__(self, start: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.start = start
        self.clock = clock
        self.asked: dict[str, Trouble] = {}

    def ask(self, jobs: Iterable[Job]) -> None:
        """Ask for a run, where there is work for which none was asked yet, or where long ago nothing came of it.

        Raises `UserError` where GitHub refuses.
        """
        due = [job for job in jobs if self.may(job)]
        if due:
            self.start()
        for job in due:
            before = self.asked.get(job.task)
            tries = before.tries + 1 if before and before.version == job.version else 1
            again = self.clock() + min(UNHEARD, LONGEST * 2.0 ** (tries - 1))
            self.asked[job.task] = Trouble(job.version, tries, again, "")

    def may(self, job: Job) -> bool:
        """Whether a run may be asked for a job now."""
        before = self.asked.get(job.task)
        return before is None or before.version != job.version or self.clock() >= before.again


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    """To the whole group that the runner leads."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _last_words(log: Path) -> str:
    """What a runner said last: its last line, and the one before where that is only the way out of it."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    words = " ".join(lines[-2:] if lines and lines[-1].startswith("→") else lines[-1:])
    return words[:600] or "it said nothing"
