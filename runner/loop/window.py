"""Keeping a conversation inside a model's window. Pure.

Old observations are masked by rule, not summarised by the model: as good, at half the cost (docs/models.md R5).
It is done in one go and rarely, because everything after the first changed message has to be read again by the server
(R4); between two compactions the conversation only grows at its end.
"""

from collections.abc import Iterable, Sequence

import msgspec

from runner.models import Message, ToolCall
from runner.tools.text import elide

# docs/models.md §4.6
RESERVE = 200
CHARS_PER_TOKEN = 3.3
HIGH, LOW = 0.65, 0.45
REPLY_SHARE = 4
"""The longest reply is this part of the window, whatever an agent's `max_output` says."""
KEPT = 4
"""Turns whose observations are never masked."""

# When the fixed front alone is above HIGH, compacting to LOW would happen every turn: then these shares of what the
# front leaves decide.
HIGH_OF_REST, LOW_OF_REST = 0.7, 0.3

BELIEVED = 0.75, 3.0
"""Tokens counted for each one estimated. Texts are 3.9 to 4.4 characters a token (§3), Chinese ones one or two."""

MESSAGE = 24
"""Characters that a message's role and marks cost beside its text, about six tokens in ChatML."""
THOUGHT = 200
SHORT = 160
"""What is no longer than this is not worth masking."""


class Window(msgspec.Struct, frozen=True):
    """A model's window in tokens. `ratio`: the tokens that its server counted for each one estimated."""

    context: int
    max_output: int
    ratio: float = 1.0

    @property
    def output(self) -> int:
        """The longest reply: never more than a part of the window, or nothing is left to reply to."""
        return min(self.max_output, self.context // REPLY_SHARE)

    @property
    def budget(self) -> int:
        """What a prompt may have, in tokens."""
        return self.context - self.output - RESERVE

    def tokens(self, characters: int) -> int:
        """The tokens that so many characters are thought to be."""
        return int(characters / CHARS_PER_TOKEN * self.ratio)

    def characters(self, tokens: float) -> int:
        """The characters that fit into so many tokens."""
        return int(tokens * CHARS_PER_TOKEN / self.ratio)


def corrected(window: Window, sent: int, counted: int) -> Window:
    """The window with the ratio that a reply showed: `counted` tokens for `sent` characters.

    Servers that leave cached tokens out count far too few, and what is beyond `BELIEVED` is not believed.
    """
    if not sent or not counted:
        return window
    return msgspec.structs.replace(window, ratio=max(BELIEVED[0], min(BELIEVED[1], counted * CHARS_PER_TOKEN / sent)))


def size(messages: Iterable[Message]) -> int:
    """Characters of a conversation, whatever the protocol that renders it."""
    return sum(MESSAGE + len(message.text) + sum(map(_call_size, message.calls)) for message in messages)


def _call_size(call: ToolCall) -> int:
    return 2 * MESSAGE + sum(len(name) + len(str(value)) for name, value in call.arguments.items())


def crowded(window: Window, front: int, characters: int) -> bool:
    """Whether a conversation of so many characters, `front` of them fixed, is to be compacted before it is sent."""
    return window.tokens(characters) > _share(window, front, HIGH, HIGH_OF_REST)


def _share(window: Window, front: int, share: float, share_of_rest: float) -> float:
    fixed = window.tokens(front)
    return max(share * window.budget, fixed + share_of_rest * (window.budget - fixed))


def compact(
    messages: Sequence[Message], front: Sequence[Message], window: Window, extra: int
) -> tuple[Message, ...] | None:
    """A conversation that fits: `front` as it is, and as much of the last turns of `messages` as has room.

    `messages` are those after the front; `extra` characters (the tools) are sent beside all of them. None: the front
    leaves no room for a single turn.
    """
    fixed = extra + size(front)
    goal = window.characters(_share(window, fixed, LOW, LOW_OF_REST)) - fixed
    turns = turns_of(messages)
    turns = [_masked(turn) for turn in turns[:-KEPT] if not _long(turn)] + turns[-KEPT:]
    while len(turns) > 1 and sum(map(size, turns)) > goal:
        turns.pop(0)
    most = window.characters(window.budget) - fixed
    if len(turns) == 1 and size(turns[0]) > most:
        turns = [_cut(turns[0], most)]
    kept = tuple(message for turn in turns for message in turn)
    return (*front, *kept) if window.tokens(fixed + size(kept)) <= window.budget else None


def turns_of(messages: Sequence[Message]) -> list[list[Message]]:
    """What the model said and everything that answered it, together."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "assistant" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def without_repeats(messages: Sequence[Message], call: ToolCall) -> tuple[Message, ...]:
    """The conversation without the turns at its end that do what `call` does, but for the first and last of them."""
    turns = turns_of(messages)
    end = len(turns)
    while end and [(asked.name, asked.arguments) for asked in turns[end - 1][0].calls] == [(call.name, call.arguments)]:
        end -= 1
    kept = [*turns[: end + 1], *turns[max(end + 1, len(turns) - 1) :]]
    return tuple(message for turn in kept for message in turn)


def _long(turn: list[Message]) -> bool:
    """Whether a turn carries a whole text. Such a turn cannot be shortened: a placeholder where a file's text belongs
    is copied by small models (docs/models.md §3). It is left out; the notes say which files were changed."""
    return any(
        len(str(value)) > SHORT for message in turn for call in message.calls for value in call.arguments.values()
    )


def _masked(turn: list[Message]) -> list[Message]:
    """A turn whose observation is replaced by what it was."""
    asked = next((call for message in turn for call in message.calls), None)
    return [_mask(message, asked) for message in turn]


def _mask(message: Message, asked: ToolCall | None) -> Message:
    if message.role == "assistant":
        return msgspec.structs.replace(message, text=message.text[:THOUGHT])
    if message.role != "tool" or len(message.text) <= SHORT:
        return message
    first, lines = message.text.partition("\n")[0][:60], message.text.count("\n") + 1
    path = str(asked.arguments.get("path", "")) if asked else ""
    return msgspec.structs.replace(
        message, text=f"[{' '.join([message.tool, path]).strip()}: {lines} lines, seen: {first}]"
    )


def _cut(turn: list[Message], goal: int) -> list[Message]:
    """One turn that is too long by itself: what answered the model is cut as far as it must be."""
    turn = [msgspec.structs.replace(turn[0], text=turn[0].text[:THOUGHT]), *turn[1:]]
    over = size(turn) - goal
    longest = max(turn[1:], key=lambda message: len(message.text), default=None)
    if over <= 0 or longest is None:
        return turn
    room = max(len(longest.text) - over, 2 * SHORT)
    cut = msgspec.structs.replace(longest, text=elide(longest.text, room, "look at a smaller part"))
    return [cut if message is longest else message for message in turn]
