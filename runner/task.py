"""A task as a person asked for it: `tasks/**/<id>.yaml` → a frozen value."""

from typing import Annotated

import msgspec
from msgspec import Meta

from runner.lifecycle import STAGES, Stage

Complexity = Annotated[int, Meta(ge=1, le=10)]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bounds of a whole task; None is no bound. `cost` in US dollars, `minutes` of agents' wall time."""

    steps: Annotated[int, Meta(ge=1)] | None = None
    tokens: Annotated[int, Meta(ge=1)] | None = None
    cost: Annotated[float, Meta(ge=0)] | None = None
    minutes: Annotated[float, Meta(gt=0)] | None = None


class TaskFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys that a task's YAML may have. Only `title` must be there."""

    title: Annotated[str, Meta(min_length=1, max_length=200)]
    description: str = ""
    complexity: Complexity | None = None
    priority: int = 5
    stages: Annotated[tuple[Stage, ...], Meta(min_length=1)] = STAGES
    depends_on: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()
    agent: str | None = None
    budget: Budget = Budget()
    tests_must_fail_before: bool = True
    parent: str | None = None


class Task(msgspec.Struct, frozen=True):
    """A task with its place: `path` of the YAML in the repository, `folder` of its record."""

    id: str
    path: str
    request: TaskFile

    @property
    def folder(self) -> str:
        """The folder of the task's record, beside its YAML: `tasks/<id>`."""
        return self.path.rpartition("/")[0] + "/" + self.id
