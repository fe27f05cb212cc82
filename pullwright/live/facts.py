"""What the live view knows: the last look at the hub, this host's live lines, what other hosts have pushed."""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime

from pullwright.follow import Tail, elsewhere
from pullwright.live import rows as live_rows
from pullwright.live.rows import Row
from pullwright.screen import beginning
from runner import git, live
from runner.host import Site
from runner.lifecycle import work_branch
from runner.live import Step as LiveStep
from runner.observe import View
from runner.planning import Step, is_work, plan
from runner.state import OpenStage, TaskState

KEPT = 400  # live lines of a task that can be looked at
DIFF_LINES = 5000
RECORDS = (":(exclude,glob)tasks/**/record.yaml", ":(exclude,glob)tasks/**/updates.jsonl")


class Facts:
    """Tasks that were complete at the first look are `known` and not shown; `only` shows one task."""

    def __init__(self, site: Site, view: View, only: str | None = None) -> None:
        self.site, self.view, self.only = site, view, only
        self.known = {state.task.id for state in view.states if state.current is None and state.task.id != only}
        self.steps: list[Step] = []
        self.current: Step | None = None
        self.refused: dict[str, Step] = {}
        self.tails: dict[str, Tail] = {}
        self.own: dict[str, deque[LiveStep]] = {}
        self.far: dict[str, list[LiveStep]] = {}
        self.see(view)

    def see(self, view: View) -> None:
        """A look at the hub."""
        planned = plan(view, ours=lambda state: self.only in (None, state.task.id))
        steps = [step for step in planned if self.only in (None, step.state.task.id)]
        steps = [step for step in steps if step.state.task.id not in self.known]
        elsewhere_ = {
            step.state.task.id: elsewhere(self.site, view, step.state.open)
            for step in steps
            if step.state.open is not None and not step.state.open.mine
        }
        self.view, self.steps, self.far = view, steps, elsewhere_

    def begin(self, step: Step) -> None:
        """A turn begins; one that comes to nothing because of the forge says so by a `Hold`."""
        id = step.state.task.id
        self.current = step
        self.refused.pop(id, None)
        if not is_work(step.action):
            self.refused[id] = step

    def rows(self) -> tuple[Row, ...]:
        """The rows as they are now, with what has come to this host's live lines."""
        for id in (step.state.task.id for step in self.steps):
            tail = self.tails.setdefault(id, Tail(live.path_of(self.site.state, id)))
            self.own.setdefault(id, deque(maxlen=KEPT)).extend(tail.more())
        lines = {step.state.task.id: self.lines(step.state.task.id) for step in self.steps}
        steps = [self.refused.get(step.state.task.id, step) for step in self.steps]
        found = live_rows.rows(steps, lines, datetime.now(UTC), self.site.hub, self.view.settings.base)
        return tuple(self._begun(row) for row in found)

    def lines(self, task: str) -> list[LiveStep]:
        """A task's live lines, oldest first: those of the host that is at work."""
        return self.far.get(task) or list(self.own.get(task, ()))

    def _begun(self, row: Row) -> Row:
        """A row whose step has begun since the last look."""
        step = self.current
        if row.mark != "next" or step is None or step.state.task.id != row.task:
            return row
        row = row._replace(mark="work", now=beginning(step), stage=str(step.state.current or row.stage))
        last = self.lines(row.task)[-1:]
        if not last or last[0].stage != row.stage or last[0].kind == "end":
            return row
        doing = live_rows.doing(last[0], datetime.now(UTC))
        return row._replace(agent=last[0].agent, step=last[0].steps, now=last[0].tool or row.now, doing=doing)

    def diff(self, task: str) -> list[str]:
        """The change of a task's open stage against where it will be merged, without its record: what this host's agent
        has done by now, else what was pushed last."""
        state = self.view.state(task)
        if state.open is None:
            return [f"{task} has no open stage: there is nothing to compare"]
        lines = list(_diff(self.site, self.view, state, state.open))
        more = [f"… {len(lines) - DIFF_LINES} more lines"] if len(lines) > DIFF_LINES else []
        return [*lines[:DIFF_LINES], *more]


def _diff(site: Site, view: View, state: TaskState, opened: OpenStage) -> Iterator[str]:
    target = state.base if state.is_last else view.refs.branches.get(work_branch(state.task.id), state.base)
    here = live.snapshot(site.state, opened.ref) if opened.mine and opened.entry.state == "working" else None
    began = git.git(site.repo, "merge-base", target, opened.head).strip()
    options = ("--no-color", "--no-ext-diff", "--no-textconv", "--stat", "-p")
    patterns = {"GIT_LITERAL_PATHSPECS": "0"}
    text = git.git(site.repo, "diff", *options, began, here or opened.head, "--", ".", *RECORDS, env=patterns)
    yield f"{opened.branch}{', as it is in the workspace' if here else ', as it was pushed'}"
    yield ""
    yield from text.splitlines() or ["nothing but its record has changed"]
