"""What could be done now, task by task; what had nothing to do is not asked again while nothing about it changes."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from runner.agents import Settings
from runner.decide import Claim, Crew, decide
from runner.planning import is_work
from runner.progress import Afresh, Refs
from runner.state import TaskState
from webhook.dispatch import Job
from webhook.index import Index, standing


class Quiet(NamedTuple):
    """What a decision to do nothing was made of. `base` matters to a stage that goes there."""

    version: str
    busy: tuple[tuple[str, int], ...]
    away: frozenset[str]
    settings: Settings
    expired: bool
    base: str | None


class Work:
    """Finds work. Looking at a task whose proposal waits costs some Git processes, and hundreds may wait."""

    def __init__(self) -> None:
        self._quiet: dict[str, Quiet] = {}

    def forget(self, tasks: Iterable[str], *, everything: bool) -> None:
        """Something was heard of these tasks, or it is time to look at all of them anyway."""
        if everything:
            self._quiet.clear()
        for task in tasks:
            self._quiet.pop(task, None)

    def jobs(self, index: Index, refs: Refs, running: set[str], may: Callable[[Job], bool]) -> list[Job]:
        """What could be done now, in the order in which it should be: no more than there may be runners at once.

        Only tasks that the index does not know to be held are looked at; one that is at work, or for which no runner
        `may` be started now, keeps no other waiting.
        """
        slugs, settings, away, busy, late = standing.candidates(index, refs)
        jobs: list[Job] = []
        for slug in slugs:
            if len(jobs) >= slots(settings):
                break
            now = Quiet(
                standing.version(index, refs, slug),
                tuple(sorted(busy.items())),
                away,
                settings,
                slug in late,
                refs.base,
            )
            if slug in running or self._is_quiet(slug, now):
                continue
            state = standing.states(index, refs, [slug], Afresh(index.site)).get(slug)
            if state is None or state.current is None:
                continue
            job, action = Job(slug, str(state.current), now.version), decide(state, settings, Crew(busy, away))
            if not is_work(action):
                self._quiet[slug] = now if _goes_into_base(state) else now._replace(base=None)
            elif may(job):
                if isinstance(action, Claim):
                    busy[action.agent.name] = busy.get(action.agent.name, 0) + 1
                jobs.append(job)
        return jobs

    def _is_quiet(self, slug: str, now: Quiet) -> bool:
        before = self._quiet.get(slug)
        return before is not None and now._replace(base=before.base and now.base) == before


def _goes_into_base(state: TaskState) -> bool:
    return state.is_last and state.open is not None


def slots(settings: Settings) -> int:
    """How many runners there may be at once."""
    return max(1, sum(agent.concurrency for agent in settings.agents))
