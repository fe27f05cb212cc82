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

DIGITS, LEAST = 10, 7
"""Of a commit's id, as it is shown; as many at least name one."""


def approve(site: Site, view: View, state: TaskState, by: Identity, head: str | None = None) -> str:
    """Merge a task's proposal as the person `by`; returns a sentence. Raises `UserError` with the reason why not.

    `head` is the commit that the person saw, or its beginning: another one is not merged. None: what is there now.
    """
    task = state.task.id
    why_not = unready(state) or unseen(state, head)
    if why_not is not None:
        raise UserError(f"{task}: {why_not}", f"pullwright task show {task}")
    host = wiring.host(site, view.settings, say=lambda line: None)
    answer = acting.merge(host, view, state, by=by)
    if isinstance(answer, Refused):
        raise UserError(f"{task}: {answer.reason}", _way_round(task, answer))
    return f"{answer} (commit {seen(state)})"


def seen(state: TaskState) -> str:
    """Pure: the commit that a proposal is just now, as people are shown it; nothing where none waits."""
    opened = state.open
    return opened.head[:DIGITS] if opened is not None and opened.entry.state == "ready" else ""


def unseen(state: TaskState, head: str | None) -> str | None:
    """Pure: why what was seen, `head`, is not what would be merged, or None."""
    there = state.open.head if state.open is not None else ""
    if head is None or (len(head) >= LEAST and there.startswith(head.lower())):
        return None
    return f"the proposal has changed since you looked at it: it is {there[:DIGITS]} now"


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
