"""`/task`: a talk becomes a task. The agent writes it, the person edits it and says yes; then it is made."""

from collections.abc import Callable, Iterator

import msgspec

from pullwright.authoring import id_of, new_task
from pullwright.chat.room import Room, now
from runner.errors import UserError
from runner.observe import away
from runner.parsing import yamldoc
from runner.talk.drafting import Draft, draft
from runner.talk.messages import Message, note_id
from runner.task import TaskFile, parse_task

HEAD = "# A task of this talk. Change what you like, save and close; an empty file makes none.\n"
FILE = "tasks/the-task.yaml"

Edit = Callable[[str], str | None]
Confirm = Callable[[str], str]
"""Asked with a text; the answer's first letter counts: y, n, or e to edit again."""


def written(room: Room) -> str:
    """The task that the talk amounts to, as YAML that a person can edit. Raises `UserError`."""
    found = room.bring()
    if found is None or not found.messages:
        raise UserError("nothing was said yet of which a task could be made", "say first what is wanted")
    made = draft(room.desk, found.about.id, away(room.site.repo, room.view.refs))
    return HEAD + _why(made) + yamldoc.dump(_keys(made)).decode()


def _why(made: Draft) -> str:
    return f"# Complexity {made.complexity}: {made.complexity_reason}\n" if made.complexity_reason else ""


def _keys(made: Draft) -> dict[str, object]:
    plain = msgspec.to_builtins(made)
    del plain["complexity_reason"]
    return {key: value for key, value in plain.items() if value not in ("", [])}


def settled(text: str, edit: Edit, confirm: Confirm, show: Callable[[str], None]) -> TaskFile | None:
    """Show, have it edited, ask; until there is a yes or a no. None: no task is wanted."""
    while True:
        show(text)
        answer = confirm("Make this task? [y]es, [e]dit, [n]o: ").strip().lower()[:1]
        if answer == "y" and (request := _read(text, show)) is not None:
            return request
        if answer == "n" or not answer:
            return None
        if answer == "e":
            text = edit(text) or ""
            if not text.strip():
                return None


def _read(text: str, show: Callable[[str], None]) -> TaskFile | None:
    try:
        return parse_task(FILE, text.encode("utf-8", "replace")).request
    except UserError as error:
        show(str(error))
        return None


def make(room: Room, request: TaskFile) -> Iterator[str]:
    """Write the task and note it in the talk; what was done. Raises `UserError`."""
    assert room.id is not None
    origin = f"From discussion {room.id}"
    request = msgspec.structs.replace(request, description=f"{request.description}\n\n{origin}".strip())
    task = _free(room, id_of(request.title))
    said = list(new_task(room.site.folder, request.title, commit=True, slug=task, **_given(request)))
    note = Message(note_id(room.id, task), now(), "note", room.me, f"Became the task {task}: {request.title}")
    room.note(msgspec.structs.replace(note, task=task))
    yield from said


def _given(request: TaskFile) -> dict[str, object]:
    """The keys as `pullwright task new` takes them."""
    return {
        "description": request.description,
        "complexity": request.complexity,
        "priority": request.priority if request.priority != 5 else None,
        "stages": ",".join(request.stages),
        "depends_on": request.depends_on,
        "accept": request.acceptance,
    }


def _free(room: Room, slug: str) -> str:
    """A task's id that nobody has."""
    taken = {state.task.id for state in room.view.states}
    taken |= {path.stem for path in (room.site.folder / "tasks").rglob("*.yaml")}
    ids = (slug, *(f"{slug}-{number}" for number in range(2, len(taken) + 3)))
    return next(id for id in ids if id not in taken)
