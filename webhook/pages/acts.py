"""What a person does with a click: the same commands and merges as from the terminal, under the person's name."""

from asyncio import to_thread
from typing import Any

import msgspec
from litestar import Response, post
from litestar.params import FromPath
from litestar.response import Redirect

from runner import commands
from runner.approval import approve
from runner.backlog import Backlog
from runner.errors import UserError
from runner.observe import View
from runner.people.orders import compose
from runner.talk import telling
from webhook import writing
from webhook.api.room import Room, TheRoom, missing
from webhook.pages.frame import Ask, Visitor, visitor
from webhook.pages.task import task_page

VERBS = (
    "approve", "comment", "reject", "answer", "pause", "resume", "cancel", "retry", "assign", "set-status",
    "set-budget",
)  # fmt: skip
BOUNDS = ("steps", "tokens", "cost", "minutes")
Form = dict[str, str]


@post("/tasks/{slug:str}/{verb:str}")
async def act(room: TheRoom, request: Ask, slug: FromPath[str], verb: FromPath[str]) -> Response[Any]:
    """One act; what comes to nothing is told on the page, with the reason."""
    if verb not in VERBS:
        raise missing(f"there is nothing called {verb} to do")
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    try:
        await to_thread(_done, room, slug, verb, form, visitor(room, request))
    except UserError as error:
        return await task_page(room, request, slug, status=409, problem=error.what, remedy=error.remedy)
    except ValueError as error:
        return await task_page(room, request, slug, status=422, problem=str(error))
    return Redirect(f"/tasks/{slug}?done={verb}", status_code=303)


def _done(room: Room, slug: str, verb: str, form: Form, me: Visitor) -> None:
    """Raises `UserError` when it makes no sense now, `ValueError` for what was left out."""
    state, settings, refs = room.keeper.ask(lambda index, refs: (index.look(refs, slug), index.settings(), refs))
    if state is None:
        raise missing(f"there is no task {slug}")
    if verb == "approve":
        if settings.forge == "github":
            raise UserError("proposals are merged on GitHub", "merge its pull request there")
        approve(room.site, View(refs, settings, Backlog((), ()), (state,)), state, me.identity, form.get("head", ""))
    else:
        if verb == "answer":
            telling.require_same(state, form.get("asked", ""))
        words = said(verb, form)
        if verb == "set-budget":  # bounds that are not named stay as they are
            before = msgspec.to_builtins(state.standing.budget or state.task.request.budget)
            words = {"budget": before | words["budget"]}
        command = compose(state, settings, verb, me.who, writing.now(), **words)
        writing.say(room.site, commands.ref_of(state.task.id), command)
    room.keeper.ask(lambda index, refs: None)  # so that the page which follows shows it


def said(verb: str, form: Form) -> dict[str, Any]:
    """Pure: what a form says as the arguments of a command. Raises `ValueError` for what was left out."""
    match verb:
        case "comment" | "reject" | "answer":
            if not form.get("text"):
                raise ValueError(f"{verb}: it needs words")
            return {"text": form["text"][:20_000].replace("\r\n", "\n")}
        case "assign":
            return {"agent": form.get("agent", "")}
        case "set-status":
            return {"status": form.get("status", "")} | ({"text": form["text"][:2000]} if form.get("text") else {})
        case "set-budget":
            return {"budget": bounds(form)}
    return {}


def bounds(form: Form) -> dict[str, float]:
    """Pure: the bounds of a budget that a form names. Raises `ValueError` for what is no number, or none at all."""
    try:
        found = {name: float(form[name]) for name in BOUNDS if form.get(name)}
    except ValueError as error:
        raise ValueError("a bound is a number") from error
    if not found or any(not 0 < value < 1e12 for value in found.values()):
        raise ValueError("give one bound or more, each above 0")
    return {name: value if name in ("cost", "minutes") else int(value) for name, value in found.items()}
