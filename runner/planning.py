"""What the next turn would do for every task, and why. Nothing is done here: `runner.worker` takes the turns."""

from collections.abc import Callable
from typing import NamedTuple

from runner.decide import Action, Claim, Crew, Finish, Hold, Nothing, decide
from runner.observe import View
from runner.state import TaskState


class Step(NamedTuple):
    """What is to be done for one task now, and why."""

    state: TaskState
    action: Action


def plan(
    view: View, offline: frozenset[str] = frozenset(), ours: Callable[[TaskState], bool] = lambda state: True
) -> tuple[Step, ...]:
    """What the next turn would do for every task. Pure but for what `view` has looked up.

    A claim makes its agent busy for the tasks after it, unless it is of a task that is not `ours` to take.
    """
    crew = view.crew(offline)
    steps = []
    for state in view.states:
        action = decide(state, view.settings, crew)
        if isinstance(action, Claim) and ours(state):
            crew = Crew({**crew.busy, action.agent.name: crew.busy.get(action.agent.name, 0) + 1}, crew.offline)
        steps.append(Step(state, action))
    return tuple(steps)


def is_work(action: Action) -> bool:
    """Whether an action changes anything."""
    return not isinstance(action, Hold | Nothing | Finish)
