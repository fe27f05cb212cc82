"""The task files of one commit: `tasks/**/<id>.yaml` → tasks, and what is wrong with the rest.

All but `read` is pure: paths and contents in, values out. One bad file never hides the others.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

import msgspec

from runner import git
from runner.errors import UserError
from runner.parsing.characters import shown
from runner.task import Task, parse_task

ROOT = "tasks/"
RECORD = "record.yaml"


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with the file at `path` (`what` does not repeat the path), and what to do about it."""

    path: str
    what: str
    remedy: str


class Backlog(msgspec.Struct, frozen=True):
    """The tasks that can be read, by path, and the problems.

    A file that has no place among `tasks` has a problem; a task may be listed and have one as well, where it depends on
    something that never completes: it waits, and the problem says why.
    """

    tasks: tuple[Task, ...]
    problems: tuple[Problem, ...]


def candidates(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of a commit's `paths` that ought to be task files, sorted: the YAML under `tasks/` outside of records.

    A folder that holds `record.yaml`, or stands beside a `<name>.yaml`, is a record and is not searched. `tasks/`
    itself never is one.
    """
    known = frozenset(paths)
    yaml = (path for path in known if path.startswith(ROOT) and path.lower().endswith((".yaml", ".yml")))
    return tuple(sorted(path for path in yaml if _record_above(path, known) is None))


def _record_above(path: str, known: Collection[str]) -> str | None:
    """The uppermost folder above `path` that is a record."""
    parts = path.split("/")
    folders = ("/".join(parts[:depth]) for depth in range(2, len(parts)))
    return next((folder for folder in folders if f"{folder}/{RECORD}" in known or f"{folder}.yaml" in known), None)


def record_path(paths: Iterable[str], id: str) -> str | None:
    """The `record.yaml` of the task `id` among a commit's `paths`, wherever under `tasks/` it was moved; or None.

    What lies inside of another task's record is that task's output, whatever it looks like. Of several, the one beside
    the task's file is meant, else the first.
    """
    known = frozenset(paths)
    ending = f"/{id}/{RECORD}"
    found = sorted(p for p in known if p.startswith(ROOT) and p.endswith(ending) and _owner(p, known) == id)
    return next((path for path in found if path.removesuffix(f"/{RECORD}") + ".yaml" in known), (*found, None)[0])


def _owner(path: str, known: Collection[str]) -> str:
    folder = _record_above(path, known) or ""
    return folder.rpartition("/")[2] if path == f"{folder}/{RECORD}" else ""


def read(repo: git.Repo, rev: str) -> Backlog:
    """The tasks and problems of the commit `rev`."""
    here = {file.path: file for file in git.files(repo, rev, "tasks")}
    irregular = frozenset(path for path, file in here.items() if not file.mode.startswith("100"))
    wanted = {path: here[path].blob for path in candidates(here) if path not in irregular}
    contents = git.blobs(repo, wanted.values())
    return backlog({path: contents.get(wanted.get(path, ""), b"") for path in here}, irregular)


def backlog(files: Mapping[str, bytes], irregular: Collection[str] = frozenset()) -> Backlog:
    """The tasks and problems of one commit.

    `files` maps every path below `tasks/` to its content, which matters for `candidates` only. `irregular` are the
    paths that are no regular files: symbolic links and submodules.
    """
    paths = candidates(files)
    doubles = _doubles(paths)
    found = [doubles.get(path) or parsed(path, files[path], path in irregular) for path in paths]
    tasks = tuple(one for one in found if isinstance(one, Task))
    problems = tuple(one for one in found if isinstance(one, Problem))
    return Backlog(tasks, (*problems, *_dependencies(tasks, _ids(paths) | _recorded(files))))


def _id(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _ids(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(_id(path) for path in paths)


def _recorded(paths: Iterable[str]) -> frozenset[str]:
    """Names of the folders that hold a record: such a task existed, though its file may be gone."""
    return frozenset(path.split("/")[-2] for path in paths if path.startswith(ROOT) and path.endswith("/" + RECORD))


def _doubles(paths: Iterable[str]) -> dict[str, Problem]:
    """A problem for every file whose id another file has too: nobody can say which one is meant."""
    by_id = defaultdict(list)
    for path in paths:
        if path.endswith(".yaml"):
            by_id[_id(path)].append(path)
    same = {path: [other for other in by_id[_id(path)] if other != path] for path in paths if path.endswith(".yaml")}
    return {path: _double(path, others) for path, others in same.items() if others}


def _double(path: str, others: list[str]) -> Problem:
    named = ", ".join(shown(other, 200) for other in others)
    return Problem(path, f"the id `{shown(_id(path))}` is also that of {named}", "rename all but one of them")


def parsed(path: str, data: bytes, irregular: bool) -> Task | Problem:
    """The task of one file that ought to be one, or what is wrong with it."""
    if irregular:
        return Problem(path, "a symbolic link or submodule is not read as a task", "put the file itself there")
    if not path.endswith(".yaml"):
        return Problem(path, "task files end in .yaml", f"rename it to {shown(_id(path))}.yaml")
    try:
        return parse_task(path, data)
    except UserError as error:
        return Problem(path, error.what.removeprefix(f"{shown(path, 200)}: "), error.remedy)


def _dependencies(tasks: Collection[Task], known: frozenset[str]) -> Iterator[Problem]:
    """Tasks that would wait for ever: for one that does not exist, or in a circle."""
    graph = {task.id: task.request.depends_on for task in tasks if task.request.depends_on}
    stuck = _stuck(graph)
    for task in tasks:
        missing = [name for name in task.request.depends_on if name not in known and not name.startswith("issue-")]
        if missing:
            what = f"depends_on: no task is named {', '.join(missing)}"
            yield Problem(task.path, what, "correct the name, or remove it")
        circle = _circle(task.id, graph) if task.id in stuck else ()
        if circle:
            what = f"depends_on: the tasks wait for each other: {' → '.join(circle)}"
            yield Problem(task.path, what, "remove one of these dependencies")


def _stuck(graph: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """The tasks on a circle, or behind one: what is left when all that can be sorted is."""
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
        return frozenset()
    except CycleError:
        free: set[str] = set()
        while ready := sorter.get_ready():
            free.update(ready)
            sorter.done(*ready)
        return frozenset(graph) - free


def _circle(start: str, graph: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """A shortest way from `start` along its dependencies back to itself; empty if there is none."""
    reached: dict[str, str] = {}
    queue = [start]
    for name in queue:  # grows while it is walked: breadth first
        for following in graph.get(name, ()):
            if following == start:
                return _way(start, name, reached)
            if following not in reached:
                reached[following] = name
                queue.append(following)
    return ()


def _way(start: str, end: str, reached: Mapping[str, str]) -> tuple[str, ...]:
    way = [start, end]
    while way[-1] != start:
        way.append(reached[way[-1]])
    return tuple(reversed(way))
