"""A new task, written in a form."""

from asyncio import to_thread
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from runner.errors import UserError
from runner.lifecycle import STAGES
from webhook.api.room import Room, TheRoom
from webhook.api.tasks import write_task
from webhook.pages import reading
from webhook.pages.frame import Ask, page
from webhook.shapes import NewTask
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
    room: Room, request: Ask, given: Mapping[str, Any], *, status: int = 200, problem: str = "", discussion: str = ""
) -> Response[str]:
    """The form with what was `given`, after a try that came to nothing with the reason."""
    shown = {name: given.get(name, "") for name in FIELDS} | {"stages": given.get("stages") or [str(s) for s in STAGES]}
    agents = reading.names(room.reader.conn)
    return page(
        room, request, "new.html", status, given=shown, stages=[str(stage) for stage in STAGES], agents=agents,
        problem=problem, discussion=discussion,
    )  # fmt: skip


@post("/new")
async def write(room: TheRoom, request: Ask) -> Response[Any]:
    """Write it, as the API does."""
    form = await request.form()
    given: dict[str, Any] = {name: str(form.get(name, "")).strip() for name in FIELDS}
    given["stages"] = [str(stage) for stage in form.getall("stages", [])]
    try:
        made = await to_thread(write_task, room, asked(given))
    except (Conflict, Senseless, ValueError, UserError) as error:
        return form_page(room, request, given, status=422, problem=str(error))
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
