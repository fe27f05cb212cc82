"""What a task's report says: its record, its history and its agents' documents → Markdown in parts. Pure.

Three kinds of words are kept apart. Ours come first and alone make headings of the first level. Facts that others wrote
stand as one line in cells of tables, where Markdown knows no blocks. Whole documents are parts of their own, with their
headings lowered, so that none of them can pass for the evidence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from runner.lifecycle import STAGES, Stage
from runner.pdf import Document, Images, Part, no_images
from runner.record import Entry, Gate, Record, Update

SUMMARY = "summary.md"
APPENDICES = {"design.md": "Design", "test-report.md": "Test report", "review.md": "Review in full"}
MOST_UPDATES = 200  # in the history; the middle of a longer one is left out


class Completed(NamedTuple):
    """The commit on base that ended a task, and when it was made (ISO 8601)."""

    commit: str
    at: str


class Account(msgspec.Struct, frozen=True):
    """All that a report tells of. `documents`: name → text. `completed` is None for a task on its way."""

    task: str
    record: Record
    updates: tuple[Update, ...]
    documents: Mapping[str, str]
    completed: Completed | None = None
    images: Images = no_images


def compose(account: Account) -> Document:
    """The report, ready to be printed."""
    request = account.record.request
    return Document(
        title=flat(request.title, 200),
        parts=(*_front(account), *_appendices(account)),
        kicker=f"Task report · {account.task}",
        facts=tuple(_facts(account)),
        subject=f"What came of the task {account.task}",
        keywords=(account.task, *sorted({flat(agent, 60) for agent in _agents(account.record)})),
    )


def markdown(document: Document) -> str:
    """The same as one Markdown text, for where there is no PDF. Whole documents of others are quoted, line by line."""
    facts = "\n".join(row(name, value) for name, value in document.facts)
    head = f"# {plain(document.title)}\n\n| | |\n|-|-|\n{facts}"
    return "\n\n".join([head, *(_quoted(part) if part.demote else part.text for part in document.parts)]) + "\n"


def _quoted(part: Part) -> str:
    """Nothing that is left open in a quotation reaches beyond it."""
    return "\n".join(f"> {line}".rstrip() for line in part.text.strip().splitlines())


# --- what is said at a glance ----------------------------------------------------------------------------------------


def _facts(account: Account) -> Iterator[tuple[str, str]]:
    record = account.record
    entries = [entry for _, entry in _entries(record)]
    gates = [gate for entry in entries if entry.state != "closed" for gate in entry.gates]
    yield "Outcome", _outcome(account)
    if record.result_path:
        yield "Result", flat(record.result_path)
    yield "Evidence", f"{sum(gate.passed for gate in gates)} of {len(gates)} gates passed"
    yield "Asked by", f"{flat(record.request.accepted_by)}, in {flat(record.request.source)}"
    yield "Complexity", f"{record.request.complexity} of 10: {flat(record.request.complexity_reason)}"
    yield "Worked on by", ", ".join(_agents(record)) or "nobody yet"
    steps, tokens = sum(entry.steps for entry in entries), sum(entry.tokens for entry in entries)
    spent = length(sum(seconds_between(entry.started, entry.finished) or 0 for entry in entries))
    yield (
        "Effort",
        f"{steps:,} steps, {tokens:,} tokens, {money(sum(entry.cost for entry in entries))}, {spent} of work",
    )


def _outcome(account: Account) -> str:
    if account.completed is not None:
        return f"complete on {moment(account.completed.at)}, commit {account.completed.commit[:12]}"
    done = [stage for stage, entry in account.record.stages.items() if entry.state in ("ready", "done")]
    return f"not complete: {len(done)} of {len(account.record.request.stages)} stages are done"


def _agents(record: Record) -> list[str]:
    """Who worked, with their models, each once and in the order in which they came."""
    return list(dict.fromkeys(f"{flat(one.agent)} ({flat(one.model)})" for _, one in _entries(record)))


def _entries(record: Record) -> list[tuple[Stage, Entry]]:
    """Every attempt at every stage, in the stages' order, earlier attempts first."""
    past = [(one.stage, one.entry) for one in record.attempts]
    return sorted([*past, *record.stages.items()], key=lambda one: (STAGES.index(one[0]), one[1].attempt))


# --- the sections ----------------------------------------------------------------------------------------------------


def _front(account: Account) -> Iterator[Part]:
    record = account.record
    yield Part("# What was done" if SUMMARY in account.documents else "# What was done\n\nThere is no summary yet.")
    if SUMMARY in account.documents:
        yield Part(_path_as_code(_untitled(account.documents[SUMMARY])), demote=1, images=account.images)
    yield Part("# What was asked")
    yield Part(record.request.body or "*The title says it all.*", demote=2)
    yield Part(_asked(record))
    yield Part(_course(record))
    yield Part("\n\n".join(_evidence(record)))
    found = list(findings(account.documents.get("review.md", "")))
    if found:
        yield Part(_table("# Findings of the review", ("Severity", "Finding", "What became of it"), found))
    yield Part(_history(account.updates))


def _asked(record: Record) -> str:
    """What was to be shown, what had to come first, and that the text is the one which was accepted."""
    request = record.request
    lines = [("", f"{number}.", line) for number, line in enumerate(request.acceptance, 1)]
    parts = [_table("", ("", "What must hold"), [row[1:] for row in lines])] if lines else []
    if request.depends_on:
        parts.append(f"It builds on {', '.join(plain(name) for name in request.depends_on)}.")
    parts.append(f"This text was frozen when work began; its SHA-256 is {plain(request.sha256)}.")
    return "\n\n".join(parts)


def _course(record: Record) -> str:
    rows = [
        (
            stage if one.attempt == 1 else f"{stage}, attempt {one.attempt}",
            f"{one.agent} ({one.model})",
            moment(one.started),
            one.state if (took := seconds_between(one.started, one.finished)) is None else length(took),
            f"{one.steps:,}",
            f"{one.tokens:,}",
            money(one.cost),
        )
        for stage, one in _entries(record)
    ]
    heads = ("Stage", "Agent", "Began", "Took", "Steps", "Tokens", "Cost")
    skipped = ", ".join(record.skipped)
    return _table("# How it went", heads, rows, "llllrrr") + (
        f"\n\nPassed over by a person: {skipped}." if skipped else ""
    )


def _evidence(record: Record) -> Iterator[str]:
    """Each gate of each stage, as the runner saw it."""
    yield "# Evidence"
    yield (
        "A stage is proposed only when its gates have passed. The runner itself looks, on a fresh checkout in a "
        "sandbox; what an agent says about its work counts for nothing here."
    )
    rows = [
        (stage if number == 0 else "", *_gate(gate))
        for stage, entry in _entries(record)
        if entry.state != "closed"
        for number, gate in enumerate(entry.gates)
    ]
    yield _table("", ("Stage", "Gate", "What was run or read", "Outcome"), rows) if rows else "No gate has run yet."


def _gate(gate: Gate) -> tuple[str, str, str]:
    seconds = f", {gate.seconds:.1f} s" if gate.seconds >= 0.05 else ""
    if gate.passed:
        return gate.name, gate.command, f"✓ passed{seconds}"
    return gate.name, gate.command, f"× {'did not end' if gate.exit is None else f'exit {gate.exit}'}{seconds}"


_FINDING = re.compile(r"[ \t]*[-*+][ \t]+\W{0,3}\[(\w{2,10})\]\W{0,3}[ \t](.+)")
_ANSWER = re.compile(r"[ \t]*(?:[—–]|--?|[;:.])[ \t]+\W{0,3}(fixed|answered)\b[:\s]*(.*)", re.IGNORECASE)


def findings(review: str) -> Iterator[tuple[str, str, str]]:
    """Severity, finding and answer of each item that begins with a severity in brackets. Pure.

    Only to show them in a table: whether all are answered is for the gate, and the review stands in full behind.
    """
    for item in _items(review):
        match = _FINDING.match(item)
        if match is None:
            continue
        answer = _ANSWER.search(match[2])
        text = match[2][: answer.start()] if answer else match[2]
        yield match[1].lower(), text, f"{answer[1].lower()}: {answer[2]}" if answer else ""


def _items(text: str) -> Iterator[str]:
    """Items of lists in one line each, with the lines that go on below them."""
    item: list[str] = []
    for line in [*text.splitlines(), ""]:
        if item and (not line.strip() or re.match(r"[ \t]*[-*+#]", line)):
            yield " ".join(item)
            item = []
        if item or re.match(r"[ \t]*[-*+][ \t]", line):
            item.append(line.strip() if item else line)


def _history(updates: tuple[Update, ...]) -> str:
    rows = [(moment(one.timestamp), one.actor or one.agent or "Pullwright", one.content) for one in updates]
    if len(rows) > MOST_UPDATES:
        half = MOST_UPDATES // 2
        rows = [*rows[:half], ("…", "", f"{len(rows) - 2 * half:,} entries are left out here"), *rows[-half:]]
    return _table("# History", ("When", "Who", "What"), rows)


def _appendices(account: Account) -> Iterator[Part]:
    """The agents' documents as they wrote them."""
    for name, title in APPENDICES.items():
        if account.documents.get(name, "").strip():
            yield Part(f"# {title}\n\n*The file {plain(name)}, as its agent wrote it.*", new_page=True)
            yield Part(_untitled(account.documents[name]), demote=1, images=account.images)


def _untitled(document: str) -> str:
    """A document without the title in its first line, where the report has one of its own."""
    return re.sub(r"\A\s*# .*\n", "", document, count=1)


def _path_as_code(summary: str) -> str:
    """A summary whose line `Result: <path>` names it as it is: underscores in paths are no emphasis."""
    return re.sub(r"(?m)^(Result:[ \t]*)([^\s`*<\[(]+)[ \t]*$", r"\1`\2`", summary)


# --- words -----------------------------------------------------------------------------------------------------------


def _table(heading: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]], sides: str = "") -> str:
    """A Markdown table; `sides` has a letter for each column, `r` for numbers."""
    line = "|".join("--:" if side == "r" else ":--" for side in sides or "l" * len(head))
    return "\n".join([heading, "", row(*head), f"|{line}|", *(row(*cells) for cells in rows)]).strip()


def flat(text: str, width: int = 200) -> str:
    """`text` as one line of at most `width` characters; what steers or does not show becomes a space."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def row(*cells: str) -> str:
    """One row of a Markdown table: whatever the cells hold, they neither end the row nor another cell."""
    return "| " + " | ".join(flat(cell, 600).replace("|", r"\|") for cell in cells) + " |"


def plain(text: str) -> str:
    """Somebody's words in the middle of a line of ours, without any markup."""
    return re.sub(r"([\\`*_\[\]<>&|~!#])", r"\\\1", flat(text, 500))


def money(dollars: float) -> str:
    """US dollars; small sums with more digits."""
    return f"${dollars:.2f}" if dollars == 0 or dollars >= 0.1 else f"${dollars:.4f}"


def moment(timestamp: str) -> str:
    """A record's time as one reads it: `2026-11-23 03:16 UTC`; what is no time is shown as it is."""
    try:
        return datetime.fromisoformat(timestamp).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return flat(timestamp, 40)


def seconds_between(started: str, finished: str | None) -> int | None:
    """How long it took; None where a time is missing or is none."""
    try:
        took = datetime.fromisoformat(finished or "") - datetime.fromisoformat(started)
    except (ValueError, TypeError):
        return None
    return max(0, int(took.total_seconds()))


def length(seconds: int) -> str:
    """A length of time: `45 s`, `2 min 5 s`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
