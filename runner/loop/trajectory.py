"""One attempt at one stage, turn by turn: an append-only file of JSON lines, each on disk before the next begins.

A line is written when something is known that a later run cannot find out again: what the model said (before its tool
runs), what came of it (before the next question). After a crash the same conversation is read back, and a reply whose
call has no result yet is `pending`: it is acted upon first, so that nothing is lost and no model is asked twice.
"""

import os
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from runner.errors import UserError
from runner.loop.entries import Ended, Entry, Ran, Replied, Started, Told, durable, entries, turns
from runner.models import Message
from runner.secrets import Redactor

__all__ = [
    "Ended",
    "Entry",
    "Ran",
    "Replied",
    "Started",
    "Told",
    "Totals",
    "Trajectory",
    "durable",
    "entries",
    "turns",
]

RECENT = 24
"""Results and words that `recent` keeps: more than any rule about repetition looks back."""


class Totals(msgspec.Struct, frozen=True):
    """What an attempt has used so far: `steps` are replies but for owed bodies; `cost` in US dollars."""

    steps: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0


class Trajectory:
    """An attempt's file, and what follows from it: nothing here is known that the file does not say.

    `messages` is the conversation of the present segment, `recent` the last results and words (oldest first),
    `replies` the number of all replies, which is the `turn` of the next request; `pending` is a reply that nothing has
    come of yet, with the bodies that were given for it. Over all segments: the paths `changed` (the newest last), the
    last `command`, the `notes`, what people said (`words`, and the ids that were `heard`), the last `snapshot`.
    """

    def __init__(
        self, path: Path, file: int, watch: Callable[[Entry], None] | None = None, redactor: Redactor | None = None
    ) -> None:
        self.path = path
        self.segment: Started | None = None
        self.messages: list[Message] = []
        self.recent: deque[Ran | Told] = deque(maxlen=RECENT)
        self.pending: tuple[Replied, ...] = ()
        self.last_reply: Replied | None = None
        self.last: Entry | None = None
        self.replies = 0
        self.restarts = 0
        self.totals = Totals()
        self.heard: set[str] = set()
        self.words: list[str] = []
        self.notes: list[str] = []
        self.changed: dict[str, None] = {}
        self.command: Ran | None = None
        self.snapshot: str | None = None
        self._file = file
        self._watch = watch
        self._redactor = redactor or Redactor()
        self._digest = blake2b(digest_size=8)
        self._encoder = msgspec.json.Encoder()

    @classmethod
    def open(cls, path: Path, watch: Callable[[Entry], None] | None = None, redactor: Redactor | None = None) -> Self:
        """Read what is there and be ready to go on; a last line that a crash cut short is dropped.

        `watch` hears each entry after it is on disk (a live view). What `redactor` takes out of an entry is known to
        nobody after it: neither to the file, nor to the watch, nor to the model in later requests. Raises `UserError`
        for a file that is damaged elsewhere.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        trajectory = cls(path, file, watch, redactor)
        try:
            trajectory._recall(path.read_bytes())
        except UserError:
            trajectory.close()
            raise
        if new:
            _sync_folder(path.parent)
        return trajectory

    @property
    def asked(self) -> str:
        """A digest of everything said so far: two runs that agree in it asked the model the same."""
        return self._digest.hexdigest()

    def append(self, entry: Entry) -> None:
        """Put an entry on disk, without the secrets in it, then make it known."""
        entry = self._redactor.clean_struct(entry)
        line = self._encoder.encode(entry) + b"\n"
        view = memoryview(line)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)
        self._take(entry)
        if self._watch is not None:
            self._watch(entry)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recall(self, data: bytes) -> None:
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._file, whole)
        for entry in entries(data, str(self.path)):
            self._take(entry)

    def _take(self, entry: Entry) -> None:
        self.last = entry
        if isinstance(entry, Replied):
            self._count(entry)
            return
        if isinstance(entry, Started):
            self._begin(entry)
        elif isinstance(entry, Ran | Told):
            self.pending = ()
            self.recent.append(entry)
            self._say(turns(entry))
            self._remember(entry)

    def _begin(self, entry: Started) -> None:
        before = self.segment or entry
        changed = (before.model, before.protocol) != (entry.model, entry.protocol)
        self.segment, self.messages, self.pending = entry, [], ()
        self._say(entry.messages)
        self.restarts += entry.why == "restart"
        if changed or entry.why == "restart":
            self.recent.clear()

    def _say(self, messages: tuple[Message, ...]) -> None:
        self.messages.extend(messages)
        self._digest.update(self._encoder.encode(messages))

    def _remember(self, entry: Ran | Told) -> None:
        if isinstance(entry, Told):
            self._hear(entry)
            return
        self.snapshot = entry.snapshot or self.snapshot
        self._pin(entry)
        self.totals = msgspec.structs.replace(self.totals, seconds=self.totals.seconds + entry.seconds)

    def _hear(self, entry: Told) -> None:
        if entry.rule == "person":
            self.heard.add(entry.id)
            self.words.append(entry.text)

    def _pin(self, entry: Ran) -> None:
        """Keep what the notes of a later segment are made of."""
        if entry.call.name == "bash":
            self.command = entry
        elif entry.fault:
            return
        elif entry.call.name == "note":
            self.notes.append(str(entry.call.arguments["text"]))
        elif entry.call.name in ("write", "edit"):
            path = str(entry.call.arguments["path"])
            self.changed.pop(path, None)
            self.changed[path] = None

    def _count(self, entry: Replied) -> None:
        self.replies += 1
        self.last_reply = entry
        self.pending = (*self.pending, entry)
        reply, old = entry.reply, self.totals
        self.totals = Totals(
            steps=old.steps + (not entry.body),
            tokens=old.tokens + reply.prompt_tokens + reply.completion_tokens,
            cost=old.cost + reply.cost,
            seconds=old.seconds + entry.seconds,
        )


def _sync_folder(folder: Path) -> None:
    """A new file's name is durable only once its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
