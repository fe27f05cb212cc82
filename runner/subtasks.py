"""Tasks that a task's design proposed: files on its task branch, whose base that branch is. Reads Git, writes nothing.

They run in parallel, each ending in one proposal into the parent's task branch; the parent's build begins when they
are complete (docs/design.md, section 3).
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from runner.agents import Settings
from runner.host import Site
from runner.lifecycle import Stage, work_branch
from runner.progress import Eyes, Refs, task_state
from runner.sight.owners import by_task
from runner.state import TaskState
from runner.task import Task

Families = dict[str, tuple[TaskState, ...]]


def families(site: Site, refs: Refs, settings: Settings, parents: Iterable[TaskState], eyes: Eyes) -> Families:
    """Parent's id → the states of its subtasks, for every task that is under way."""
    own, none = by_task(refs), refs._replace(branches={}, ours={})

    def state(task: Task, parent: str, work: str) -> TaskState:
        here = own.get(task.id, none)._replace(base=work, base_name=work_branch(parent))
        return task_state(site, here, settings, task, eyes=eyes)

    parents = tuple(parents)
    taken = {parent.task.id for parent in parents}
    found: Families = {}
    for parent in parents:
        children = tuple(_children(parent, refs.base, taken, eyes, state))
        if children:
            found[parent.task.id] = children
            taken |= {child.task.id for child in children}
    return found


def _children(
    parent: TaskState, base: str, taken: set[str], eyes: Eyes, state: Callable[[Task, str, str], TaskState]
) -> Iterator[TaskState]:
    if parent.work is None or parent.current is None or eyes.holds(base, parent.work):
        return
    for task in eyes.added(base, parent.work):
        if _is_child(task, parent):
            child = state(task, parent.task.id, parent.work)
            clash = f"duplicate id: {task.path} on {child.base_name}" if task.id in taken else None
            yield msgspec.structs.replace(child, trouble=clash) if clash else child


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
