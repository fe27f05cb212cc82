"""The thread that hears what people said on a forge, shows them there how their tasks stand, and writes to them.

A delivery, a change in Git, a timer: each only says which tasks to attend to; `runner.attend` and `runner.mailing` look
everything up. The keeper goes on with the index meanwhile, however long a server makes us wait. Start at `Ear`.
"""

import queue
import random
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress

from runner.agents import Settings
from runner.attend import attend
from runner.errors import UserError
from runner.forge import Hosting
from runner.host import Host
from runner.mailing import tell
from runner.observe import View
from runner.planning import plan
from runner.progress import Refs
from runner.sight.owners import owner
from webhook import deliveries, store
from webhook.index import Index, standing
from webhook.options import Options
from webhook.redelivering import Redelivering

BETWEEN_NOTES = 30.0  # seconds between two changes of what is shown on an issue (runner.forge.github_notes)
FIRST, LONGEST = 2.0, 300.0  # seconds until a look that failed is tried again; doubled each time
PATIENCE = 5.0  # seconds that the end of the service waits for

Ask = Callable[[Callable[[Index, Refs], Refs]], Refs]


class Ear:
    """Attends to the forge. `ask` has the keeper bring the index up to the hub, and gives the refs."""

    def __init__(self, options: Options, ask: Ask, log: Callable[..., None]) -> None:
        self.options = options
        self.ask = ask
        self.log = log
        self.wakes: queue.SimpleQueue[frozenset[str] | None] = queue.SimpleQueue()
        self.conn = store.connect(options.index)
        self._index: Index | None = None
        self._settings: Settings | None = None
        self._attended: Settings | None = None  # with which everything was attended to
        self._host: Host | None = None
        self._hosting: Hosting | None = None
        self._redelivering = Redelivering(self.conn, log)
        self._thread = threading.Thread(target=self._run, name="ear", daemon=True)
        self._ended = threading.Event()
        self._owing: dict[str, frozenset[str]] = {}
        self._said = ""
        self._unsettled = False

    def look_at(self, tasks: frozenset[str] = frozenset()) -> None:
        """Attend to these tasks, and to what deliveries name."""
        self.wakes.put(tasks)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def end(self) -> None:
        """Have the thread end once it has done what it is at."""
        self._ended.set()
        self.wakes.put(None)

    def join(self) -> None:
        """Wait for its end, but not for a forge that makes us wait."""
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        """Attend until told to end. Whatever goes wrong is told once and tried again."""
        owed: frozenset[str] = frozenset()
        sweep, fails = 0.0, 0
        try:
            while True:
                due = time.monotonic() >= sweep
                try:
                    self._look(owed, everything=due)
                except Exception as error:  # the next look may go well
                    self._failed(error)
                    fails += 1
                else:
                    owed, fails, self._said = frozenset(), 0, ""
                    if due:  # with jitter, so that the services of many repositories do not ask at the same moment
                        sweep = time.monotonic() + self.options.sweep * random.uniform(0.9, 1.1)
                pause = min(LONGEST, FIRST * 2.0 ** (fails - 1)) if fails else sweep - time.monotonic()
                pause = min(pause, BETWEEN_NOTES) if self._unsettled else pause
                named = self._wait(max(0.0, pause))
                if named is None:
                    return
                owed |= named
        finally:
            if self._index is not None:
                self._index.close()
            self.conn.close()

    def _wait(self, patience: float) -> frozenset[str] | None:
        """Until something is named or it is time; what comes shortly after belongs to it. None: to end."""
        try:
            heard = [self.wakes.get(timeout=patience)]
        except queue.Empty:
            return frozenset()
        self._ended.wait(self.options.debounce)
        heard += [self.wakes.get() for _ in range(self.wakes.qsize())]
        return None if None in heard else frozenset().union(*(tasks for tasks in heard if tasks))

    def _look(self, tasks: frozenset[str], *, everything: bool) -> None:
        """One look: deliveries that wait, the tasks that they name, or all of them."""
        self._owing.update(deliveries.unworked(self.conn))
        self.ask(lambda index, refs: refs)
        index = self._index = self._index or Index(self.options.index, self.options.site)
        settings = index.settings()
        view = None
        if speaks(settings):
            everything = everything or settings != self._attended  # of what stands so already nobody is written to
            host = self._wired(settings)
            view = self._attend(host, index, None if everything else self._tasks(tasks.union(*self._owing.values())))
        if self._owing:
            deliveries.mark(self.conn, list(self._owing), "done")
            self._owing.clear()
        if view is not None:
            tell(host, view, plan(view))
        if everything:
            self._attended = settings
            if self._hosting is not None:
                self._redelivering.ask(self._hosting)

    def _attend(self, host: Host, index: Index, only: frozenset[str] | None) -> View | None:
        """Hear and show what there is of the tasks `only`, or of all; None where there are none."""
        if only is None or only:
            self._unsettled = host.forge.talks
            return attend(host, look=lambda: self._view(index, only), only=only)
        if self._unsettled:  # nothing is heard just now: what the forge's pace held back can be waited for
            host.forge.settle()
            self._unsettled = False
        return None

    def _wired(self, settings: Settings) -> Host:
        """The host for the settings that are in force."""
        if self._host is None or settings != self._settings:
            say = lambda line: self.log("forge", line=line)  # noqa: E731
            self._host = self.options.wire(self.options.site, settings, say)
            self._hosting = self.options.hosting(self.options.site, settings)
            self._settings = settings
        return self._host

    def _view(self, index: Index, only: frozenset[str] | None) -> View:
        """How things stand once the keeper has looked at the hub; it takes note of what the last look changed."""
        return standing.view(index, self.ask(lambda index, refs: refs), only)

    def _tasks(self, words: Iterable[str]) -> frozenset[str]:
        """The tasks that words of deliveries mean: their ids, and `#12` for whatever pull request 12 belongs to."""
        found = {word for word in words if not word.startswith("#")}
        for number in [int(word[1:]) for word in words if word.startswith("#")]:
            branch = self._hosting.branch_of(number) if self._hosting else ""
            if slug := owner(f"heads/{branch}"):
                found.add(slug)
        return frozenset(found)

    def _failed(self, error: Exception) -> None:
        ours = not isinstance(error, (UserError, OSError))
        what = repr(error) if ours else str(error)
        if what != self._said:
            self.log("forge failed", fault=what, trace=traceback.format_exc() if ours else "")
        self._said = what
        with suppress(sqlite3.Error):
            deliveries.mark(self.conn, list(self._owing), "failed", what[:500])


def speaks(settings: Settings) -> bool:
    """Whether there is anybody to hear, or to write to."""
    return settings.forge != "local" or settings.notifications.mail is not None
