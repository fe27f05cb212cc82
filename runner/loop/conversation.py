"""A trajectory seen as a conversation: its present segment, whether that fits the window, how a new one begins."""

from collections.abc import Sequence
from types import ModuleType

import msgspec

from runner.loop.outcome import Bounds
from runner.loop.teaching import notes
from runner.loop.trajectory import Started, Trajectory
from runner.loop.window import Window, compact, corrected, crowded, size, without_repeats
from runner.models import Message, ToolCall, ToolSpec
from runner.protocols import PROTOCOLS

BELOW = {"native": "json", "json": "text"}
"""The ladder (docs/models.md §4.4): the protocol that is tried next."""
OVERFLOWN = 1.5
"""How far an estimate was off if a server says that the prompt did not fit: the next prompt is this much smaller."""


class Conversation:
    """What is said next, and to whom, as the trajectory has it."""

    def __init__(self, trajectory: Trajectory, model: str, specs: tuple[ToolSpec, ...], bounds: Bounds) -> None:
        self.trajectory, self.model, self.bounds = trajectory, model, bounds
        self.overhead = len(msgspec.json.encode(specs))
        self._counted: tuple[Started | None, int, int] = (None, 0, 0)

    @property
    def segment(self) -> Started:
        """The present segment. There is one as soon as `begin` was called, now or in an earlier run."""
        assert self.trajectory.segment is not None
        return self.trajectory.segment

    @property
    def protocol(self) -> ModuleType:
        """The functions of the present protocol; `runner.protocols` says which."""
        return PROTOCOLS[self.segment.protocol]

    @property
    def size(self) -> int:
        """Characters of what is sent: the messages, each counted once, and the tools beside them."""
        segment, number, characters = self._counted
        if segment is not self.trajectory.segment:
            number = characters = 0
        messages = self.trajectory.messages
        characters += size(messages[number:])
        self._counted = self.trajectory.segment, len(messages), characters
        return characters + self.overhead

    @property
    def window(self) -> Window:
        """The model's window, with the ratio that its last reply showed."""
        window = Window(self.bounds.context, self.bounds.max_output)
        last = self.trajectory.last_reply
        return corrected(window, last.sent, last.reply.prompt_tokens) if last else window

    def begin(self, protocol: str, messages: Sequence[Message]) -> None:
        """The first segment; all of its messages are the front, which stays as it is."""
        self.trajectory.append(Started(self.model, protocol, tuple(messages), opening=len(messages)))

    def make_room(self) -> bool:
        """Compact what has grown too long; False if the front alone is too long."""
        window = self.window
        if not crowded(window, size(self._front) + self.overhead, self.size):
            return True
        return self._compact(window, "window") or window.tokens(self.size) <= window.budget

    def shrink(self) -> bool:
        """Make it shorter because the server refused its length; False if it cannot be shorter."""
        window = self.window
        return self._compact(msgspec.structs.replace(window, ratio=window.ratio * OVERFLOWN), "overflow")

    def fall(self, why: str) -> bool:
        """Go on with the same words in the protocol below; False if there is none."""
        below = BELOW.get(self.segment.protocol)
        if below is None:
            return False
        self._continue(self.trajectory.messages, why, noted=self.segment.noted, protocol=below)
        return True

    def begin_anew(self) -> None:
        """Leave all turns behind but for the notes on them."""
        self._continue([*self._front, *self._notes], "restart", noted=bool(self._notes))

    def forget(self, call: ToolCall) -> None:
        """Take the repetitions of a call out of sight, but for its result and the last refusal (§4.7)."""
        shorter = without_repeats(self.trajectory.messages, call)
        self._continue(shorter, "repeat", noted=self.segment.noted)

    def _compact(self, window: Window, why: str) -> bool:
        messages = self.trajectory.messages
        turns = messages[self.segment.opening + self.segment.noted :]
        shorter = compact(turns, [*self._front, *self._notes], window, self.overhead)
        if shorter is None or size(shorter) >= size(messages):
            return False
        self._continue(shorter, why, noted=bool(self._notes))
        return True

    def _continue(self, messages: Sequence[Message], why: str, *, noted: bool, protocol: str = "") -> None:
        segment = self.segment
        name = protocol or segment.protocol
        self.trajectory.append(Started(self.model, name, tuple(messages), segment.opening, why, noted))

    @property
    def _front(self) -> Sequence[Message]:
        return self.trajectory.messages[: self.segment.opening]

    @property
    def _notes(self) -> Sequence[Message]:
        return [Message("user", text)] if (text := notes(self.trajectory)) else []
