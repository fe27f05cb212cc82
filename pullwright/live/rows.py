"""What the live view shows of each task, as values. Pure: a look at the hub and live lines in, rows out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pullwright import standing
from runner.host import Hub, timestamp
from runner.live import Step as LiveStep
from runner.live import sentence_of
from runner.planning import Step
from runner.record import Entry
from runner.spending import spent
from runner.state import TaskState
from runner.wording import one_line


class Row(NamedTuple):
    """A task as it is watched. Steps, progress and `agent` are the open stage's; tokens, cost (US dollars), seconds
    are all its stages'. `now` is what happens or why nothing does, `ways` is what a person can do about that; `exit`
    is the last command's, `host` where the work is done if not here, `asks` the agent's question."""

    task: str
    mark: standing.Turn
    stage: str = ""
    agent: str = ""
    step: int = 0
    progress: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: int = 0
    now: str = ""
    exit: int | None = None
    doing: str = ""
    ways: tuple[str, ...] = ()
    host: str = ""
    asks: str = ""
    paused: bool = False


def row(step: Step, lines: Sequence[LiveStep], at: datetime, hub: Hub, base: str) -> Row:
    """A task's row at the moment `at`. `lines` are the live lines of its open stage, oldest first."""
    state, said, turn = step.state, standing.words(step, hub, base), standing.turn(step)
    _, tokens, cost, _ = spent(state)
    opened = state.open
    entry = opened.entry if opened else None
    shown = Row(
        state.task.id,
        turn,
        stage=str(state.current or ""),
        agent=entry.agent if entry else "",
        step=entry.steps if entry else 0,
        progress=state.progress,
        tokens=tokens,
        cost=cost,
        seconds=seconds(state, at if turn == "work" or not lines else moment(lines[-1].at or timestamp(at))),
        now=said.reason,
        ways=said.ways,
        asks=question(entry),
        paused=state.standing.paused,
    )
    if opened is None or opened.entry.state != "working":
        return shown
    if shown.mark == "work":
        shown = shown._replace(now="", host="" if opened.mine else opened.entry.host)
    here = [line for line in lines if (line.stage, line.attempt) == (opened.ref.stage, opened.ref.attempt)]
    return at_work(shown, opened.entry, here, at) if here else shown


def question(entry: Entry | None) -> str:
    """What the agent asks, or nothing."""
    hold = entry.hold if entry is not None and entry.state == "held" else None
    return hold.reason.removeprefix("needs input: ") if hold is not None and hold.kind == "input" else ""


def at_work(shown: Row, entry: Entry, lines: Sequence[LiveStep], at: datetime) -> Row:
    """`shown` with what the live lines know better than the last push."""
    last = lines[-1]
    command = next((line for line in reversed(lines) if line.tool), None)
    shown = shown._replace(
        agent=last.agent,
        step=max(entry.steps, last.steps),
        progress=max(entry.progress, last.progress),
        tokens=shown.tokens + max(0, last.tokens - entry.tokens),
        cost=shown.cost + max(0.0, last.cost - entry.cost),
    )
    if shown.mark != "work":
        return shown
    return shown._replace(
        now=command.tool if command else "",
        exit=command.exit if command else None,
        doing=doing(last, at) if not shown.host else "",
    )


def doing(last: LiveStep, at: datetime) -> str:
    """What follows the last line: the model thinks about a result, its answer is carried out, its work is judged."""
    words = {"reply": "running", "end": "at the gates"}.get(last.kind, "thinking")
    passed = int((at - moment(last.at)).total_seconds()) if last.at else 0
    return f"{words} {clock(passed)}" if passed >= 2 else words


def seconds(state: TaskState, at: datetime) -> int:
    """How long agents and gates have been at it: every attempt from its start to its end, or until now."""
    record = state.record
    entries = [past.entry for past in record.attempts] if record else []
    stages = dict(record.stages) if record else {}
    if state.open is not None:
        stages[state.open.ref.stage] = state.open.entry
    return sum(_lasted(entry, at) for entry in (*entries, *stages.values()))


def _lasted(entry: Entry, at: datetime) -> int:
    end = entry.finished or (entry.hold.since if entry.hold and entry.state == "held" else None)
    until = moment(end) if end else at if entry.state == "working" else moment(entry.started)
    return max(0, int((until - moment(entry.started)).total_seconds()))


def moment(text: str) -> datetime:
    """A record's time."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def rows(
    steps: Sequence[Step], lines: Mapping[str, Sequence[LiveStep]], at: datetime, hub: Hub, base: str
) -> tuple[Row, ...]:
    """A row for each step of the plan, in its order."""
    return tuple(row(step, lines.get(step.state.task.id, ()), at, hub, base) for step in steps)


def log(lines: Sequence[LiveStep]) -> list[str]:
    """A task's live lines to read: each step, below it the end of what came of it."""
    found: list[str] = []
    for line in lines:
        if line.kind == "reply" and line.text.strip():
            found.append(f"{line.stage} {line.agent} says: {one_line(line.text, 300)}")
        said = sentence_of(line)
        if said:
            found.append(f"{line.stage} {said}")
        if line.kind in ("result", "end"):
            found += [f"    {each}" for each in line.text.splitlines()[-4:] if each.strip()]
    return found


def clock(seconds: int) -> str:
    """`3:07`, `1:03:07`."""
    minutes, rest = divmod(max(0, seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def amount(number: int) -> str:
    """`950`, `12.3k`, `4.1M`."""
    if number < 1000:
        return str(number)
    return f"{number / 1000:.1f}k" if number < 999_950 else f"{number / 1_000_000:.1f}M"
