"""Each step of a run as one JSON line on this host, for whoever watches: the terminal, the service.

`<state>/live/<task>.jsonl`. A run reads no more of it back than the last line, so that its counts go on after a crash.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from runner.claims.lease import TRAJECTORY, Lease, trajectory_name
from runner.errors import UserError
from runner.lifecycle import StageRef
from runner.loop.trajectory import Ended, Entry, Ran, Replied, Started, Told, entries
from runner.models import ToolCall
from runner.wording import one_line

EXCERPT = 400  # characters of an observation
TAIL = 8192  # bytes at the end of a file that hold its last line


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the live log. `steps`, `tokens` and `cost` (US dollars) are what the attempt has used so far."""

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
    tokens: int = 0
    cost: float = 0.0


def path_of(state: Path, task: str) -> Path:
    """Where a task's live lines lie."""
    return state / "live" / f"{task}.jsonl"


def watcher(lease: Lease) -> Callable[[Entry], None]:
    """What a trajectory tells of each entry: a line on disk, and a sentence to whoever runs."""
    path = path_of(lease.host.state, lease.ref.task)
    make_ready(path)
    last = [_before(path, lease)]

    def watch(entry: Entry) -> None:
        last[0] = step = counted(_step(lease, entry), last[0], entry)
        with path.open("ab") as file:
            file.write(msgspec.json.encode(step) + b"\n")
        sentence = sentence_of(step)
        if sentence:
            lease.host.say(f"{step.task}  {step.stage}  {sentence}")

    return watch


def make_ready(path: Path) -> None:
    """See to it that a line can be appended: one that a crash or a full disk cut short is ended first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(max(0, file.tell() - 1))
        if file.read() not in (b"", b"\n"):
            file.write(b"\n")


def read(data: bytes) -> list[Step]:
    """The steps in whole lines of a live log; a line that is none (cut short by a crash) is passed over. Pure."""
    found = []
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            found.append(msgspec.json.decode(line, type=Step))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found


def _before(path: Path, lease: Lease) -> Step:
    """What the attempt had used when this run began: as the branch says, or as this host saw it, which is later."""
    entry, ref = lease.entry, lease.ref
    pushed = Step("", ref.task, ref.stage, ref.attempt, lease.agent.name, "", steps=entry.steps, tokens=entry.tokens)
    pushed = msgspec.structs.replace(pushed, cost=entry.cost)
    if not path.exists():
        return pushed
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        seen = read(file.read())
    last = seen[-1] if seen else pushed
    same = (last.stage, last.attempt) == (ref.stage, ref.attempt)
    return last if same and last.steps >= pushed.steps else pushed


def counted(step: Step, before: Step, entry: Entry) -> Step:
    """`step` with what was used up to `before` and for `entry`. Pure."""
    steps, tokens, cost = before.steps, before.tokens, before.cost
    if isinstance(entry, Replied):
        steps += not entry.body
        tokens += entry.reply.prompt_tokens + entry.reply.completion_tokens
        cost += entry.reply.cost
    return msgspec.structs.replace(step, steps=steps, tokens=tokens, cost=round(cost, 6))


def _step(lease: Lease, entry: Entry) -> Step:
    step = Step(
        at=lease.host.timestamp(),
        task=lease.ref.task,
        stage=lease.ref.stage,
        attempt=lease.ref.attempt,
        agent=lease.agent.name,
        kind="",
        progress=lease.entry.progress,
    )
    return told_by(entry, step)


def told_by(entry: Entry, step: Step) -> Step:
    """`step` with what a trajectory's entry tells. Pure."""
    step = msgspec.structs.replace(step, kind=_KINDS[type(entry)])
    match entry:
        case Replied(reply):
            tool = _words(reply.calls[0]) if reply.calls else ""
            return msgspec.structs.replace(step, tool=tool, text=reply.text[:EXCERPT])
        case Ran(call, _, text):
            return msgspec.structs.replace(step, tool=_words(call), text=text[-EXCERPT:], exit=entry.exit)
        case Told(text):
            return msgspec.structs.replace(step, text=text[:EXCERPT])
        case Ended(outcome, detail):
            return msgspec.structs.replace(step, text=f"{outcome}: {detail}"[:EXCERPT])
        case Started():
            return step


def _words(call: ToolCall) -> str:
    return f"{call.name} {one_line(_shown(call), 90)}".strip()


def _shown(call: ToolCall) -> str:
    """What a person wants to see of a call: of a file that is written, its name."""
    if call.name in ("write", "edit") and "path" in call.arguments:
        return str(call.arguments["path"])
    return " ".join(str(value) for value in call.arguments.values())


_KINDS: dict[type, str] = {Started: "start", Replied: "reply", Ran: "result", Told: "told", Ended: "end"}


def sentence_of(step: Step) -> str:
    """A step as one plain line, or nothing where it says nothing to a person."""
    if step.kind == "result":
        ending = "" if step.exit is None else f" → exit {step.exit}"
        return f"{step.agent}  step {step.steps}  {step.tool}{ending}"
    if step.kind == "told":
        return f"{step.agent}  told: {one_line(step.text, 100)}"
    return ""


def snapshot(state: Path, ref: StageRef) -> str | None:
    """The tree that the workspace of an attempt held after its last step on this host."""
    path = state / trajectory_name(ref) / TRAJECTORY
    try:
        found = [each.snapshot for each in entries(path.read_bytes(), path.name) if isinstance(each, Ran)]
    except (OSError, UserError, msgspec.MsgspecError):
        return None
    return next((each for each in reversed(found) if each), None)
