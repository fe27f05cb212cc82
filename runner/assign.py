"""Which agent takes a task, and which task comes first. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from runner.agents import Agent
from runner.task import Task


class NoAgent(msgspec.Struct, frozen=True):
    """Nobody takes it, and why. `waits`: it will change by itself; otherwise `remedy` says what a person can do."""

    reason: str
    waits: bool = False
    remedy: str = ""


def assign(
    complexity: int,
    agents: Sequence[Agent],
    busy: Mapping[str, int],
    offline: frozenset[str] = frozenset(),
    wanted: str | None = None,
    exclude: frozenset[str] = frozenset(),
    prefer_other_than: str | None = None,
) -> Agent | NoAgent:
    """The first available agent in the file's order whose range holds `complexity`, or why there is none.

    `busy` counts live claims by agent's name. `wanted` is this one and no other, whatever its range: a person said so.
    `exclude` are agents that may not have it (again). `prefer_other_than` is passed over for any other that fits and is
    not offline, even one that is busy now: a review by the builder itself is worth less than a short wait.
    """
    fitting = [agent for agent in agents if _fits(agent, complexity, wanted)]
    if not fitting:
        return _unfit(complexity, wanted, agents)
    allowed = [agent for agent in fitting if agent.name not in exclude]
    if not allowed:
        return NoAgent(f"no other agent than {_names(fitting)} for complexity {complexity}", remedy=_ASSIGN)
    online = [agent for agent in allowed if agent.name not in offline]
    if not online:
        return NoAgent(f"offline: {_names(allowed)}", waits=True)
    others = [agent for agent in online if agent.name != prefer_other_than] or online
    free = next((agent for agent in others if busy.get(agent.name, 0) < agent.concurrency), None)
    return free or NoAgent(f"busy: {_names(others)}", waits=True)


_ASSIGN = "name an agent: pullwright assign ID AGENT, or widen a range in agents.yaml"


def _fits(agent: Agent, complexity: int, wanted: str | None) -> bool:
    if wanted is not None:
        return agent.name == wanted
    return agent.min_complexity <= complexity <= agent.max_complexity


def _unfit(complexity: int, wanted: str | None, agents: Sequence[Agent]) -> NoAgent:
    if wanted is not None:
        return NoAgent(
            f"no agent {wanted}", remedy=f"agents.yaml has {_names(agents)}: name one of them, or add it there"
        )
    return NoAgent(f"no agent for complexity {complexity}", remedy=_ASSIGN)


def _names(agents: Iterable[Agent]) -> str:
    return ", ".join(agent.name for agent in agents)


def order(tasks: Iterable[Task], created: Mapping[str, str]) -> tuple[Task, ...]:
    """The tasks in the order in which they are taken: higher priority first, then oldest, then by id.

    `created` gives ISO 8601 times in UTC by task id; a task that is not in it counts as the newest.
    """
    return tuple(sorted(tasks, key=lambda task: (-task.request.priority, created.get(task.id, "~"), task.id)))
