"""Where tasks stand, in lines for a person and as JSON. Pure: steps in, words out."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from runner.backlog import Problem
from runner.decide import Action, Claim, Escalate, Finish, Hold, Merge, Nothing, Propose, Resume, Rework
from runner.host import Hub
from runner.lifecycle import NOT_STARTED, work_branch
from runner.planning import Step, is_work
from runner.state import OpenStage

WIDTH = 10_000  # characters of a line where nobody says how wide the terminal is
REASON = 20  # characters of a reason that are worth a column

Turn = Literal["work", "hold", "review", "wait", "next", "done"]


class Words(NamedTuple):
    """What is next for a task and why, and what a person can do: each of `ways` is a command or a short sentence."""

    reason: str
    ways: tuple[str, ...] = ()


def lines(steps: Iterable[Step], hub: Hub, base: str, width: int = WIDTH) -> Iterator[str]:
    """Every task in a line cut to `width` characters, in aligned columns; below it what a person can do.

    Where the columns would leave a reason less than `REASON`, it has a line of its own below the id.
    """
    rows = [(step.state.task.id, position(step), words(step, hub, base)) for step in steps]
    first = max((len(id) for id, _, _ in rows), default=0)
    second = max((len(where) for _, where, _ in rows), default=0)
    broken = first + second + REASON > width
    for id, where, said in rows:
        line = f"  {where}  {said.reason}" if broken else f"{id:<{first}}  {where:<{second}}  {said.reason}"
        if broken:
            yield id
        yield cut(line, width) if said.ways else line  # a reason without a way out names it at its end
        yield from (f"  → {way}" for way in said.ways)


def cut(text: str, width: int) -> str:
    """`text` cut to `width`, its runs of spaces kept: they are the columns."""
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def position(step: Step) -> str:
    """The status with the progress of the stage: `not started`, `build 40 %`, `complete`."""
    state = step.state
    if state.status == NOT_STARTED:
        return "not started"
    return state.status if state.current is None else f"{state.status} {state.progress} %"


def words(step: Step, hub: Hub, base: str) -> Words:
    """What is next for a task, and what a person can do about it."""
    state, action = step.state, step.action
    id, stage = state.task.id, state.current
    match action:
        case Finish():
            return Words("done")
        case Hold(reason, remedy):
            return Words(f"held: {reason}", (remedy,) if remedy else ())
        case Nothing(reason) if "waits for review" in reason and state.open is not None:
            return Words(reason, (_look(step, state.open, hub, base), _answers(id)))
        case Nothing(reason):
            return Words(reason)
        case Claim(_, attempt, agent):
            return Words(f"next: {agent.name} takes {stage}" + (f", attempt {attempt}" if attempt > 1 else ""))
        case Escalate(agent, _):
            return Words(f"next: {agent.name} takes over {stage}")
        case Rework():
            return Words(f"next: {stage} goes back to its agent")
        case Resume(takeover):
            return Words(f"next: {stage} is taken over" if takeover else f"next: {stage} goes on")
        case Propose():
            return Words(f"next: {stage} goes through its gates again")
        case Merge():
            return Words(f"next: {stage} is merged")


def turn(step: Step) -> Turn:
    """Whose turn it is: an agent is at `work` or comes `next`, you `review` or end a `hold`, or all `wait`."""
    opened = step.state.open
    match step.action:
        case Finish():
            return "done"
        case Hold(reason, _):
            return "wait" if reason.startswith("waits for") else "hold"
        case Nothing(reason) if "waits for review" in reason:
            return "review"
        case Nothing() if opened is not None and opened.entry.state == "working":
            return "work"
        case Nothing():
            return "wait"
        case Resume(takeover=False):
            return "work"
        case _:
            return "next"


def _look(step: Step, opened: OpenStage, hub: Hub, base: str) -> str:
    """The command that shows what waits: three dots, so that what the target got meanwhile is left out."""
    target = base if step.state.is_last else work_branch(step.state.task.id)
    if hub.own is not None:
        return f"git diff {target}...{opened.branch}"
    return f"git fetch && git diff origin/{target}...origin/{opened.branch}"


def _answers(id: str) -> str:
    return f"pullwright review {id} --approve | --comment TEXT | --reject TEXT"


def problem_lines(problems: Iterable[Problem]) -> Iterator[str]:
    """What is wrong with task files, each with its remedy."""
    for problem in problems:
        yield f"{problem.path}: {problem.what}\n  → {problem.remedy}"


def as_data(step: Step, hub: Hub, base: str) -> dict[str, object]:
    """A step as JSON."""
    said = words(step, hub, base)
    state = step.state
    return {
        "task": state.task.id,
        "title": state.task.request.title,
        "status": state.status,
        "stage": state.current and str(state.current),
        "stage_progress": state.progress,
        "turn": turn(step),
        "action": type(step.action).__name__.lower(),
        "agent": _agent(step.action) or (state.open.entry.agent if state.open else None),
        "reason": said.reason,
        "remedy": "; ".join(said.ways),
    }


def _agent(action: Action) -> str | None:
    return action.agent.name if isinstance(action, Claim | Escalate) else None


def matrix(steps: Iterable[Step], runs_on: Mapping[str, tuple[str, ...]]) -> dict[str, list[dict[str, object]]]:
    """The jobs that a workflow would start: one a task with work to do, on the machine that its agent names.

    `runs_on` gives the labels of machines by agent's name.
    """
    jobs: list[dict[str, object]] = []
    for step in steps:
        if is_work(step.action):
            agent = _agent(step.action) or (step.state.open.entry.agent if step.state.open else "")
            labels = list(runs_on.get(agent, ("self-hosted", "ollama")))
            jobs.append({"task": step.state.task.id, "stage": str(step.state.current), "runs_on": labels})
    return {"include": jobs}
