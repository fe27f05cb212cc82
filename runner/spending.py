"""What a task has used, and whether that is all that it may. Pure."""

from collections.abc import Iterable
from typing import NamedTuple

from runner.record import Entry
from runner.state import TaskState
from runner.task import Budget


class Spent(NamedTuple):
    """What a task's attempts have used so far: replies, tokens, US dollars, minutes of agents' work."""

    steps: int
    tokens: int
    cost: float
    minutes: float


def bounds(budget: Budget) -> tuple[float | None, ...]:
    """A budget's bounds in the order of `Spent`."""
    return budget.steps, budget.tokens, budget.cost, budget.minutes


def is_spent(state: TaskState) -> bool:
    """Whether the task has used up what it may: what a person said last, else what its file says."""
    budget = state.standing.budget or state.task.request.budget
    return any(bound is not None and used >= bound for used, bound in zip(spent(state), bounds(budget), strict=True))


def spent(state: TaskState) -> Spent:
    """What a task has used so far, over all stages and attempts."""
    record = state.record
    past = [attempt.entry for attempt in record.attempts] if record else []
    present = dict(record.stages) if record else {}
    if state.open is not None:
        present[state.open.ref.stage] = state.open.entry
    return used_by([*past, *present.values()])


def used_by(entries: Iterable[Entry]) -> Spent:
    """What these attempts have used together."""
    entries = tuple(entries)
    return Spent(
        sum(entry.steps for entry in entries),
        sum(entry.tokens for entry in entries),
        sum(entry.cost for entry in entries),
        sum(entry.seconds for entry in entries) / 60,
    )
