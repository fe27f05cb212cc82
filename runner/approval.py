"""A person's approval of a proposal, and who that person is: the same from the terminal and from the pages."""

import getpass
import subprocess
from pathlib import Path

from runner import acting, wiring
from runner.errors import UserError
from runner.forge import Refused
from runner.git import Identity
from runner.host import Site
from runner.observe import View
from runner.state import TaskState


def approve(site: Site, view: View, state: TaskState, by: Identity) -> str:
    """Merge a task's proposal as the person `by`; returns a sentence. Raises `UserError` with the reason why not."""
    task = state.task.id
    why_not = unready(state)
    if why_not is not None:
        raise UserError(f"{task}: {why_not}", f"pullwright task show {task}")
    host = wiring.host(site, view.settings, say=lambda line: None)
    answer = acting.merge(host, view, state, by=by)
    if isinstance(answer, Refused):
        raise UserError(f"{task}: {answer.reason}", _way_round(task, answer))
    return answer


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


def person(folder: Path) -> Identity:
    """Who makes commits in the repository around `folder`, as its Git knows them."""

    def ask(key: str) -> str:
        done = subprocess.run(["git", "config", key], cwd=folder, capture_output=True, text=True)
        return done.stdout.strip()

    name = ask("user.name") or getpass.getuser()
    return Identity(name, ask("user.email") or f"{getpass.getuser()}@localhost")
