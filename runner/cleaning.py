"""What ended tasks leave behind, and its removal: branches on the hub, workspaces, logs and caches on this host.

A task has ended when its last entry is on base or it is cancelled. That `work/<id>` is an ancestor of base says
nothing: it is created at base's head.
"""

import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from runner import claims, git, workspace
from runner.agents import keep_seconds
from runner.gates import checks
from runner.host import Site
from runner.lifecycle import parse_stage_branch, work_branch
from runner.observe import View
from runner.state import TaskState
from runner.web.fetching import forget


class Leftover(NamedTuple):
    """Something to remove: a branch of the hub at a commit, or (`commit` empty) a folder or file of this host."""

    task: str
    name: str
    commit: str = ""


def ended_at(state: TaskState) -> str | None:
    """Pure: when a task ended (ISO 8601, UTC), or None while it has not."""
    if state.current is None:
        finished = [entry.finished for entry in state.record.stages.values() if entry.finished] if state.record else []
        return max(finished, default=None)
    if state.standing.cancelled:
        return next((said.at for said in reversed(state.commands) if said.verb == "cancel"), None)
    return None


def leftovers(site: Site, view: View, now: datetime, *, everything: bool = False) -> tuple[Leftover, ...]:
    """What may go: all that belongs to tasks which ended longer ago than the policy keeps it (or at all)."""
    kept = timedelta(seconds=0 if everything else keep_seconds(view.settings.policy))
    old = [state.task.id for state in view.states if _is_old(state, now, kept)]
    return (*_branches(view, old), *_folders(site, old))


def _is_old(state: TaskState, now: datetime, kept: timedelta) -> bool:
    when = ended_at(state)
    return when is not None and now - datetime.fromisoformat(when.replace("Z", "+00:00")) >= kept


def _branches(view: View, tasks: Iterable[str]) -> Iterator[Leftover]:
    old = set(tasks)
    for branch, commit in sorted(view.refs.branches.items()):
        ref = parse_stage_branch(branch)
        task = ref.task if ref else branch.removeprefix("work/")
        if task in old and (ref is not None or branch == work_branch(task)):
            yield Leftover(task, branch, commit)


def _folders(site: Site, tasks: Iterable[str]) -> Iterator[Leftover]:
    """This host's own: the workspaces of every agent, logs, live lines, trajectories, locks."""
    for task in tasks:
        here = [
            *(site.state / "workspaces").glob(f"*/tasks/{task}"),
            *(site.state / "workspaces").glob(f"*/scratch/{task}"),
        ]
        here += [site.state / "logs" / task, site.state / "trajectories" / task, site.state / "live" / f"{task}.jsonl"]
        here += [site.state / "told" / f"{task}.txt"]
        yield from (Leftover(task, str(path)) for path in here if path.exists())


def remove(site: Site, found: Iterable[Leftover]) -> Iterator[str]:
    """Remove it, each branch only if it is still where it was seen; yields a line for each thing that went."""
    for item in found:
        if not item.commit:
            workspace.remove(Path(item.name))
            yield f"{item.task}  removed {item.name}"
            continue
        claims.release(site.repo, site.hub.url, item.name, item.commit)
        there = git.remote_refs(site.repo, site.hub.url, claims.ref(item.name))
        yield f"{item.task}  {'kept, it has moved:' if there else 'removed'} {item.name}"


def free(site: Site) -> int:
    """Throw away unfinished checkouts and what the mirror no longer needs; returns the bytes that are free now."""
    checks.sweep(site.state / "gates")
    forget(site.state / "web", site.clock())
    git.git(site.repo, "gc", "--quiet", "--prune=30.days.ago")  # snapshots of steps are in no ref while work goes on
    return shutil.disk_usage(site.state).free
