"""What may not happen to tests: to go, to be skipped, to be emptied. Pure: texts in, a sentence for the agent out.

Reading alone cannot show everything (a file renamed so that nobody runs it); what ran is counted as well (`tally`).
The expressions are linear in the text, which an agent wrote: none repeats what may span lines.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

_SKIPS = re.compile(
    r"@(?:\w+\.)*(?:skip|skipIf|skipUnless|skipif|xfail|expectedFailure)\b|\bpytest\.mark\.(?:skip|skipif|xfail)\b"
    r"|\b(?:skipTest|SkipTest|importorskip|collect_ignore|collect_ignore_glob)\b|\bpytest\.(?:skip|xfail)\("
    r"|\b__test__ *= *False\b|\b(?:it|test|describe)\.(?:skip|todo)\b|\bx(?:it|test|describe)\("
    r"|@(?:Disabled|Ignore)\b|\bt\.Skip(?:Now|f)?\(|#\[ignore\b"
)
_NAMED = re.compile(
    r"^[ \t]*func (Test\w+)|\b(?:it|test)(?:\.\w+)?\( *['\"`]([^'\"`\n]+)"
    r"|^[ \t]*#\[(?:\w+::)?test\b.*\n(?:[ \t]*#\[.*\n){0,9}[ \t]*(?:pub )?(?:async )?fn (\w+)",
    re.MULTILINE,
)
_DEF = re.compile(r"(?:async +)?def +(test\w*)")
_NOTHING = re.compile(r"pass|\.\.\.|return(?: None| True)?|assert True|self\.assertTrue\(True\)|#.*")


class Unit(NamedTuple):
    """One Python test: its name, and the lines that are its own, decorators first and then the body."""

    name: str
    above: tuple[str, ...]
    body: tuple[str, ...]

    @property
    def skipped(self) -> bool:
        """It has a word that keeps it from running."""
        return any(_SKIPS.search(line) for line in (*self.above, *self.body))

    @property
    def empty(self) -> bool:
        """There is nothing in it that could fail."""
        code = re.sub(r'"""(?:[^"]|"(?!""))*"""', "", "\n".join(self.body))
        return all(_NOTHING.fullmatch(line.strip()) for line in code.splitlines() if line.strip())


_IDLE: tuple[tuple[str, Callable[[Unit], bool]], ...] = (
    ("skipped", lambda unit: unit.skipped),
    ("emptied", lambda unit: unit.empty),
)


def weakened(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """No test of `before` (path → text) is gone, skipped or emptied in `after`; a test may move to another file."""
    return _gone(before, after) or _idle(before, after) or _more_skips(before, after)


def _gone(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    present = Counter(name for text in after.values() for name in names(text))
    wanted = Counter(name for text in before.values() for name in names(text))
    for path, text in before.items():
        found = list(names(text))
        gone = [name for name in found if present[name] < wanted[name]]
        if gone:
            return f"the test {gone[0]} of {path} was deleted: put it back"
        if path not in after and text.strip() and not found and "test" in path.rpartition("/")[2]:
            return f"the test file {path} was deleted: put it back"
    return None


def _idle(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """A test that ran before and now does nothing; of several with one name, as many must run as did."""
    now = [unit for text in after.values() for unit in units(text)]
    for word, idle in _IDLE:
        running = Counter(unit.name for unit in now if not idle(unit))
        wanted = Counter(unit.name for text in before.values() for unit in units(text) if not idle(unit))
        for path, text in before.items():
            for unit in units(text):
                if running[unit.name] < wanted[unit.name]:
                    return f"the test {unit.name} of {path} was {word}: let it run as before"
    return None


def _more_skips(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """Whole files and other languages: no more words that skip than there were, but in tests that are new."""
    known = {name for text in before.values() for name in names(text)}
    for path, text in before.items():
        if _skips(after.get(path, ""), known) > _skips(text, known):
            return f"a test in {path} is skipped now that ran before: let it run"
    return None


def _skips(text: str, known: set[str]) -> int:
    new = sum(len(_SKIPS.findall("\n".join(u.above + u.body))) for u in units(text) if u.name not in known)
    return len(_SKIPS.findall(text)) - new


def names(text: str) -> Iterator[str]:
    """The names of the tests in a file, in whatever language."""
    yield from (unit.name for unit in units(text))
    yield from (name for match in _NAMED.finditer(text) for name in match.groups() if name)


def units(text: str) -> Iterator[Unit]:
    """The Python tests in a file. A function within a test is a part of it and no test."""
    lines = text.splitlines()
    end = 0
    for at, line in enumerate(lines):
        found = _DEF.match(line.lstrip(" \t"))
        if found and at >= end:
            end = _end(lines, at)
            yield Unit(found[1], _above(lines, at), _body(lines, at, end))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _above(lines: list[str], at: int) -> tuple[str, ...]:
    """The decorators over a line, which may go over several lines."""
    depth, first, here = _indent(lines[at]), at, at
    while here > 0 and at - here < 40:
        here -= 1
        line = lines[here]
        if _indent(line) == depth and line.lstrip().startswith("@"):
            first = here
        elif not line.strip() or (_indent(line) <= depth and line.strip()[0] not in ")]}"):
            break
    return tuple(lines[first:at])


def _end(lines: list[str], at: int) -> int:
    """The first line after the block that a `def` opens."""
    depth, end = _indent(lines[at]), at + 1
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > depth):
        end += 1
    return end


def _body(lines: list[str], at: int, end: int) -> tuple[str, ...]:
    """The lines under a `def`, and what stands behind its colon."""
    first = lines[at].rpartition(":")[2] if not lines[at].rstrip().endswith(":") else ""
    return (first, *lines[at + 1 : end])
