"""What a person says to a task from the terminal: approve a proposal, or one command on the task's ref."""

import getpass
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from runner import commands, wiring, worker
from runner.commands import Verb
from runner.errors import UserError
from runner.forge import Refused
from runner.git import Identity
from runner.host import Site, site_at, timestamp
from runner.observe import observe
from runner.state import TaskState


def approve_stage(folder: Path, task: str) -> str:
    """Merge a task's proposal as the person who runs the command. Raises `UserError` with the reason why not."""
    site = site_at(folder)
    view = observe(site)
    state = view.state(task)
    if state.open is None:
        raise UserError(f"{task} has no proposal: it stands at {state.status}", "pullwright run takes it further")
    host = wiring.host(site, view.settings, say=lambda line: None)
    answer = worker.merge(host, view, state, by=person(site))
    if isinstance(answer, Refused):
        raise UserError(f"{task}: {answer.reason}", "pullwright run, then look again: pullwright task show " + task)
    return f"{task}  {answer}"


def say(folder: Path, task: str, verb: str, **args: Any) -> str:
    """Append a command to the task's ref. Raises `UserError` when it makes no sense now."""
    site = site_at(folder)
    view = observe(site)
    state = view.state(task)
    if verb == "assign" and args["agent"] not in {agent.name for agent in view.settings.agents}:
        names = ", ".join(agent.name for agent in view.settings.agents)
        raise UserError(f"there is no agent {args['agent']}", f"agents.yaml has {names}")
    why_not = senseless(state, verb)
    if why_not is not None:
        raise UserError(f"{task}: {why_not}", f"pullwright task show {task}")
    if state.open is not None and verb in ("comment", "reject", "retry", "answer"):
        args |= {"stage": str(state.open.ref.stage), "attempt": state.open.ref.attempt}
    who = person(site)
    command = commands.new(cast(Verb, verb), f"{who.name} <{who.email}>", timestamp(datetime.now(UTC)), **args)
    commands.append(site.repo, site.hub.url, commands.ref_of(task), command)
    return f"{task}  {verb}: noted; the next run acts on it"


def senseless(state: TaskState, verb: str) -> str | None:
    """Pure: why a command makes no sense for a task as it stands, or None."""
    if state.current is None:
        return "it is complete"
    ready = state.open is not None and state.open.entry.state == "ready"
    asked = state.open is not None and state.open.entry.hold is not None and state.open.entry.hold.kind == "input"
    if verb == "reject" and not ready:
        return "there is no proposal to reject"
    if verb == "comment" and state.open is None:
        return "no stage is open to comment on"
    if verb == "answer" and not asked:
        return "it asks nothing"
    if verb == "resume" and not state.standing.paused:
        return "it is not paused"
    if verb == "pause" and state.standing.paused:
        return "it is paused already"
    if verb == "retry" and state.open is None and not state.standing.cancelled:
        return "there is no attempt to repeat"
    return None


def person(site: Site) -> Identity:
    """Who runs the command, as their Git knows them."""

    def ask(key: str) -> str:
        done = subprocess.run(["git", "config", key], cwd=site.folder, capture_output=True, text=True)
        return done.stdout.strip()

    name = ask("user.name") or getpass.getuser()
    return Identity(name, ask("user.email") or f"{getpass.getuser()}@localhost")
