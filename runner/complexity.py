"""How complex a task is that names no complexity: cheap signals, which also stand in a model's question. Pure.

The weights are judgement: they keep what is short and names its files within reach of a small model, and hand on what
is long, wide or has gone wrong before. A person's own number always counts first.
"""

import json
import re
from collections.abc import Iterable, Sequence

import msgspec

from runner.models import Message, Reply, Request

LOWEST, HIGHEST = 1, 10

# Words of title, description and acceptance: at least so many → what they add.
LENGTH = ((1000, 3), (400, 2), (150, 1), (25, 0), (0, -1))
# Different files that are named.
FILES = ((12, 3), (6, 2), (3, 1), (0, 0))
# Functions and classes that are named.
SYMBOLS = ((12, 2), (5, 1), (0, 0))
# Files of the repository; they count where the task does not say which of them it is about.
REPOSITORY = ((5000, 2), (500, 1), (0, 0))
DEMANDS = ((5, 1), (0, 0))

ALIKE = 0.25
"""The share of words that two tasks have in common (Jaccard) from which on the one tells about the other."""
MOST_ALIKE = 3

REPLY_TOKENS = 200

_FILE = re.compile(r"(?<![\w/.-])(?:[\w.-]+/)*[\w-]+\.[a-z][a-z0-9]{0,4}\b(?!\()")
_SYMBOL = re.compile(r"\b[A-Za-z_]\w*(?:\.\w+)*\(\)|\b[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+\b|\b[a-z]+(?:_[a-z0-9]+)+\b")
_WORD = re.compile(r"\w{4,}")


class Judgement(msgspec.Struct, frozen=True):
    """A complexity from 1 to 10, and in words for the record who or what says so and why."""

    complexity: int
    reason: str


class Past(msgspec.Struct, frozen=True):
    """A task that was worked on: its text, the complexity it had, and how often it was begun anew or handed on."""

    text: str
    complexity: int
    setbacks: int = 0


class Signals(msgspec.Struct, frozen=True):
    """What can be seen of a task without understanding it. `alike`: the complexities that like tasks came to."""

    words: int
    files: tuple[str, ...]
    symbols: int
    repository: int
    demands: int = 0
    alike: tuple[int, ...] = ()

    def __str__(self) -> str:
        like = f"; like tasks were {', '.join(map(str, self.alike))}" if self.alike else ""
        return (
            f"{self.words} words, {len(self.files)} files and {self.symbols} symbols named, {self.demands} demands, "
            f"{self.repository} files in the repository{like}"
        )


def signals(text: str, demands: Sequence[str], paths: Sequence[str], past: Iterable[Past] = ()) -> Signals:
    """What is seen of a task: its `text`, its acceptance list, the `paths` of the repository, tasks of the `past`."""
    whole = "\n".join([text, *demands])
    there = {path for path in paths if not path.startswith("tasks/")}
    names = {path.rpartition("/")[2] for path in there} | there
    found = sorted({name for name in _FILE.findall(whole) if name in names or "/" in name})
    return Signals(
        words=len(whole.split()),
        files=tuple(found),
        symbols=len(set(_SYMBOL.findall(whole))),
        repository=len(there),
        demands=len(demands),
        alike=_alike(whole, past),
    )


def estimate(seen: Signals, usual: int) -> Judgement:
    """The complexity by signals alone. `usual` (policy.default_complexity) is that of a task in which nothing stands
    out; like tasks count for half.
    """
    score: float = usual + sum(
        (
            _step(LENGTH, seen.words),
            _step(FILES, len(seen.files)),
            _step(SYMBOLS, seen.symbols),
            _step(DEMANDS, seen.demands),
            0 if seen.files else _step(REPOSITORY, seen.repository),
        )
    )
    if seen.alike:
        score = (score + sum(seen.alike) / len(seen.alike)) / 2
    number = max(LOWEST, min(HIGHEST, round(score)))
    return Judgement(number, f"the task names none; by signals: {seen}")


def question(prompt: str, text: str, seen: Signals) -> Request:
    """The one short call: `prompt` with the anchors of the scale, the fenced `text` of the task, what is `seen`."""
    schema = {
        "type": "object",
        "properties": {
            "reason": {"type": "string", "maxLength": 200},
            "complexity": {"type": "integer", "minimum": LOWEST, "maximum": HIGHEST},
        },
        "required": ["reason", "complexity"],
        "additionalProperties": False,
    }
    said = f"{text}\n\nSeen from outside: {seen}.\n\nHow complex is this task?"
    messages = (Message("system", prompt), Message("user", said))
    return Request(messages, schema=schema, max_tokens=REPLY_TOKENS, temperature=0.0)


def answered(reply: Reply, name: str, seen: Signals) -> Judgement | None:
    """What the agent `name` said, None where there is no whole number from 1 to 10 in it."""
    found = re.search(r"\{[^{}]*\}", reply.text)
    try:
        said = json.loads(found[0], strict=False) if found else None
    except (ValueError, RecursionError):
        said = None
    number = said.get("complexity") if isinstance(said, dict) else None
    if type(number) is not int or not LOWEST <= number <= HIGHEST:
        return None
    why = " ".join(str(said.get("reason", "")).split())[:200].rstrip(".") if isinstance(said, dict) else ""
    return Judgement(number, f"the task names none; {name} says: {why or 'no reason'} (signals: {seen})")


def _step(steps: Sequence[tuple[int, int]], value: int) -> int:
    return next(added for least, added in steps if value >= least)


def _alike(text: str, past: Iterable[Past]) -> tuple[int, ...]:
    """The complexities of the tasks that share most words, a step higher for one that had setbacks."""
    own = set(_WORD.findall(text.lower()))
    shares = []
    for one in past:
        words = set(_WORD.findall(one.text.lower()))
        share = len(own & words) / max(1, len(own | words))
        if share >= ALIKE:
            shares.append((share, min(HIGHEST, one.complexity + (one.setbacks > 0))))
    return tuple(number for _, number in sorted(shares, reverse=True)[:MOST_ALIKE])
