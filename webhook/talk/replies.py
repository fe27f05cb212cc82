"""The answers that a service is at: a thread a discussion makes them, one after the other. What is asked and never
answered, here or on another host, is found by a sweep."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.errors import UserError
from runner.host import Site, timestamp
from runner.talk import discussions
from runner.talk.answering import Hears, answer
from runner.talk.desk import Desk
from runner.talk.messages import unanswered
from webhook.queries import Reader
from webhook.talk import queries
from webhook.talk.following import Bells, Reply, follow
from webhook.writing import Conflict

AT_ONCE = 4
"""Answers that one service makes at the same time; the model servers behind them have queues of their own."""
MOST_WAITING = 64
"""Discussions that have a thread, most of which wait for their turn; others are found by the sweep."""
DRAFTS = 2
"""Tasks that are written of conversations at the same time: each holds one of the threads that make answers, and a
machine with few processors has five of them."""
LOOK = 0.25  # seconds between two looks at the index: another process may write it
SWEEP = 30.0  # seconds between two looks for questions that nobody answers
STALE = timedelta(days=1)
"""A question that is older waits for a person to ask again."""
PAUSES = (30.0, 60.0, 120.0, 300.0, 900.0, 900.0, 900.0)
"""Seconds before a question is tried again that could not be answered; then not before the service is started anew."""


class Ended(Exception):
    """The service stops: the question is answered after the next start."""


class Replies:
    """`desk` makes what answering needs; `seen` returns when the index has what was said."""

    def __init__(
        self, site: Site, desk: Callable[[], Desk], seen: Callable[[], object], log: Callable[..., None]
    ) -> None:
        self._site, self._desk, self._seen, self._log = site, desk, seen, log
        self._lock = threading.Lock()
        self._at: dict[str, Reply | None] = {}  # discussions with a thread, and what it is at
        self._failed: dict[str, Reply] = {}  # by discussion, until the next try
        self._again: set[str] = set()
        self._tries: dict[str, tuple[int, float]] = {}  # by question: how many, and when the next may be
        self._swept: dict[str, tuple[str, float]] = {}  # by discussion: its head then, and when
        self._slots = threading.Semaphore(AT_ONCE)
        self._drafts = threading.Semaphore(DRAFTS)
        self._bells = Bells()
        self._ended = threading.Event()

    # --- answering -------------------------------------------------------------------------------------------------

    def attend(self, discussion: str) -> bool:
        """See to it that the questions of a discussion get their answers; False where there are too many others."""
        with self._lock:
            if discussion in self._at:
                self._again.add(discussion)
                return True
            if len(self._at) >= MOST_WAITING:
                return False
            self._at[discussion] = None
        threading.Thread(target=self._work, args=(discussion,), name=f"talk-{discussion}", daemon=True).start()
        return True

    @contextmanager
    def drafting(self) -> Iterator[None]:
        """While a task is written of a conversation. Raises `Conflict` where enough are being written."""
        if not self._drafts.acquire(blocking=False):
            raise Conflict("other tasks are being written just now: try it again in a minute")
        try:
            yield
        finally:
            self._drafts.release()

    def of(self, discussion: str) -> Reply | None:
        """The answer that is on its way in a discussion, or the one that came to nothing last."""
        return self._at.get(discussion) or self._failed.get(discussion)

    def cancel(self, discussion: str) -> bool:
        """Stop the answer that is on its way; whether there was one."""
        reply = self._at.get(discussion)
        if reply is not None:
            reply.cancelled.set()
        return reply is not None

    def close(self) -> None:
        """Stop all of them; what was asked stays asked."""
        self._ended.set()

    def _work(self, discussion: str) -> None:
        while True:
            with self._slots:
                try:
                    while not self._ended.is_set() and self._next(discussion):
                        pass
                except Exception as error:  # whatever it is, the next sweep may go well
                    self._log("answering failed", discussion=discussion, fault=repr(error))
            with self._lock:
                if discussion not in self._again or self._ended.is_set():
                    del self._at[discussion]
                    return
                self._again.discard(discussion)

    def _next(self, discussion: str) -> bool:
        """Answer the first question that can be tried; whether there may be more."""
        found = discussions.read(self._site, discussion)
        waiting = unanswered(found.messages) if found else ()
        asked = next((one for one in waiting if one.at > oldest() and self._due(one.id)), None)
        if asked is None:
            return False
        reply = Reply(asked.id)
        self._failed.pop(discussion, None)
        self._at[discussion] = reply
        try:
            return self._answered(discussion, reply)
        finally:
            self._at[discussion] = None
            self._bells.ring(discussion)

    def _answered(self, discussion: str, reply: Reply) -> bool:
        try:
            made = answer(self._desk(), discussion, reply.to, self._hears(discussion, reply))
        except Ended:
            return False
        except UserError as error:
            self._fail(discussion, reply, error.what, error.remedy)
        except Exception as error:
            self._log("fault", discussion=discussion, trace=repr(error))
            self._fail(discussion, reply, "this is our fault; the service's log says more", "ask again")
        else:
            self._tries.pop(reply.to, None)
            if made is not None:
                self._wait_until_seen()
            return made is not None
        return True

    def _hears(self, discussion: str, reply: Reply) -> Hears:
        def hearing(deed: Callable[[Any], None]) -> Callable[[Any], None]:
            def hear(what: Any) -> None:
                if self._ended.is_set():
                    raise Ended
                deed(what)
                self._bells.ring(discussion)

            return hear

        def named(name: str) -> None:
            reply.agent = name

        return Hears(hearing(reply.show), hearing(reply.looks.append), reply.cancelled, hearing(named))

    def _wait_until_seen(self) -> None:
        try:
            self._seen()
        except UserError as error:  # it is stored; the index has it after its next look
            self._log("answer not seen yet", fault=str(error))

    def _fail(self, discussion: str, reply: Reply, what: str, remedy: str) -> None:
        tries, _ = self._tries.get(reply.to, (0, 0.0))
        pause = PAUSES[tries] if tries < len(PAUSES) else float("inf")
        self._tries[reply.to] = (tries + 1, time.monotonic() + pause)
        reply.failed = (what, remedy)
        self._failed[discussion] = reply
        self._log("no answer", discussion=discussion, fault=what)

    def _due(self, question: str) -> bool:
        return time.monotonic() >= self._tries.get(question, (0, 0.0))[1]

    def _sweep(self, reader: Reader) -> None:
        """Attend to what waits: when something was said there, and from time to time."""
        now = time.monotonic()
        for discussion, head in queries.waiting(reader.conn, oldest()):
            before, at = self._swept.get(discussion, ("", 0.0))
            if (head != before or now - at > SWEEP) and self.attend(discussion):
                self._swept[discussion] = (head, now)

    # --- following -------------------------------------------------------------------------------------------------

    async def watch(self, reader: Reader, ended: Callable[[], bool]) -> None:
        """Ring when the index has changed, and look for questions that nobody answers: those of a service that was
        killed, of other hosts, of threads on a forge. One of these runs in a service."""
        version, sweep = -1, 0.0
        while not ended():
            now = reader.version()
            if now != version or time.monotonic() >= sweep:
                version, sweep = now, time.monotonic() + SWEEP
                self._sweep(reader)
                self._bells.sound_all()
            await asyncio.sleep(LOOK)

    def follow(
        self, reader: Reader, discussion: str, after: int, ended: Callable[[], bool], until: str = ""
    ) -> AsyncIterator[bytes]:
        """What is said in a discussion after message number `after`, and answers as they come (`following.follow`)."""
        return follow(self._bells, lambda: self.of(discussion), reader, discussion, after, ended, until)


def oldest() -> str:
    """Since when a question may have been asked that is still answered."""
    return timestamp(datetime.now(UTC) - STALE)
