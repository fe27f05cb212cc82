"""Going round in circles, seen in the last turns. Pure.

Valid actions are not progress: held to a schema, a small model repeated an earlier action in 15 of 20 turns
(docs/models.md R16). The patterns and their three steps are §4.7, after OpenHands' stuck detector.
"""

import re
from collections.abc import Sequence
from itertools import takewhile

import msgspec

from runner.loop.trajectory import Ran, Told
from runner.models import ToolCall

STRIKES_WITHIN = 8
"""Results and words in which refused repetitions are counted together."""
WITHDRAWN, ENDED = 2, 3
"""The refusal at which the tool is taken away for a turn, and the one at which the conversation is ended."""
ALTERNATIONS = 6
"""A-B-A-B-A-B (OpenHands' stuck.py)."""
EQUAL_FAULTS = 3

SURE = frozenset({"view", "search", "write", "edit", "note", "progress"})
"""Tools that, called again at once, cannot answer anything new. A command may: time passes, a test is flaky."""

_VOLATILE = re.compile(r"0x[0-9a-fA-F]+|/tmp/\S+|\b\d+(?:\.\d+)? ?(?:s|ms|sec|seconds)\b|\bpid \d+|\b\d\d:\d\d:\d\d\b")


def key(call: ToolCall) -> tuple[str, bytes]:
    """What makes two calls the same: the tool and its arguments but for white space at the ends."""
    arguments = {name: value.strip() if isinstance(value, str) else value for name, value in call.arguments.items()}
    return call.name, msgspec.json.encode(arguments, order="deterministic")


def result(ran: Ran) -> str:
    """What makes two results the same: their text without times, addresses and scratch paths."""
    return _VOLATILE.sub("#", ran.text)


def repeated(recent: Sequence[Ran | Told], call: ToolCall) -> bool:
    """Whether running `call` could only give what the model has just been shown.

    A call that failed or answered is not run again at once; a command is, once, to see whether its result is the same.
    """
    ran = _unbroken(recent)
    if not ran or key(ran[-1].call) != key(call):
        return False
    if call.name in SURE:
        return True
    before = ran[-2:]
    return len(before) == 2 and key(before[0].call) == key(call) and result(before[0]) == result(before[1])


def strikes(recent: Sequence[Ran | Told]) -> int:
    """How many repetitions were refused lately."""
    return sum(
        isinstance(entry, Told) and entry.rule == "repeat" for entry in _since_a_person(recent)[-STRIKES_WITHIN:]
    )


def circling(recent: Sequence[Ran | Told]) -> str | None:
    """Why the conversation leads nowhere, in words for a person; None while it may."""
    ran = _unbroken(recent)
    if strikes(recent) >= ENDED:
        return f"it asked for the same again {ENDED} times after it was told that the result does not change"
    last = ran[-ALTERNATIONS:]
    states = [(key(entry.call), result(entry)) for entry in last]
    if len(last) == ALTERNATIONS and states[:2] * (ALTERNATIONS // 2) == states and states[0] != states[1]:
        return f"it went back and forth between the same two actions {ALTERNATIONS // 2} times"
    faults = [result(entry) for entry in ran[-EQUAL_FAULTS:] if entry.fault]
    if len(faults) == EQUAL_FAULTS and len(set(faults)) == 1:
        return f"it met the same error {EQUAL_FAULTS} times: {faults[0][:200]}"
    return None


def _unbroken(recent: Sequence[Ran | Told]) -> list[Ran]:
    return [entry for entry in _since_a_person(recent) if isinstance(entry, Ran)]


def _since_a_person(recent: Sequence[Ran | Told]) -> list[Ran | Told]:
    """What came since a person last said something: after that, doing it again may be what was asked for."""
    since = takewhile(lambda entry: not (isinstance(entry, Told) and entry.rule == "person"), reversed(recent))
    return list(since)[::-1]
