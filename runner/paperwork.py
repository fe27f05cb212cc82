"""What the documents of a stage must contain, and what may not happen to tests. Pure: texts and paths in, faults out.

Every function returns a sentence for the agent that says what is missing, or nothing when all is well.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

DESIGN_HEADINGS = ("Goal", "Approach", "Files to touch", "Risks", "How it will be tested")

_SKIPS = re.compile(
    r"@(?:unittest|pytest\.mark)\.(?:skip|skipIf|skipUnless|skipif|xfail|expectedFailure)\b|\bskipTest\(|\bpytest\.skip\("
    r"|\b(?:it|test|describe)\.skip\(|\bx(?:it|describe)\(|@(?:Disabled|Ignore)\b|\bt\.Skip(?:Now|f)?\(|#\[ignore\]"
)
_TESTS = re.compile(
    r"^\s*(?:async\s+)?def\s+(test\w*)|^\s*func\s+(Test\w+)|\b(?:it|test)\(\s*['\"]([^'\"]+)|#\[test\]\s*\n\s*fn\s+(\w+)",
    re.MULTILINE,
)
_FINDING = re.compile(r"^\s*[-*]\s*\[(high|medium|low)\]\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_ANSWERED = re.compile(r"(?:—|–|--|-|:|;|\.|\))\s*(?:\*\*)?(?:fixed|answered)\b", re.IGNORECASE)


def design(text: str) -> str | None:
    """The design has its five headings, with something under each."""
    sections = _sections(text)
    missing = [name for name in DESIGN_HEADINGS if not sections.get(name.lower(), "").strip()]
    return f"design.md lacks, or leaves empty: {', '.join(missing)}" if missing else None


def _sections(text: str) -> dict[str, str]:
    """Heading in lower case → the text under it, up to the next heading."""
    parts = re.split(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", text, flags=re.MULTILINE)
    return {heading.strip().lower(): body for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


def acceptance(report: str, lines: Iterable[str]) -> str | None:
    """Each acceptance line stands in the test report with something said under or behind it."""
    for line in lines:
        at = _find(report, line)
        if at is None:
            return f"test-report.md does not answer the acceptance line {line!r}: quote it and give its evidence"
        rest = report[at:].split("\n\n#", 1)[0]
        if len(re.sub(r"\W+", "", rest)) < 8:
            return f"test-report.md quotes the acceptance line {line!r} but gives no evidence for it"
    return None


def _find(text: str, line: str) -> int | None:
    """Where `line` ends in `text`, whatever its white space and case."""
    words = [re.escape(word) for word in line.split()]
    found = re.search(r"\s+".join(words), text, re.IGNORECASE) if words else None
    return found.end() if found else None


def review(text: str) -> str | None:
    """Every finding says what became of it; a review without findings says so."""
    findings = _FINDING.findall(text)
    if not findings:
        return (
            None
            if re.search(r"\bno findings\b", text, re.IGNORECASE)
            else ("review.md has no findings: write `- [high|medium|low] finding — fixed: how`, or `No findings.`")
        )
    openly = [finding for _, finding in findings if not _ANSWERED.search(finding)]
    return f"review.md leaves a finding open, say `— fixed: …` or `— answered: …`: {openly[0]}" if openly else None


def summary(text: str) -> tuple[str | None, str | None]:
    """`(fault, result path)`: the summary names its result in a line `Result: <path>`."""
    found = re.search(r"^\W*Result:?\W*?:?\s*`?([^\s`]+)`?", text, re.MULTILINE | re.IGNORECASE)
    if not text.strip():
        return "summary.md is missing or empty", None
    return (None, found[1]) if found else ("summary.md lacks its line `Result: <path>`", None)


def weakened(before: Mapping[str, str], after: Mapping[str, str]) -> str | None:
    """No test of `before` (path → text) is gone or skipped in `after`; a test may move to another file."""
    present = Counter(name for text in after.values() for name in _names(text))
    wanted = Counter(name for text in before.values() for name in _names(text))
    for path, text in before.items():
        gone = [name for name in _names(text) if present[name] < wanted[name]]
        if gone:
            return f"the test {gone[0]} of {path} was deleted: put it back"
        if path not in after and text.strip() and not _names(text) and "test" in path.rpartition("/")[2]:
            return f"the test file {path} was deleted: put it back"
        if len(_SKIPS.findall(after.get(path, ""))) > len(_SKIPS.findall(text)):
            return f"a test in {path} is skipped now that ran before: let it run"
    return None


def _names(text: str) -> list[str]:
    return [name for match in _TESTS.finditer(text) for name in match.groups() if name]
