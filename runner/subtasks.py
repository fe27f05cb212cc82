"""Tasks that a task's design proposed: files on its task branch, whose base that branch is. Reads Git, writes nothing.

They run in parallel, each ending in one proposal into the parent's task branch; the parent's build begins when they
are complete (docs/design.md, section 3).
"""

from collections.abc import Iterable

import msgspec

from runner import backlog, git
from runner.agents import Settings
from runner.host import Site
from runner.lifecycle import Stage, work_branch
from runner.progress import Refs, task_state
from runner.state import TaskState
from runner.task import Task

Families = dict[str, tuple[TaskState, ...]]


def families(
    site: Site, refs: Refs, settings: Settings, parents: Iterable[TaskState]
) -> dict[str, tuple[TaskState, ...]]:
    """Parent's id → the states of its subtasks, for every task that is under way."""
    parents = tuple(parents)
    taken = {state.task.id for state in parents}
    found: dict[str, tuple[TaskState, ...]] = {}
    for parent in parents:
        own = _states(site, refs, settings, parent, taken)
        if own:
            found[parent.task.id] = own
            taken |= {state.task.id for state in own}
    return found


def _states(site: Site, refs: Refs, settings: Settings, parent: TaskState, taken: set[str]) -> tuple[TaskState, ...]:
    if parent.work is None or parent.current is None or git.is_ancestor(site.repo, parent.work, refs.base):
        return ()
    here = refs._replace(base=parent.work, base_name=work_branch(parent.task.id))
    states = []
    for task in _new_tasks(site.repo, refs.base, parent.work):
        if _is_child(task, parent):
            state = task_state(site, here, settings, task)
            clash = f"duplicate id: {task.path} on {here.base_name}" if task.id in taken else None
            states.append(msgspec.structs.replace(state, trouble=clash) if clash else state)
    return tuple(states)


def _new_tasks(repo: git.Repo, base: str, work: str) -> tuple[Task, ...]:
    """The tasks that a task branch has and base has not, read apart: one may bear the id of another on base."""
    added = {path for path, kind in git.changed(repo, base, work).items() if kind == "A"}
    there = {file.path: file.blob for file in git.files(repo, work, "tasks")}
    paths = [path for path in backlog.candidates(there) if path in added]
    texts = git.blobs(repo, [there[path] for path in paths])
    return backlog.backlog({path: texts[there[path]] for path in paths}).tasks


def _is_child(task: Task, parent: TaskState) -> bool:
    return task.request.parent == parent.task.id and task.id.startswith(f"{parent.task.id}-")


def waiting(parent: TaskState, children: Families) -> TaskState:
    """Pure: a parent that stands before anything but its design waits for subtasks that are not complete."""
    own = children.get(parent.task.id, ())
    parent = msgspec.structs.replace(parent, has_subtasks=bool(own))
    if not own or parent.current is Stage.DESIGN:
        return parent
    unfinished = tuple(state.task.id for state in own if state.current is not None)
    return msgspec.structs.replace(parent, waits=parent.waits + unfinished)
