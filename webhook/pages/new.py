"""A new task, written in a form."""

from asyncio import to_thread
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.response import Redirect

from runner.errors import UserError
from runner.lifecycle import STAGES
from webhook.api.room import Room, TheRoom
from webhook.api.tasks import write_task
from webhook.pages import reading
from webhook.pages.frame import Ask, page, visitor
from webhook.shapes import Made, NewTask
from webhook.writing import Conflict, Senseless

FIELDS = (
    "title", "id", "description", "complexity", "priority", "acceptance", "depends_on", "agent", "steps", "tokens",
    "cost", "minutes",
)  # fmt: skip


@get("/new", sync_to_thread=False)
def show_form(room: TheRoom, request: Ask) -> Response[str]:
    """The empty form."""
    return form_page(room, request, {})


def form_page(
    room: Room,
    request: Ask,
    given: Mapping[str, Any],
    *,
    status: int = 200,
    problem: str = "",
    discussion: str = "",
    reason: str = "",
) -> Response[str]:
    """The form with what was `given`, after a try that came to nothing with the reason.

    `discussion` is the one that becomes a task, `reason` why it has that complexity.
    """
    shown = {name: given.get(name, "") for name in FIELDS} | {"stages": given.get("stages") or [str(s) for s in STAGES]}
    agents = reading.names(room.reader.conn)
    return page(
        room, request, "new.html", status, given=shown, stages=[str(stage) for stage in STAGES], agents=agents,
        problem=problem, discussion=discussion, reason=reason,
    )  # fmt: skip


@post("/new")
async def write(room: TheRoom, request: Ask) -> Response[Any]:
    """Write it, as the API does."""
    given = given_in(await request.form())
    try:
        made = await to_thread(write_task, room, asked(given), visitor(room, request).identity)
    except (Conflict, Senseless, ValueError, UserError) as error:
        return form_page(room, request, given, status=422, problem=str(error))
    return written(room, request, made)


def given_in(form: FormMultiDict) -> dict[str, Any]:
    """What a person typed, by field."""
    given: dict[str, Any] = {name: str(form.get(name, "")).strip() for name in FIELDS}
    return given | {"stages": [str(stage) for stage in form.getall("stages", [])]}


def written(room: Room, request: Ask, made: Made) -> Response[Any]:
    """The task's page; where it has to be merged or labelled first, a page that says so."""
    if made.commit is None:
        return page(room, request, "proposed.html", 202, made=made)
    return Redirect(f"/tasks/{made.slug}?done=made", status_code=303)


def asked(given: Mapping[str, Any]) -> NewTask:
    """Pure: what a form says as a task. Raises `ValueError` (of which `msgspec.ValidationError` is one)."""
    known = {name: value for name, value in given.items() if value and name in NewTask.__struct_fields__}
    for name in ("complexity", "priority"):
        if name in known:
            known[name] = _number(name, known[name])
    for name, cut in (("acceptance", "\n"), ("depends_on", None)):
        if name in known:
            known[name] = [part.strip() for part in known[name].split(cut) if part.strip()]
    if "description" in known:
        known["description"] = known["description"].replace("\r\n", "\n")
    budget = {name: _number(name, given[name]) for name in ("steps", "tokens", "cost", "minutes") if given.get(name)}
    return msgspec.convert(known | ({"budget": budget} if budget else {}), NewTask)


def _number(name: str, word: str) -> float:
    try:
        return int(word) if word.lstrip("-").isdigit() else float(word)
    except ValueError as error:
        raise ValueError(f"{name}: {word} is no number") from error
