"""A task as a person asked for it: `tasks/**/<id>.yaml` → a frozen value."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from runner.errors import UserError
from runner.lifecycle import SLUG, STAGES, Stage
from runner.parsing import yamldoc
from runner.parsing.characters import shown, unfit
from runner.parsing.explain import Fault, Path

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
    """A task with its place: `path` of the YAML in the repository, `folder` of its record.

    `kept_in` is the folder where a record was found, in case the YAML has moved since. `source` and `accepted_by` are
    those of a task that has no file: an issue's address, and who made it a task.
    """

    id: str
    path: str
    request: TaskFile
    kept_in: str = ""
    source: str = ""
    accepted_by: str = ""

    @property
    def folder(self) -> str:
        """The folder of the task's record: where it is, else beside its YAML: `tasks/<id>`."""
        return self.kept_in or self.path.rpartition("/")[0] + "/" + self.id


def parse_task(path: str, data: bytes) -> Task:
    """The task in the file `path` (relative to the repository, its stem is the id) with the content `data`.

    Raises `UserError` that names file, key, line and remedy.
    """
    id = path.rpartition("/")[2].removesuffix(".yaml")
    name = shown(path, 200)
    _check_id(id, name)
    request = yamldoc.load(data, name, TaskFile)
    yamldoc.refuse(_faults(id, request), data, name)
    return Task(id, path, request)


def slug_of(title: str) -> str:
    """An id for a task of this title: lower-case ASCII words joined by hyphens, at most 50 characters; "" where there
    is no such word."""
    plain = unicodedata.normalize("NFKD", title.casefold()).encode("ascii", "ignore").decode()  # ß: ss
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return slug if len(slug) <= 50 else slug[:51].rpartition("-")[0] or slug[:50]


def _check_id(id: str, path: str) -> None:
    if not SLUG.fullmatch(id):
        like = re.sub(r"[^a-z0-9]+", "-", id.lower()).strip("-")[:63] or "fix-login"
        remedy = f"rename the file to {like}.yaml: lower-case letters, digits and dashes, 63 at most"
        raise UserError(f"{path}: `{shown(id)}` cannot be the id of a task", remedy)
    if id == "record" or re.fullmatch(r"issue-[0-9]+", id):
        owner = "the records of tasks" if id == "record" else "the issues of a forge"
        raise UserError(f"{path}: the name `{id}` belongs to {owner}", "give the file another name")


def _faults(id: str, request: TaskFile) -> Iterator[Fault]:
    """What the types alone do not say."""
    yield from _texts(request)
    yield from _names(request)
    yield from _order(request.stages)
    yield from _relations(id, request)


def _texts(request: TaskFile) -> Iterator[Fault]:
    """A title and acceptance lines stand on one line of commits, mails and reports; no text steers a terminal."""
    yield from _line(("title",), request.title)
    for index, text in enumerate(request.acceptance):
        yield from _line(("acceptance", index), text)
    if found := unfit(request.description, "\n\t"):
        yield Fault(("description",), f"the character {found} cannot stand in text", "remove it")


def _line(path: Path, text: str) -> Iterator[Fault]:
    if not text.strip():
        yield Fault(path, "the text is blank", "say in a few words what is wanted")
    if found := unfit(text, "\t"):
        yield Fault(path, f"the character {found} cannot stand in a line of text", "keep to one line of plain text")


def _names(request: TaskFile) -> Iterator[Fault]:
    named: list[tuple[Path, str | None]] = [(("agent",), request.agent), (("parent",), request.parent)]
    named += [(("depends_on", index), name) for index, name in enumerate(request.depends_on)]
    for path, name in named:
        if name is not None and not SLUG.fullmatch(name):
            yield Fault(path, f"`{shown(name)}` is no id", "ids are lower-case letters, digits and dashes")
    for index, name in enumerate(request.depends_on):
        if name in request.depends_on[:index]:
            yield Fault(("depends_on", index), f"`{name}` stands twice", "name each task once")


def _order(stages: tuple[Stage, ...]) -> Iterator[Fault]:
    right = tuple(stage for stage in STAGES if stage in stages)
    if stages != right:
        what = "a stage stands twice" if len(right) < len(stages) else "the stages are out of order"
        yield Fault(("stages",), what, f"write [{', '.join(right)}]")


def _relations(id: str, request: TaskFile) -> Iterator[Fault]:
    """The ids of subtasks begin with their parent's; one that waited for its parent, which waits for it, never ends."""
    parent = request.parent
    if parent is not None and not id.startswith(f"{parent}-"):
        yield Fault(("parent",), f"a subtask of `{parent}` is not named `{id}`", f"name the file {parent}-….yaml")
    for index, name in enumerate(request.depends_on):
        if name in (id, parent):
            whom = "itself" if name == id else "its parent, which waits for it"
            yield Fault(("depends_on", index), f"the task waits for {whom}", "remove it")


LIVE = ("priority", "agent", "budget")
"""Keys that a person may change while work is under way; any other edit holds the task (docs/design.md, rule 7)."""


def digest(request: TaskFile) -> str:
    """SHA-256 of what an agent works from: every key but the live ones, however the YAML is laid out."""
    fixed = {name: value for name, value in msgspec.structs.asdict(request).items() if name not in LIVE}
    return hashlib.sha256(msgspec.json.encode(fixed, order="sorted")).hexdigest()
