"""What the documents of a stage must contain. Pure: texts in, faults out.

Every function returns a sentence for the agent that says what is missing, or nothing when all is well. The expressions
are linear in the text, which an agent wrote.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

DESIGN_HEADINGS = ("Goal", "Approach", "Files to touch", "Risks", "How it will be tested")
DOCUMENT_CAP = 1 << 20  # bytes; people are to read it

_HEADING = re.compile(r"#{1,6}[ \t]+(\S.*)")
_ITEM = re.compile(
    r"[ \t]*(?:[-*+]|\d{1,3}[.)]|#{1,6})[ \t]+\W{0,4}[\[(*]\W{0,3}([a-z]+)\W{0,3}[\])*:](.*)", re.IGNORECASE
)
_SEVERITIES = ("blocker", "critical", "high", "major", "medium", "minor", "low", "info", "nit")
_ANSWER = re.compile(
    r"(?:[—–][ \t]*|[-:;.)][ \t]+|^)\W{0,3}(?:fixed|answered)\b(.*)", re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_NONE = re.compile(r"^[^\w\n]{0,9}no findings\b", re.IGNORECASE | re.MULTILINE)
_RESULT = re.compile(r"\W{0,9}result\W{0,9}?:\W{0,9}?[ \t]*`?([^\s`*]+)", re.IGNORECASE)
_LABEL = re.compile(r"^\W*\w+:\W*$", re.MULTILINE)


def design(text: str) -> str | None:
    """The design has its five headings, with something under each."""
    sections = dict(_sections(text))
    missing = [name for name in DESIGN_HEADINGS if not re.search(r"\w", sections.get(name.lower(), ""))]
    return f"design.md lacks, or leaves empty: {', '.join(missing)}" if missing else None


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Heading in lower case and the text under it, up to the next heading."""
    heading, body = "", list[str]()
    for line in text.splitlines():
        found = _HEADING.match(line)
        if found:
            yield heading, "\n".join(body)
            heading, body = found[1].strip(" \t#*:").lower(), []
        else:
            body.append(line)
    yield heading, "\n".join(body)


class _Span(NamedTuple):
    """Where an acceptance line stands in a report."""

    start: int
    end: int
    line: str


def acceptance(report: str, lines: Iterable[str]) -> str | None:
    """Each acceptance line stands in the test report with evidence under or behind it, up to the next one."""
    wanted = [line for line in lines if line.strip()]
    spans = sorted(_spans(report, wanted))
    for line in wanted:
        own = [at for at, span in enumerate(spans) if span.line == line]
        if not own:
            return f"test-report.md does not answer the acceptance line {line!r}: quote it and give its evidence"
        if not any(_says_something(_behind(report, spans, at)) for at in own):
            return f"test-report.md quotes the acceptance line {line!r} but gives no evidence for it"
    return None


def _spans(report: str, lines: list[str]) -> list[_Span]:
    """Where the lines stand, whatever their white space and case. Within a longer line no shorter one counts."""
    found: list[_Span] = []
    taken = bytearray(len(report))
    for line in sorted(set(lines), key=len, reverse=True):
        words = r"\s+".join(re.escape(word) for word in line.split())
        for match in re.finditer(rf"(?<!\w){words}(?!\w)", report, re.IGNORECASE):
            start, end = match.span()
            if not taken[start]:
                found.append(_Span(start, end, line))
                taken[start:end] = b"x" * (end - start)
    return found


def _behind(report: str, spans: list[_Span], at: int) -> str:
    """What stands behind a line: up to the next acceptance line, or the next heading."""
    end = spans[at + 1].start if at + 1 < len(spans) else len(report)
    return re.split(r"\n#", report[spans[at].end : end], maxsplit=1)[0]


def _says_something(text: str) -> bool:
    """Three words at least, of which labels with nothing behind them (`Command:`) are none."""
    return len(re.findall(r"\w+", _LABEL.sub("", text))) >= 3


def review(text: str) -> str | None:
    """Every finding says what became of it; a review without findings says so."""
    findings = list(_findings(text))
    if not findings:
        if _NONE.search(text):
            return None
        return "review.md has no findings: write `- [high|medium|low] finding — fixed: how`, or `No findings.`"
    openly = [finding for finding in findings if not _answered(finding)]
    if openly:
        return f"review.md leaves a finding open, say `— fixed: how` or `— answered: why`: {openly[0].splitlines()[0]}"
    return None


def _findings(text: str) -> Iterator[str]:
    """Each item that begins with a severity in brackets, with the lines that belong to it."""
    lines: list[str] | None = None
    for line in [*text.splitlines(), "#"]:
        found = _ITEM.match(line)
        severe = found is not None and found[1].lower() in _SEVERITIES
        if lines is not None and (found or not line.strip() or line.startswith("#")):
            yield "\n".join(lines)
            lines = None
        if severe and found is not None:
            lines = [found[2].strip()]
        elif lines is not None:
            lines.append(line.strip())


def _answered(finding: str) -> bool:
    """`fixed` or `answered` stands in it as a word of its own, and something behind it."""
    return any(re.search(r"\w{2,}", match[1]) for match in _ANSWER.finditer(finding))


def summary(text: str) -> tuple[str | None, str | None]:
    """`(fault, result path)`: the summary names its result in a line `Result: <path>`.

    The path is as in the repository, or begins with `output/`; a workspace's own places before it are left out.
    """
    if not text.strip():
        return "summary.md is empty", None
    for line in text.splitlines():
        found = _RESULT.match(line)
        if found:
            return None, _plain(found[1])
    return "summary.md lacks its line `Result: <path>`", None


def _plain(path: str) -> str:
    bare = path.lstrip("<[(\"'").rstrip(">])\"',;.")
    for prefix in ("/workspace/src/", "/workspace/", "./"):
        bare = bare.removeprefix(prefix)
    return bare
