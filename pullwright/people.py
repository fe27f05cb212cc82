"""What a person says to a task from the terminal: approve a proposal, or one command on the task's ref."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from runner import commands
from runner.approval import approve, person
from runner.host import Site, site_at, timestamp
from runner.observe import View, observe
from runner.people.orders import compose
from runner.state import TaskState
from runner.task import Budget


def approve_stage(folder: Path, task: str, head: str | None = None) -> Iterator[str]:
    """Merge a task's proposal as the person who runs the command; yields what was done and what is next.

    `head` is the commit that the person saw; None: whatever is there now. Raises `UserError` with the reason why not.
    """
    site = site_at(folder)
    view = observe(site)
    state = view.state(task)
    yield f"{task}  {approve(site, view, state, person(site.folder), head)}"
    yield _after(state, site, view)


def _after(state: TaskState, site: Site, view: View) -> str:
    if not state.is_last:
        return f"next: pullwright run --task {state.task.id}"
    return f"{state.task.id} is complete" + (
        "" if site.hub.own else f"; git pull brings it into your {view.settings.base}"
    )


def say(folder: Path, task: str, verb: str, **args: Any) -> str:
    """Append a command to the task's ref. Raises `UserError` when it makes no sense now."""
    site = site_at(folder)
    view = observe(site)
    who = person(site.folder)
    at = timestamp(datetime.now(UTC))
    command = compose(view.state(task), view.settings, verb, f"{who.name} <{who.email}>", at, **args)
    commands.append(site.repo, site.hub.url, commands.ref_of(task), command)
    return f"{task}  {verb}: noted; pullwright run acts on it"


def bound(folder: Path, task: str, bounds: dict[str, float]) -> str:
    """Set the bounds that are named (`steps`, `tokens`, `cost`, `minutes`), and keep the others; with none, say what is
    in force. Raises `UserError` when it makes no sense now."""
    state = observe(site_at(folder)).state(task)
    if not bounds:
        return f"{task}  {in_words(budget_of(state))}"
    wanted = msgspec.convert(msgspec.to_builtins(budget_of(state)) | bounds, Budget)
    say(folder, task, "set-budget", budget=msgspec.to_builtins(wanted))
    return f"{task}  set-budget: {in_words(wanted)}; noted"


def budget_of(state: TaskState) -> Budget:
    """Pure: the bounds in force, a person's command before the file."""
    return state.standing.budget or state.task.request.budget


def in_words(budget: Budget) -> str:
    """Pure: `at most 300 steps, $2.50`."""
    amounts = [
        f"{value:.10g} {unit}" if unit != "$" else f"${value:.2f}"
        for value, unit in zip(
            (budget.steps, budget.tokens, budget.cost, budget.minutes),
            ("steps", "tokens", "$", "minutes"),
            strict=True,
        )
        if value is not None
    ]
    return f"at most {', '.join(amounts)}" if amounts else "no bounds"
