"""Who follows a discussion: events as they come, taken when the reader has room for them.

Nothing is queued for anybody, so that a slow reader holds nobody up and many cost little.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from runner.talk.messages import Look, answer_id
from webhook.feed import event
from webhook.queries import Reader
from webhook.talk import queries

FRAME = 0.05  # seconds in which what comes goes out together
QUIET = 15.0  # seconds without an event after which a comment shows that the line is open


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


class Bells:
    """Wakes those who follow a discussion, from any thread; rung often, they hear it once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hung: dict[str, set[asyncio.Event]] = {}
        self._rung: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def hang(self, discussion: str, bell: asyncio.Event) -> None:
        """Somebody follows, in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._hung.setdefault(discussion, set()).add(bell)

    def take_down(self, discussion: str, bell: asyncio.Event) -> None:
        """And follows no more."""
        self._hung[discussion].discard(bell)
        if not self._hung[discussion]:
            del self._hung[discussion]

    def ring(self, discussion: str) -> None:
        """From a thread: there is something new."""
        with self._lock:
            if self._loop is None or discussion in self._rung or discussion not in self._hung:
                return
            self._rung.add(discussion)
        try:
            self._loop.call_soon_threadsafe(self.sound, discussion)
        except RuntimeError:  # the loop has ended
            self._rung.discard(discussion)

    def sound(self, discussion: str) -> None:
        """In the event loop: the same."""
        with self._lock:
            self._rung.discard(discussion)
        for bell in self._hung.get(discussion, ()):
            bell.set()

    def sound_all(self) -> None:
        """Whatever is followed."""
        for discussion in list(self._hung):
            self.sound(discussion)


async def follow(
    bells: Bells,
    of: Callable[[], Reply | None],
    reader: Reader,
    discussion: str,
    after: int,
    ended: Callable[[], bool],
    until: str = "",
) -> AsyncIterator[bytes]:
    """What is said in a discussion after message number `after`, and answers as they come, as events.

    `of` tells the answer that is on its way. `until` names a question: its answer, or that it has none now, is the last
    event.
    """
    bell, seen, quiet = asyncio.Event(), _Seen(), time.monotonic()
    bells.hang(discussion, bell)
    try:
        yield b"retry: 2000\n\n"
        while not ended():
            bell.clear()
            told = queries.after(reader.conn, discussion, after)
            for message in told:
                after, quiet = message.number, time.monotonic()
                yield event("message", message.data, str(message.number))
                if until and message.id == answer_id(until):
                    return
            if told:
                continue  # there may be more
            reply = of()
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
        bells.take_down(discussion, bell)


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
            self.over = queries.told(reader.conn, discussion, answer_id(reply.to)) is not None
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


async def _either(bell: asyncio.Event) -> None:
    """Until it rings, at most a second: the service may end. What comes shortly after goes with it."""
    try:
        await asyncio.wait_for(bell.wait(), 1.0)
    except TimeoutError:
        return
    await asyncio.sleep(FRAME)


def _json(**fields: object) -> str:
    return msgspec.json.encode(fields).decode()
