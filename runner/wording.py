"""Every sentence that a person will read in a commit, a proposal, a history or a hold. Pure.

Text that agents or strangers wrote is quoted as one line, so that it can neither forge a trailer nor start a paragraph.
"""

import re

from runner.git import Identity
from runner.lifecycle import StageRef
from runner.record import Entry, Gate


def one_line(text: str, width: int = 200) -> str:
    """`text` as one line of at most `width` characters; control characters become spaces, and it is `inert`."""
    flat = inert(" ".join("".join(char if char.isprintable() else " " for char in text).split()))
    return flat if len(flat) <= width else flat[: width - 1] + "…"


_MENTION = re.compile(r"(?<![\w.+-])@(?=[A-Za-z0-9])")
_CLOSING = re.compile(r"\b(clos(?:e[sd]?)|fix(?:e[sd])?|resolve[sd]?)(:?)\s+(?=https?://|[\w.-]+/[\w.-]+#|#|GH-)", re.I)
_NUMBER = re.compile(r"(#|\bGH-)(?=[0-9])", re.I)
_COMMAND = re.compile(r"(?<!\S)/(?=pullwright\b)", re.I)


def inert(text: str) -> str:
    """`text` that neither mentions anybody, nor closes or links an issue, nor commands us or a log: also in a
    commit message, where GitHub looks for all of that when it comes to the default branch."""
    text = _CLOSING.sub(r"\1\2 – ", text).replace("##[", "## [")
    return _COMMAND.sub("/ ", _NUMBER.sub(r"\1 ", _MENTION.sub("@ ", text)))


def agent_identity(name: str) -> Identity:
    """How an agent signs its commits."""
    return Identity(f"{name} (agent)", f"{name}@agents.pullwright.invalid")


def claim(ref: StageRef, title: str, entry: Entry, *, why: str = "") -> str:
    """The message of a claim commit."""
    verb = "takes" if not why else "goes on with"
    lines = [f"{ref.task}: {entry.agent} {verb} {ref.stage}", "", one_line(title)]
    if why:
        lines += ["", one_line(why)]
    return "\n".join([*lines, "", *trailers(ref, entry)]) + "\n"


def checkpoint(ref: StageRef, entry: Entry) -> str:
    """The message of a commit on the way."""
    return "\n".join([f"{ref.task}: {ref.stage} on its way, {entry.progress} %", "", *trailers(ref, entry)]) + "\n"


def work(ref: StageRef, entry: Entry, summary: str) -> str:
    """The message of the commit that the gates see."""
    return "\n".join([f"{ref.task}: {ref.stage}", "", one_line(summary, 500), "", *trailers(ref, entry)]) + "\n"


def ready(ref: StageRef, entry: Entry) -> str:
    """The message of the commit that makes a stage a proposal."""
    lines = [f"{ref.task}: {ref.stage} is ready", "", *(gate_line(gate) for gate in entry.gates)]
    lines += ["", f"Commands ran in: {one_line(entry.sandbox)}"] if entry.sandbox else []
    return "\n".join([*lines, "", *trailers(ref, entry)]) + "\n"


def held(ref: StageRef, entry: Entry) -> str:
    """The message of the commit that holds a stage."""
    reason = one_line(entry.hold.reason if entry.hold else "")
    return "\n".join([f"{ref.task}: {ref.stage} is held", "", reason, "", *trailers(ref, entry)]) + "\n"


def closed(ref: StageRef) -> str:
    """The message of the commit that closes an attempt."""
    return f"{ref.task}: attempt {ref.attempt} at {ref.stage} is closed\n"


def merge(ref: StageRef, title: str, target: str, entry: Entry, *, by_policy: bool) -> str:
    """The message of a merge."""
    who = "Merged as the policy says." if by_policy else "Approved."
    lines = [f"Merge {ref.stage} of {ref.task} into {target}", "", one_line(title), "", who]
    return "\n".join([*lines, "", *(gate_line(gate) for gate in entry.gates), "", *trailers(ref, entry)]) + "\n"


def gate_line(gate: Gate) -> str:
    """A gate as one reads it: `passed  checks: pytest -q (exit 0, 1.2 s)`."""
    verdict = "passed" if gate.passed else "failed"
    ending = "did not end" if gate.exit is None else f"exit {gate.exit}"
    return f"{verdict}  {gate.name}: {one_line(gate.command, 120)} ({ending}, {gate.seconds:.1f} s)"


def trailers(ref: StageRef, entry: Entry) -> list[str]:
    """What a commit or proposal says of itself to machines, a line each."""
    return [
        f"Pullwright-Task: {ref.task}",
        f"Pullwright-Stage: {ref.stage}.{ref.attempt}",
        f"Pullwright-Agent: {entry.agent} ({one_line(entry.model, 80)})",
        f"Pullwright-Claim: {entry.claim}",
    ]


def proposal_title(ref: StageRef, title: str) -> str:
    """The title of a proposal."""
    return f"{ref.stage}: {one_line(title, 120)}"


def readme(task: str, title: str, folder: str) -> str:
    """The README of a workspace."""
    return f"""# {one_line(title)}

- `src/`: the repository; change files here. `src/{folder}/` holds the documents of this task.
- `output/`: results that are not code. `research/`: notes and sources. Both become part of the proposal.
- `venv/`: a Python environment, first in PATH. `global/`: tools and references, read-only.

People: an agent writes here, and Git, Python or an editor would do what it left. Look at the branch instead.
"""
