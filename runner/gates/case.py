"""What is judged: a commit of a stage, and what of it counts as its change, as tests, as a record."""

from collections.abc import Iterable
from typing import NamedTuple

from runner import git, globs
from runner.agents import Settings
from runner.lifecycle import Stage
from runner.record import Record

GENERATED = ("record.yaml", "updates.jsonl")


class Case(NamedTuple):
    """`commit` of a stage, between its `target` and the `base` commit last merged in.

    `folder` is that of the task's record, `record` the record as it stands, `settings` those of base. `accepted` is
    the head of the task branch (empty: the target): what it holds, its subtasks' work among it, was merged before.
    """

    stage: Stage
    commit: str
    target: str
    base: str
    folder: str
    record: Record
    settings: Settings
    accepted: str = ""

    @property
    def is_last(self) -> bool:
        """Whether this stage's proposal goes into base."""
        return self.stage is self.record.request.stages[-1]

    def inside(self, path: str) -> bool:
        """Whether a path lies in the task's record folder."""
        return path.startswith(f"{self.folder}/")

    def tests(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Those of `paths` that are tests; what lies in the record folder never is one."""
        return globs.matching((path for path in paths if not self.inside(path)), self.settings.tests)


def change(repo: git.Repo, commit: str, target: str, base: str) -> tuple[str, ...]:
    """A stage's change: the paths whose content differs from both its target and the base commit last merged in."""
    return tuple(sorted(set(git.changed(repo, target, commit)) & set(git.changed(repo, base, commit))))


def generated(folder: str) -> frozenset[str]:
    """The files that only the runner writes."""
    return frozenset(f"{folder}/{name}" for name in GENERATED)


def is_task_file(path: str) -> bool:
    """Whether a path is where a task may stand."""
    return path.startswith("tasks/") and path.endswith(".yaml")
