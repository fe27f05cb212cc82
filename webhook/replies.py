"""The answers that a service is at, and those who follow them.

A thread a discussion makes its answers, one after the other. Who follows takes what is new when it has room: nothing is
queued for anybody, so that a slow reader holds nobody up and many cost little.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from runner.errors import UserError
from runner.host import Site, timestamp
from runner.talk import discussions
from runner.talk.answering import Hears, answer
from runner.talk.desk import Desk
from runner.talk.messages import Look, answer_id, unanswered
from webhook import talk_queries
from webhook.feed import event
from webhook.queries import Reader

AT_ONCE = 4
"""Answers that one service makes at the same time; the model servers behind them have queues of their own."""
FRAME = 0.05  # seconds in which what comes goes out together
LOOK = 0.25  # seconds between two looks at the index: another process may write it
QUIET = 15.0  # seconds without an event after which a comment shows that the line is open
SWEEP = 30.0  # seconds between two looks for questions that nobody answers
STALE = timedelta(days=1)
"""A question that is older waits for a person to ask again."""
PAUSES = (30.0, 60.0, 120.0, 300.0, 900.0, 900.0, 900.0)
"""Seconds before a question is tried again that could not be answered; then not before the service is started anew."""


@dataclass
class Reply:
    """One answer on its way to the message `to`. `shown`: how often what was shown was taken back, and what is shown.

    One value, so that whoever reads it from another thread never has half of each.
    """

    to: str
    agent: str = ""
    shown: tuple[int, str] = (0, "")
    looks: list[Look] = field(default_factory=list)
    failed: tuple[str, str] | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def show(self, text: str) -> None:
        """All of it so far."""
        round, before = self.shown
        self.shown = (round + (not text.startswith(before)), text)


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
        self._bells: dict[str, set[asyncio.Event]] = {}
        self._rung: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = threading.Event()

    # --- answering -------------------------------------------------------------------------------------------------

    def attend(self, discussion: str) -> None:
        """See to it that the questions of a discussion get their answers."""
        with self._lock:
            if discussion in self._at:
                self._again.add(discussion)
                return
            self._at[discussion] = None
        threading.Thread(target=self._work, args=(discussion,), name=f"talk-{discussion}", daemon=True).start()

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
            self._ring(discussion)

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
                self._ring(discussion)

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
        for discussion, question, head in talk_queries.waiting(reader.conn, oldest()):
            before, at = self._swept.get(discussion, ("", 0.0))
            if head != before or (now - at > SWEEP and self._due(question)):
                self._swept[discussion] = (head, now)
                self.attend(discussion)

    # --- following -------------------------------------------------------------------------------------------------

    async def watch(self, reader: Reader, ended: Callable[[], bool]) -> None:
        """Ring when the index has changed, and look for questions that nobody answers: those of a service that was
        killed, of other hosts, of threads on a forge. One of these runs in a service."""
        self._loop = asyncio.get_running_loop()
        version, sweep = -1, 0.0
        while not ended():
            now = reader.version()
            if now != version or time.monotonic() >= sweep:
                version, sweep = now, time.monotonic() + SWEEP
                self._sweep(reader)
                for discussion in list(self._bells):
                    self._sound(discussion)
            await asyncio.sleep(LOOK)

    async def follow(
        self, reader: Reader, discussion: str, after: int, ended: Callable[[], bool], until: str = ""
    ) -> AsyncIterator[bytes]:
        """What is said in a discussion after message number `after`, and answers as they come, as events.

        `until` names a question: its answer, or that it has none now, is the last event.
        """
        bell, seen, quiet = asyncio.Event(), _Seen(), time.monotonic()
        self._bells.setdefault(discussion, set()).add(bell)
        try:
            yield b"retry: 2000\n\n"
            while not ended():
                bell.clear()
                told = talk_queries.after(reader.conn, discussion, after)
                for message in told:
                    after, quiet = message.number, time.monotonic()
                    yield event("message", message.data, str(message.number))
                    if until and message.id == answer_id(until):
                        return
                if told:
                    continue  # there may be more
                reply = self.of(discussion)
                for part in seen.news(reader, discussion, reply):
                    quiet = time.monotonic()
                    yield part
                if until and reply is not None and reply.to == until and reply.failed:
                    return
                if time.monotonic() - quiet > QUIET:
                    quiet = time.monotonic()
                    yield b": still here\n\n"
                await _either(bell)
        finally:
            self._bells[discussion].discard(bell)
            if not self._bells[discussion]:
                del self._bells[discussion]

    def _ring(self, discussion: str) -> None:
        """From a thread: there is something new; those who follow hear it once, however often it is rung."""
        with self._lock:
            if self._loop is None or discussion in self._rung or discussion not in self._bells:
                return
            self._rung.add(discussion)
        try:
            self._loop.call_soon_threadsafe(self._sound, discussion)
        except RuntimeError:  # the loop has ended
            self._rung.discard(discussion)

    def _sound(self, discussion: str) -> None:
        with self._lock:
            self._rung.discard(discussion)
        for bell in self._bells.get(discussion, ()):
            bell.set()


class _Seen:
    """What one reader has of the answer that is on its way."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.over = True
        self.round = self.characters = self.looks = 0

    def news(self, reader: Reader, discussion: str, reply: Reply | None) -> Iterator[bytes]:
        """The events that bring the reader up to where the answer is."""
        if reply is None:
            return
        if reply is not self.reply:
            self.reply, self.round, self.characters, self.looks = reply, reply.shown[0], 0, 0
            self.over = talk_queries.told(reader.conn, discussion, answer_id(reply.to)) is not None
        if self.over:
            return
        for look in reply.looks[self.looks :]:
            self.looks += 1
            yield event("reading", _json(to=reply.to, tool=look.tool, what=look.what))
        round, text = reply.shown
        start = self.characters if round == self.round else 0
        if round != self.round or len(text) > start:
            self.round, self.characters = round, len(text)
            yield event("delta", _json(to=reply.to, agent=reply.agent, at=start, text=text[start:]))
        if reply.failed:
            self.over = True
            yield event("failed", _json(to=reply.to, what=reply.failed[0], remedy=reply.failed[1]))


def oldest() -> str:
    """Since when a question may have been asked that is still answered."""
    return timestamp(datetime.now(UTC) - STALE)


async def _either(bell: asyncio.Event) -> None:
    """Until it rings, at most a second: the service may end. What comes shortly after goes with it."""
    try:
        await asyncio.wait_for(bell.wait(), 1.0)
    except TimeoutError:
        return
    await asyncio.sleep(FRAME)


def _json(**fields: object) -> str:
    return msgspec.json.encode(fields).decode()
