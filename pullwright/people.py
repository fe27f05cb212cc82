"""What a person says to a task from the terminal: approve a proposal, or one command on the task's ref."""

import getpass
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from runner import acting, commands, wiring
from runner.errors import UserError
from runner.forge import Refused
from runner.git import Identity
from runner.host import Site, site_at, timestamp
from runner.observe import View, observe
from runner.orders import compose
from runner.state import TaskState
from runner.task import Budget


def approve_stage(folder: Path, task: str) -> Iterator[str]:
    """Merge a task's proposal as the person who runs the command; yields what was done and what is next.

    Raises `UserError` with the reason why not.
    """
    site = site_at(folder)
    view = observe(site)
    state = view.state(task)
    why_not = unready(state)
    if why_not is not None:
        raise UserError(f"{task}: {why_not}", f"pullwright task show {task}")
    host = wiring.host(site, view.settings, say=lambda line: None)
    answer = acting.merge(host, view, state, by=person(site))
    if isinstance(answer, Refused):
        raise UserError(f"{task}: {answer.reason}", _way_round(task, answer))
    yield f"{task}  {answer}"
    yield _after(state, site, view)


def unready(state: TaskState) -> str | None:
    """Pure: why there is nothing to approve, or None."""
    if state.current is None:
        return "it is complete"
    if state.open is None:
        return f"there is no proposal yet: {state.current} has not begun"
    ref, entry = state.open.ref, state.open.entry
    if entry.state != "ready":
        why = entry.hold.reason if entry.hold is not None else "its agent is at work"
        return f"there is no proposal yet: {ref.stage} is {entry.state}: {why}"
    if any(said.verb == "reject" and said.about(ref.stage, ref.attempt) for said in state.commands):
        return f"{ref.stage} was rejected"
    return "it is cancelled" if state.standing.cancelled else None


def _way_round(task: str, answer: Refused) -> str:
    """Where the merge itself was refused the reason names the command; else another look of the runner helps."""
    if answer.kind == "hold" and "git " in answer.reason:
        return "the next run notices the merge by itself"
    return f"pullwright run --task {task} looks again, then: pullwright task show {task}"


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
    who = person(site)
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


def person(site: Site) -> Identity:
    """Who runs the command, as their Git knows them."""

    def ask(key: str) -> str:
        done = subprocess.run(["git", "config", key], cwd=site.folder, capture_output=True, text=True)
        return done.stdout.strip()

    name = ask("user.name") or getpass.getuser()
    return Identity(name, ask("user.email") or f"{getpass.getuser()}@localhost")
