"""The complexity of tasks that name none: what the signals say, and what the agent said whom the policy names.

An answer is kept on this host until the first claim freezes it in the record; losing it costs one more question.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from runner import git, prompting
from runner.agents import Agent, Settings
from runner.complexity import Judgement, Past, Signals, answered, estimate, question, signals
from runner.errors import UserError
from runner.host import Host, Site
from runner.lifecycle import Stage
from runner.models import ModelError
from runner.state import TaskState
from runner.task import Task, digest

LONGEST = 4000
"""Characters of a task that are shown: its beginning says what it is about."""


def judged(site: Site, settings: Settings, states: Sequence[TaskState]) -> list[TaskState]:
    """`states` with a judgement for each task whose complexity nobody named and no claim has frozen."""
    if not any(map(_is_open, states)):
        return list(states)
    past, base = _past(states), _base(settings, states)
    return [_with_judgement(site, settings, state, past, base) if _is_open(state) else state for state in states]


def ask(host: Host, settings: Settings, state: TaskState, states: Sequence[TaskState]) -> TaskState:
    """`state` with what the agent says whom the policy names, asked once; as it is where there is nobody to ask.

    `states` are those of all tasks: what became of like ones is told.
    An agent that cannot be reached, or answers something else than a number, leaves the decision to the signals.
    """
    agent = next((agent for agent in settings.agents if agent.name == settings.policy.evaluator), None)
    if agent is None or not _is_open(state) or _kept(host.site, agent.name, state.task) is not None:
        return state
    seen = _signals(host.site, state, _past(states), _base(settings, states))
    text = f"{state.task.request.title}\n\n{state.task.request.description}".strip()
    asked = question(prompting.packaged("complexity"), prompting.fenced(text[:LONGEST]), seen)
    host.say(f"{state.task.id}: {agent.name} is asked how complex it is")
    try:
        found = answered(host.model(agent, Stage.DESIGN).reply(asked), agent.name, seen)
    except (ModelError, UserError):
        found = None
    if found is None:
        assert state.judged is not None  # by `judged`, from signals
        found = msgspec.structs.replace(state.judged, reason=f"{state.judged.reason}; {agent.name} gave no number")
    _keep(host.site, agent.name, state.task, found)
    return msgspec.structs.replace(state, judged=found)


def fits(agent: Agent, state: TaskState) -> bool:
    """Whether an agent that was chosen before the judgement still is the right one; a person's choice always is."""
    if state.standing.agent or state.task.request.agent or state.judged is None:
        return True
    return agent.min_complexity <= state.judged.complexity <= agent.max_complexity


def _is_open(state: TaskState) -> bool:
    return state.frozen is None and state.task.request.complexity is None


def _base(settings: Settings, states: Sequence[TaskState]) -> str | None:
    """The head of the base branch: what a parent's own branch adds to it says little of how complex a part is."""
    return next((state.base for state in states if state.base_name == settings.base), None)


def _with_judgement(
    site: Site, settings: Settings, state: TaskState, past: Sequence[Past], base: str | None
) -> TaskState:
    named = settings.policy.evaluator
    found = _kept(site, named, state.task) if named else None
    found = found or estimate(_signals(site, state, past, base), settings.policy.default_complexity)
    return msgspec.structs.replace(state, judged=found)


def _signals(site: Site, state: TaskState, past: Sequence[Past], base: str | None) -> Signals:
    request, paths = state.task.request, _paths(site.repo, base or state.base)
    return signals(f"{request.title}\n{request.description}", request.acceptance, paths, past)


@lru_cache(maxsize=8)
def _paths(repo: git.Repo, commit: str) -> tuple[str, ...]:
    """The files of a commit, which never change."""
    return tuple(file.path for file in git.files(repo, commit))


def _past(states: Sequence[TaskState]) -> list[Past]:
    """The tasks with a record: what each was thought to be, and how often it was begun anew."""
    records = [state.record for state in states if state.record is not None]
    return [
        Past(
            f"{record.request.title}\n{record.request.body}",
            record.request.complexity,
            sum(entry.reworks for entry in record.stages.values()) + len(record.attempts),
        )
        for record in records
    ]


def _place(site: Site, agent: str, task: Task) -> Path:
    name = hashlib.sha256(f"{agent}\0{task.id}\0{digest(task.request)}".encode()).hexdigest()[:32]
    return site.state / "complexity" / f"{name}.json"


def _kept(site: Site, agent: str, task: Task) -> Judgement | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(_place(site, agent, task).read_bytes(), type=Judgement)
    return None


def _keep(site: Site, agent: str, task: Task, found: Judgement) -> None:
    place = _place(site, agent, task)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(msgspec.json.encode(found))
