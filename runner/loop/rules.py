"""What the last turns mean for the next one. Pure: everything here is read from what is on disk."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from runner.loop.repeats import WITHDRAWN, strikes
from runner.loop.trajectory import Ran, Told

MALFORMED = 3
"""Replies in a row that nothing can be made of (mini-swe-agent's limit, docs/models.md R11)."""
LIFTED = 2
"""Calls in a row found in the text although native ones were offered (§4.4)."""
CALM, BOLD = 0.1, 0.7
"""Temperatures: the usual one, and that of a turn after which the same must not be said again (§4.4, §4.7)."""

FLAWS = frozenset({"format", "tool", "arguments", "length", "aborted", "empty", "swallowed"})
"""`runner.protocols.values.Flaw`."""
NOT_THE_PROTOCOL = frozenset({"length", "aborted"})
"""Flaws that another protocol would not mend (§4.4)."""


class Manner(msgspec.Struct, frozen=True):
    """How the next question is put: `only` are the tools that may be called (empty: all)."""

    only: tuple[str, ...] = ()
    temperature: float = CALM


def manner(recent: Sequence[Ran | Told], names: Sequence[str]) -> Manner:
    """How the next question is put after these results and words, with these tools at hand."""
    if finishing(recent) == "told":
        return Manner(only=("finish",))
    last = recent[-1] if recent else None
    if isinstance(last, Told) and last.rule == "aborted":
        return Manner(temperature=BOLD)
    if isinstance(last, Told) and last.call is not None and strikes(recent) >= WITHDRAWN:
        withdrawn = last.call.name
        return Manner(only=tuple(name for name in names if name != withdrawn), temperature=BOLD)
    return Manner()


def finishing(recent: Sequence[Ran | Told]) -> Literal["no", "told", "taken"]:
    """Whether the model was told that its next turn is the last, and whether it has taken it."""
    for back, entry in enumerate(reversed(recent)):
        if isinstance(entry, Told) and entry.rule == "last turn":
            return "taken" if back else "told"
        if isinstance(entry, Told) and entry.rule == "person":
            return "no"
    return "no"


def unusable(recent: Sequence[Ran | Told]) -> tuple[str, ...]:
    """The flaws of the last replies, as far as nothing could be made of them one after another."""
    flaws: list[str] = []
    for entry in reversed(recent):
        if not isinstance(entry, Told) or entry.rule not in FLAWS:
            break
        flaws.append(entry.rule)
    return tuple(flaws)


def fall(recent: Sequence[Ran | Told]) -> str | None:
    """Why the protocol should be changed for the next one of the ladder (§4.4), or None."""
    flaws = unusable(recent)
    if flaws[:1] == ("swallowed",):
        return "swallowed"
    if len(flaws) >= MALFORMED and not NOT_THE_PROTOCOL.issuperset(flaws):
        return f"{MALFORMED} replies that could not be read"
    last = list(recent)[-LIFTED:]
    if len(last) == LIFTED and all(isinstance(entry, Ran) and entry.lifted for entry in last):
        return f"{LIFTED} calls written as text"
    return None
