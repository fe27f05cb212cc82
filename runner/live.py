"""Each step of a run as one JSON line on this host, for whoever watches: the terminal, the service.

`<state>/live/<task>.jsonl`; nothing is ever read back by the runner itself.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from runner.lease import Lease
from runner.models import ToolCall
from runner.trajectory import Ended, Entry, Ran, Replied, Started, Told
from runner.wording import one_line

EXCERPT = 400  # characters of an observation


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the live log."""

    at: str
    task: str
    stage: str
    attempt: int
    agent: str
    kind: str
    text: str = ""
    tool: str = ""
    exit: int | None = None
    steps: int = 0
    progress: int = 0


def path_of(state: Path, task: str) -> Path:
    """Where a task's live lines lie."""
    return state / "live" / f"{task}.jsonl"


def watcher(lease: Lease) -> Callable[[Entry], None]:
    """What a trajectory tells of each entry: a line on disk, and a sentence to whoever runs."""
    path = path_of(lease.host.state, lease.ref.task)
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = [lease.entry.steps]

    def watch(entry: Entry) -> None:
        steps[0] += isinstance(entry, Replied) and not entry.body
        step = _step(lease, entry, steps[0])
        with path.open("ab") as file:
            file.write(msgspec.json.encode(step) + b"\n")
        sentence = _sentence(step)
        if sentence:
            lease.host.say(f"{step.task}  {step.stage}  {sentence}")

    return watch


def _step(lease: Lease, entry: Entry, steps: int) -> Step:
    step = Step(
        at=lease.host.timestamp(),
        task=lease.ref.task,
        stage=lease.ref.stage,
        attempt=lease.ref.attempt,
        agent=lease.agent.name,
        kind=_KINDS[type(entry)],
        steps=steps,
        progress=lease.entry.progress,
    )
    match entry:
        case Replied(reply):
            return msgspec.structs.replace(step, text=reply.text[:EXCERPT])
        case Ran(call, _, text):
            tool = f"{call.name} {one_line(_shown(call), 90)}".strip()
            return msgspec.structs.replace(step, tool=tool, text=text[-EXCERPT:], exit=entry.exit)
        case Told(text):
            return msgspec.structs.replace(step, text=text[:EXCERPT])
        case Ended(outcome, detail):
            return msgspec.structs.replace(step, text=f"{outcome}: {detail}"[:EXCERPT])
        case Started():
            return step


def _shown(call: ToolCall) -> str:
    """What a person wants to see of a call: of a file that is written, its name."""
    if call.name in ("write", "edit") and "path" in call.arguments:
        return str(call.arguments["path"])
    return " ".join(str(value) for value in call.arguments.values())


_KINDS: dict[type, str] = {Started: "start", Replied: "reply", Ran: "result", Told: "told", Ended: "end"}


def _sentence(step: Step) -> str:
    """A step as one plain line, or nothing where it says nothing to a person."""
    if step.kind == "result":
        ending = "" if step.exit is None else f" → exit {step.exit}"
        return f"{step.agent}  step {step.steps}  {step.tool}{ending}"
    if step.kind == "told":
        return f"{step.agent}  told: {one_line(step.text, 100)}"
    return ""
