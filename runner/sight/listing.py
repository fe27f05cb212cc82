"""What lies below `tasks/` on a branch, kept in memory by task id and brought forward by differences.

A branch's listing is base's with its own difference laid over, so that looking at one of a hundred branches beside
10,000 tasks costs what the branch changed. Which files are tasks and records, `runner.backlog` alone says: here it is
only asked about the few paths that matter for one id.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from runner import backlog
from runner.backlog import RECORD, Problem
from runner.sight.pipes import Change, Pipes
from runner.task import Task

UPDATES = "updates.jsonl"


class File(NamedTuple):
    """A file's mode as Git writes it, and its blob."""

    mode: str
    blob: str


class Listing:
    """The files below `tasks/` of one tree. `over` is another listing that this one differs from."""

    def __init__(self, over: "Listing | None" = None) -> None:
        self.over = over
        self.files: dict[str, File | None] = {}  # None: gone, where `over` has it
        self.yaml: dict[str, set[str]] = defaultdict(set)  # id → paths of YAML files with that name
        self.records: dict[str, set[str]] = defaultdict(set)  # id → paths of its records
        self.below: dict[str, set[str]] = defaultdict(set)  # folder → paths of YAML files below it

    def apply(self, changes: Iterable[Change]) -> None:
        """Bring the listing forward."""
        for change in changes:
            if change.path.startswith(backlog.ROOT):
                self._put(change.path, File(change.mode, change.blob) if change.blob else None)

    def _put(self, path: str, file: File | None) -> None:
        if file is None and self.over is None:
            self.files.pop(path, None)
        else:
            self.files[path] = file
        if path.lower().endswith((".yaml", ".yml")):
            for names in self._names(path):
                (names.discard if file is None and self.over is None else names.add)(path)

    def _names(self, path: str) -> Iterator[set[str]]:
        yield self.yaml[stem(path)]
        if path.endswith(f"/{RECORD}"):
            yield self.records[path.split("/")[-2]]
        for folder in folders(path):
            yield self.below[folder]

    def get(self, path: str) -> File | None:
        """The file at a path."""
        if path in self.files:
            return self.files[path]
        return self.over.get(path) if self.over else None

    def _known(self, kind: str, name: str) -> set[str]:
        own: Mapping[str, set[str]] = getattr(self, kind)
        paths = set(own.get(name, ())) | (self.over._known(kind, name) if self.over else set())
        return {path for path in paths if self.get(path) is not None}

    def ids(self) -> set[str]:
        """The names of all YAML files and of all folders with a record."""
        names = {name for names in (self.yaml, self.records) for name, paths in names.items() if paths}
        return (names | (self.over.ids() if self.over else set())) - {"record"}

    def contents(self) -> list[str]:
        """The blobs of all YAML files."""
        return [file.blob for paths in self.yaml.values() for path in paths if (file := self.get(path))]

    def named(self, id: str) -> set[str]:
        """The paths of YAML files with the name of a task."""
        return self._known("yaml", id)

    def touched(self, path: str) -> set[str]:
        """The ids about which a change of the file at `path` may say something."""
        found = {stem(path)} | {folder.rpartition("/")[2] for folder in folders(path)}
        inside = path.rpartition("/")[0] if path.endswith(f"/{RECORD}") else path.removesuffix(".yaml")
        if inside != path and inside != "tasks":
            found |= {stem(other) for other in self._known("below", inside)}
        return found

    def _around(self, paths: Iterable[str]) -> set[str]:
        """Paths with all that decides whether they lie in a record."""
        found = set(paths)
        for path in tuple(found):
            for folder in folders(path):
                found |= {beside for beside in (f"{folder}/{RECORD}", f"{folder}.yaml") if self.get(beside)}
        return found

    def task(self, pipes: Pipes, id: str) -> Task | list[Problem]:
        """The task with that id, or what is wrong with the files of that name (none: nothing has it)."""
        paths = [path for path in backlog.candidates(self._around(self.named(id))) if stem(path) == id]
        irregular = frozenset(path for path in paths if not self._at(path).mode.startswith("100"))
        if len(paths) == 1 and not irregular:  # as almost always
            one = backlog.parsed(paths[0], pipes.blob(self._at(paths[0]).blob), False)
            return one if isinstance(one, Task) else [one]
        texts = pipes.blobs(self._at(path).blob for path in paths if path not in irregular)
        contents = {path: texts.get(self._at(path).blob, b"") for path in paths}
        found = backlog.backlog(contents, irregular)
        return found.tasks[0] if found.tasks else list(found.problems)

    def record(self, id: str) -> str | None:
        """The path of a task's record."""
        paths = self._known("records", id)
        return backlog.record_path(self._around(paths), id) if paths else None

    def added(self) -> list[str]:
        """The paths that `over` does not have."""
        over = self.over
        return [path for path, file in self.files.items() if file and (over is None or over.get(path) is None)]

    def new_tasks(self, pipes: Pipes) -> tuple[Task, ...]:
        """The tasks that `over` does not have, read apart: one may bear the id of another there."""
        added = set(self.added())
        paths = [path for path in backlog.candidates(self._around(added)) if path in added]
        texts = {path: pipes.blob(file.blob) for path in paths if (file := self._at(path)).mode.startswith("100")}
        return backlog.backlog(texts).tasks

    def _at(self, path: str) -> File:
        file = self.get(path)
        assert file is not None
        return file


def stem(path: str) -> str:
    """A file's name without its last ending."""
    return path.rpartition("/")[2].rpartition(".")[0]


def folders(path: str) -> list[str]:
    """The folders above a path, but for `tasks` itself."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(2, len(parts))]
