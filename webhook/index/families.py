"""Where tasks stand, some at a time: a task on base with its subtasks, seen with eyes that remember.

The same steps as `runner.observe.observe`, which looks at everything; here only at what a change has touched.
"""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from runner import git
from runner.agents import Settings
from runner.backlog import Problem
from runner.commands import standing
from runner.errors import UserError
from runner.host import Site
from runner.lifecycle import SLUG, work_branch
from runner.observe import ISSUE, removed, unfinished
from runner.progress import Refs, task_state
from runner.record import Record
from runner.sight import Sight, unreadable
from runner.sight.listing import stem
from runner.sight.owners import COMMANDS
from runner.sight.pipes import iso
from runner.state import TaskState
from runner.subtasks import waiting
from runner.task import Task
from webhook import store
from webhook.index import landings
from webhook.rows import Dates, Family


class Ground(NamedTuple):
    """All that looking at tasks needs: the connection inside of its transaction, the refs by task, the settings."""

    conn: sqlite3.Connection
    site: Site
    sight: Sight
    refs: Refs
    settings: Settings
    by_task: Mapping[str, Refs]
    disk: Mapping[str, tuple[str, ...]]

    def refs_of(self, slug: str) -> Refs:
        """The refs that are a task's own."""
        return self.by_task.get(slug) or self.refs._replace(branches={}, ours={})

    def works(self, slug: str) -> str | None:
        """The head of the task's branch."""
        return self.refs.branches.get(work_branch(slug))


def on_disk(workspaces: Path) -> dict[str, tuple[str, ...]]:
    """Task → the agents that have a workspace for it on this host."""
    found: dict[str, list[str]] = defaultdict(list)
    for agent in _names(workspaces):
        for task in _names(workspaces / agent / "tasks"):
            found[task].append(agent)
    return {task: tuple(agents) for task, agents in found.items()}


def _names(folder: Path) -> list[str]:
    """What lies in a folder under names that agents and tasks can have."""
    try:
        return sorted(name for name in os.listdir(folder) if SLUG.fullmatch(name))  # noqa: PTH208 (no paths are needed)
    except (FileNotFoundError, NotADirectoryError):
        return []


class Seen(NamedTuple):
    """What a look at some tasks shows: those that are there by id, and the problems of files."""

    families: dict[str, Family]
    problems: dict[str, list[Problem]]


def look(ground: Ground, slugs: Iterable[str]) -> Seen:
    """The tasks `slugs` and their subtasks. What waits for what is `with_waits`'s to say."""
    seen = Seen({}, {})
    slugs = set(slugs)
    for slug in sorted(slugs):
        found = _on_base(ground, slug)
        if isinstance(found, Task):
            seen.families[slug] = _family(ground, _state(ground, ground.refs_of(slug), found))
        elif found:
            seen.problems[slug] = found
    for slug in sorted(seen.families):
        for child in _children(ground, seen.families[slug].state):
            seen.families.setdefault(child.state.task.id, child)
            slugs.discard(child.state.task.id)
    for slug in sorted(slugs - seen.families.keys() - seen.problems.keys()):
        refs = ground.by_task.get(slug)
        if refs is not None and refs.branches:
            for state in _removed(ground, refs):
                seen.families[slug] = _family(ground, state)
    return seen


def _on_base(ground: Ground, slug: str) -> Task | list[Problem]:
    """The task of that id: a file on base, or an issue that was accepted."""
    if ISSUE.fullmatch(slug):
        refs = ground.refs_of(slug)
        said = ground.sight.said(refs.ours.get(f"{COMMANDS}{slug}"))
        given = standing(said).accepted
        return Task(slug, f"tasks/{slug}.yaml", given.request, "", given.source, given.by) if given else []
    return ground.sight.ground.task(ground.sight.pipes, slug)


def _state(ground: Ground, refs: Refs, task: Task) -> TaskState:
    """Where a task stands; one whose record cannot be read holds and hides no other."""
    reverted = landings.reverted(ground.conn, task.id) if refs.base == ground.refs.base else None
    try:
        return task_state(ground.site, refs, ground.settings, task, reverted, ground.sight)
    except UserError as error:
        stages = task.request.stages
        return TaskState(
            task, stages, frozenset(), refs.base, refs.branches.get(work_branch(task.id)), started=True,
            base_name=refs.base_name, trouble=unreadable(error),
        )  # fmt: skip


def _removed(ground: Ground, refs: Refs) -> list[TaskState]:
    try:
        return removed(ground.sight, refs, set())
    except UserError:
        return []


def _children(ground: Ground, parent: TaskState) -> Iterator[Family]:
    """The subtasks of a task that is under way (as in `runner.subtasks`), by their own waits."""
    slug = parent.task.id
    if parent.work is None or parent.current is None or ground.sight.holds(ground.refs.base, parent.work):
        return
    there = ground.sight.listing(parent.work)
    here = ground.refs._replace(base=parent.work, base_name=work_branch(slug))
    states = []
    for id in sorted({stem(path) for path in there.added()}):
        if id.startswith(f"{slug}-") and not isinstance(_on_base(ground, id), Task):
            task = there.task(ground.sight.pipes, id)
            if isinstance(task, Task) and task.request.parent == slug and ground.sight.ground.get(task.path) is None:
                own = ground.refs_of(id)
                states.append(_state(ground, here._replace(branches=own.branches, ours=own.ours), task))
    complete = {state.task.id: state.current is None for state in states}
    for state in states:
        yield _family(ground, msgspec.structs.replace(state, **unfinished(state, complete)), slug)


def _family(ground: Ground, state: TaskState, parent: str | None = None) -> Family:
    slug = state.task.id
    disk = ground.disk.get(slug, ())
    dates = _dates_on_work(ground, state, parent) if parent else _dates(ground, state)
    return Family(state, _furthest(ground, state), dates, parent, disk)


def _furthest(ground: Ground, state: TaskState) -> Record | None:
    """The record of the open branch, which copies earlier attempts; else the one at the target."""
    if state.open is None:
        return state.record
    return ground.sight.kept(state.open.head, state.task.id).record


def _dates(ground: Ground, state: TaskState) -> Dates:
    slug = state.task.id
    accepted = state.standing.accepted
    created = accepted.at if accepted else landings.born(ground.conn, slug)
    if state.current is not None:
        return Dates(created, None)
    done = landings.completed(ground.conn, ground.sight.pipes, slug, state.stages[-1])
    return Dates(created, done or _last(state, created))


def _last(state: TaskState, otherwise: str | None) -> str | None:
    return max((update.timestamp for update in state.updates), default=otherwise)


def _dates_on_work(ground: Ground, state: TaskState, parent: str) -> Dates:
    """The same on the parent's task branch: the committer dates of its own line."""
    work = ground.works(parent)
    created = _first(ground, work, state.task.path)
    if state.current is not None:
        return Dates(created, None)
    line = _versions(ground, work, f"{state.task.folder}/record.yaml")
    done = [at for at, blob in line if blob and landings.finished(ground.sight.pipes, blob, state.stages[-1])]
    return Dates(created, done[-1] if done else _last(state, created))


def _first(ground: Ground, rev: str | None, path: str) -> str | None:
    line = _versions(ground, rev, path)
    return line[-1][0] if line else None


def _versions(ground: Ground, rev: str | None, path: str) -> list[tuple[str, str | None]]:
    """When a file changed on a branch's own line and to which blob, newest first."""
    if rev is None:
        return []
    form = ("--format=%ct", "--raw", "--no-abbrev", "--no-renames", "--first-parent", "-m")
    out = git.git(ground.site.repo, "log", *form, rev, "--", path)
    found, at = [], ""
    for line in out.splitlines():
        if line.startswith(":"):
            blob = line.split(" ")[3]
            found.append((at, None if set(blob) == {"0"} else blob))
        elif line:
            at = iso(int(line))
    return found


def _depends(state: TaskState) -> tuple[str, ...]:
    return state.frozen.depends_on if state.frozen else state.task.request.depends_on


def with_waits(conn: sqlite3.Connection, families: Mapping[str, Family], looked: Collection[str]) -> dict[str, Family]:
    """What each task of base still waits for: its dependencies, and as a parent its subtasks.

    `looked` are the tasks that were looked at: one of them that is not among `families` is none.
    """
    children: dict[str, tuple[TaskState, ...]] = defaultdict(tuple)
    for family in families.values():
        if family.parent:
            children[family.parent] += (family.state,)
    stands = _Stands(conn, families, looked)
    return {slug: _waiting(stands, family, children) for slug, family in families.items()}


def _waiting(stands: "_Stands", family: Family, children: dict[str, tuple[TaskState, ...]]) -> Family:
    if family.parent:
        return family
    fields = unfinished(family.state, stands.of(_depends(family.state)))
    return family._replace(state=waiting(msgspec.structs.replace(family.state, **fields), children))


class _Stands(NamedTuple):
    """Whether tasks are complete: those that were looked at, and as the index has it all others."""

    conn: sqlite3.Connection
    families: Mapping[str, Family]
    looked: Collection[str]

    def of(self, slugs: Iterable[str]) -> dict[str, bool]:
        """The tasks among `slugs` that there are, and which of them are complete."""
        found = {slug: self._of(slug) for slug in slugs}
        return {slug: complete for slug, complete in found.items() if complete is not None}

    def _of(self, slug: str) -> bool | None:
        family = self.families.get(slug)
        if family is not None:
            return family.parent is None and family.state.current is None
        return None if slug in self.looked else store.stood(self.conn, slug)
