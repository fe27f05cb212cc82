"""How many tests a check's output says have passed and failed. Pure: text in, numbers out.

Read are the closing lines of pytest (and what writes the same words, as Vitest and Jest do), unittest and cargo.
"""

import re
from typing import NamedTuple

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_COUNTED = re.compile(r"(\d+) (passed|failed|errors?)\b")
_CLOSING = re.compile(
    r"^(?:[= ]*|(?:Tests:?|test result: \w+\.) +)\d+ (?:passed|failed|errors?|skipped|no tests)\b.*$", re.M
)
_RAN = re.compile(r"^Ran (\d+) tests? in ", re.M)
_VERDICT = re.compile(r"^(?:OK|FAILED)(?: \((.*)\))?$", re.M)
_NOT_PASSED = re.compile(r"(failures|errors|skipped|expected failures|unexpected successes)=(\d+)")


class Tally(NamedTuple):
    """What a check counted."""

    passed: int
    failed: int


def tally(output: str) -> Tally | None:
    """What the output says; None where it says nothing that can be read."""
    text = _COLOUR.sub("", output)
    lines: list[str] = _CLOSING.findall(text)
    if lines:
        cargo = [line for line in lines if line.startswith("test result:")]  # one for each crate
        counted = [_words(line) for line in (cargo or lines[-1:])]
        return Tally(sum(one.passed for one in counted), sum(one.failed for one in counted))
    return _unittest(text)


def _words(line: str) -> Tally:
    numbers = {"passed": 0, "failed": 0}
    for number, word in _COUNTED.findall(line):
        numbers["passed" if word == "passed" else "failed"] += int(number)
    return Tally(**numbers)


def _unittest(text: str) -> Tally | None:
    ran = list(_RAN.finditer(text))
    if not ran:
        return None
    verdict = _VERDICT.search(text, ran[-1].end())
    counts = dict.fromkeys(("failures", "errors", "skipped", "expected failures", "unexpected successes"), 0)
    for name, number in _NOT_PASSED.findall((verdict[1] if verdict else "") or ""):
        counts[name] = int(number)
    bad = counts["failures"] + counts["errors"] + counts["unexpected successes"]
    return Tally(max(0, int(ran[-1][1]) - bad - counts["skipped"] - counts["expected failures"]), bad)
