"""One turn: observe, decide, act; and the loop that takes turns until nothing can be done. Start reading at `run`.

A webhook, a workflow run, a poll and a person typing `pullwright run` all end here: truth is looked up, events only
wake.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from runner import acting
from runner.agents import Agent
from runner.attend import attend
from runner.claims import Lost
from runner.decide import Claim, Escalate, Hold, Resume, Rework
from runner.errors import UserError, of_this_machine
from runner.forge import Refused
from runner.host import Host, lock
from runner.lifecycle import Stage
from runner.mailing import tell
from runner.observe import Looks, View
from runner.planning import Step, is_work, plan
from runner.state import TaskState

WATCH_EVERY = 15.0  # seconds between two looks of `run --watch`


def run(
    host: Host, *, task: str | None = None, stage: Stage | None = None, once: bool = False, view: View | None = None
) -> Iterator[Step]:
    """Take turns until nothing can be done, or `once`; yields each step before it is taken.

    Only `task` if one is given, and tasks only while they stand at `stage`. A merge that the forge refuses is yielded
    once more as a `Hold` with its reason. Raises `UserError` at the end when only a person can help.
    """
    host.sandbox.check()
    desk = _Desk(host, task, stage)
    only = None if task is None else frozenset({task})
    with closing(Looks(host.site)) as look:
        view = attend(host, view, look=look, only=only)
        tell(host, view, plan(view))
        if task is not None:
            view.state(task)
        while (step := desk.choose(view)) is not None:
            yield step
            answer = desk.act(view, step)
            if isinstance(answer, Refused) and step.state.task.id in desk.passed:
                yield Step(step.state, Hold(answer.reason, ""))
            view = attend(host, look=look, only=only)
            tell(host, view, plan(view))
            if once:
                break
    host.forge.settle()
    desk.close()


def watch(
    host: Host, *, task: str | None = None, stage: Stage | None = None, sleep: Callable[[float], None] = time.sleep,
    rounds: int | None = None,
) -> Iterator[Step]:  # fmt: skip
    """Take turns for ever (or for `rounds` looks at the hub); a hub that is out of reach is tried again.

    What only a person can mend is said once, and again when it is something else.
    """
    said = ""
    while rounds is None or rounds > 0:
        try:
            yield from run(host, task=task, stage=stage)
            said = ""
        except (UserError, OSError) as error:
            told = str(_persons(error))
            if told != said:
                host.say(told)
            said = told
        rounds = None if rounds is None else rounds - 1
        if rounds != 0:
            sleep(WATCH_EVERY)


def _persons(error: Exception) -> UserError:
    """What a person has to mend. Raises what is none."""
    found = error if isinstance(error, UserError) else of_this_machine(error)
    if found is None:
        raise error
    return found


class _Desk:
    """What one run remembers between turns: who is offline, and which tasks it can do nothing more for.

    `faults` says by task what a person has to mend before it goes on.
    """

    def __init__(self, host: Host, task: str | None, stage: Stage | None) -> None:
        self.host = host
        self.task = task
        self.stage = stage
        self.offline: dict[str, UserError] = {}
        self.passed: set[str] = set()
        self.lost: dict[str, int] = {}
        self.faults: dict[str, UserError] = {}

    def choose(self, view: View) -> Step | None:
        """The first task, in their order, for which something can be done."""
        for step in plan(view, frozenset(self.offline), self._ours):
            if self._ours(step.state) and step.state.task.id not in self.passed and is_work(step.action):
                return step
        return None

    def _ours(self, state: TaskState) -> bool:
        """Whether this run was started for a task: what it leaves to others takes no agent from it."""
        return self.task in (None, state.task.id) and self.stage in (None, state.current)

    def act(self, view: View, step: Step) -> str | Lost | Refused | None:
        """Do it; None where nothing was tried. Another process of this host that is at the task is left alone."""
        id = step.state.task.id
        with lock(self.host.state, f"task-{id}", wait=False) as ours:
            if not ours:
                self.host.say(f"{id}  another process on this host is at it")
                self.passed.add(id)
                return None
            try:
                agent = _agent_of(view, step)
                if agent is not None and not self._ready(agent, step):
                    return None
                self.faults.pop(id, None)
                answer: str | Lost | Refused = acting.act(self.host, view, step.state, step.action)
            except (UserError, OSError) as error:  # one task that needs a person does not keep the others waiting
                self.faults[id] = _persons(error)
                self.passed.add(id)
                return None
        if isinstance(answer, Lost) or (isinstance(answer, Refused) and answer.kind == "moved"):
            self.lost[id] = self.lost.get(id, 0) + 1
        else:
            self.lost.pop(id, None)
        if (isinstance(answer, Refused) and answer.kind != "moved") or self.lost.get(id, 0) > 3:
            self.passed.add(id)
        self.host.say(f"{id}  {answer if isinstance(answer, str) else answer.reason}")
        return answer

    def _ready(self, agent: Agent, step: Step) -> bool:
        """The preflight: an agent whose model cannot be used is offline for this run, and somebody else may fit."""
        assert step.state.current is not None
        id = step.state.task.id
        try:
            self.host.model(agent, step.state.current).check()
        except UserError as error:
            if agent.name in self.offline or not isinstance(step.action, Claim):
                self.passed.add(id)
            self.host.say(f"{agent.name} is offline")
            self.offline[agent.name] = self.faults[id] = error
            return False
        return True

    def close(self) -> None:
        """Raises the first `UserError` that is left, after saying the others."""
        errors = list(dict.fromkeys([*self.faults.values(), *self.offline.values()]))
        for error in errors[1:] if self.faults else errors:
            self.host.say(str(error))
        if self.faults:
            raise errors[0]


def _agent_of(view: View, step: Step) -> Agent | None:
    """The agent that an action sets to work."""
    match step.action:
        case Claim(_, _, agent) | Escalate(agent, _):
            return agent
        case Resume() | Rework():
            return acting.present(view, step.state)
        case _:
            return None
