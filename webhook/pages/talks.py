"""One discussion: shown, spoken in, given files, made into a task. The script makes its answers stream."""

import uuid
from asyncio import to_thread
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict, UploadFile
from litestar.params import FromPath
from litestar.response import Redirect

from runner import git
from runner.errors import UserError
from runner.talk import files as kinds
from runner.talk import paper
from runner.talk.paper import Paper
from webhook.api.discussions import task_of
from webhook.api.room import Room, TheRoom, missing
from webhook.pages import files, new, reading, standing
from webhook.pages.frame import Ask, page, visitor
from webhook.pages.reading import Card
from webhook.pages.text import LONGEST
from webhook.talk import queries
from webhook.talk.shapes import FullDiscussion, Message, NewDiscussion, NewMessage
from webhook.talking import Talks, Unknown
from webhook.writing import Conflict, Senseless

MOST_MESSAGES = 200
MOST_TEXT = 300_000  # characters of what was said
MOST_SHOWN = 300_000  # bytes of a file that is shown in its place
ALL_SHOWN = 1_000_000  # bytes of all of them
TROUBLE = (Conflict, Senseless, kinds.Refused, UserError, msgspec.ValidationError)


class Shown(NamedTuple):
    """A file of a discussion as it is shown there: its name, kind, size and blob; of a text `inside` is what it holds.

    `paper` is what there is of a PDF, None while it is being read.
    """

    name: str
    media: str
    size: int
    blob: str
    inside: Mapping[str, Any]
    paper: Paper | None


@get("/discussions/{id:str}")
async def show_talk(room: TheRoom, request: Ask, id: FromPath[str]) -> Response[str]:
    """One discussion; that of a task also before anything was said."""
    return await talk_page(room, request, id)


async def talk_page(
    room: Room, request: Ask, id: str, *, status: int = 200, problem: str = "", text: str = ""
) -> Response[str]:
    """A discussion's page, after a try that came to nothing with the reason and what was typed."""
    talk = _talk(room, id)
    card = _card(room, id)
    if talk is None and card is None:
        raise missing(f"there is no discussion {id}")
    reply = room.replies.of(id)
    messages = _newest(talk.messages) if talk else []
    named = {name for message in messages for name in message.files}
    query = "SELECT name, media_type, size, blob FROM discussion_files WHERE discussion_id = ?"
    rows = [row for row in room.reader.conn.execute(query, (id,)) if row[0] in named]
    papers = await room.papers.of([blob for _, media, _, blob in rows if media == paper.KIND], files.PATIENCE)
    shown = await to_thread(_files, room, rows, papers)
    return await to_thread(  # Markdown that is made for it takes seconds, in which others are answered
        page, room, request, "talk.html", status, id=id, talk=talk, messages=messages, task=card, reply=reply,
        coming=reply is not None and not any(one.answers == reply.to for one in messages), ways=_ways(card),
        asks=standing.asks(card) if card else "", asked=_asked(room, id),
        new_id=uuid.uuid4(), problem=problem, text=text, newest=messages[-1].number if messages else 0,
        files=shown, first={name: one.number for one in reversed(messages) for name in one.files},
    )  # fmt: skip


def _newest(messages: list[Message]) -> list[Message]:
    """Pure: the last ones, as many as make a page that can be made and read."""
    room, kept = MOST_TEXT, 0
    for message in reversed(messages[-MOST_MESSAGES:]):
        room -= min(len(message.text), LONGEST)
        if room < 0 and kept:
            break
        kept += 1
    return messages[len(messages) - kept :]


def _talk(room: Room, id: str) -> FullDiscussion | None:
    body = queries.one(room.reader, id, None)
    return msgspec.json.decode(body, type=FullDiscussion) if body else None


def _card(room: Room, id: str) -> Card | None:
    found = room.reader.task_id(id)
    return reading.card(room.reader, found) if found else None


def _asked(room: Room, id: str) -> str:
    found = room.reader.task_id(id)
    return reading.asked(room.reader, found) if found else ""


def talks_of(room: Room) -> Talks:
    """What writes discussions."""
    return Talks(room.site, room.keeper, room.replies)


def _files(room: Room, rows: list[tuple[str, str, int, str]], papers: Mapping[str, Paper]) -> dict[str, Shown]:
    """Files by name; what can be read of them in its place."""
    held = git.blobs(room.site.repo, _in_place(rows))
    return {
        name: Shown(name, media, size, blob, files.shown(name, held[blob]) if blob in held else {}, papers.get(blob))
        for name, media, size, blob in rows
    }


def _in_place(rows: list[tuple[str, str, int, str]]) -> list[str]:
    """Pure: the blobs of the texts that are shown where they were sent, while there is room."""
    room, found = ALL_SHOWN, []
    for _, media, size, blob in rows:
        if kinds.is_text(media) and size <= min(MOST_SHOWN, room):
            room -= size
            found.append(blob)
    return found


def _ways(card: Card | None) -> list[tuple[str, str]]:
    """Pure: as what something can be said to a task as it stands: the value and its words, the likeliest first."""
    talk = ("talk", "Ask the agent")
    if card is None:
        return [talk]
    if card.mark == "work":
        return [("talk", f"Ask, and tell {card.agent} before its next step")]
    if card.mark == "ready":
        return [talk, ("comment", "Send the proposal back with this"), ("reject", "Reject the proposal with this")]
    return [("answer", "Answer what it asks"), talk] if standing.asks(card) else [talk]


@post("/discussions/{id:str}/messages", request_max_body_size=kinds.MOST_ALL + (1 << 20))
async def say(room: TheRoom, request: Ask, id: FromPath[str]) -> Response[Any]:
    """Say something, with files; where a task has no discussion yet, this begins it."""
    form = await request.form()
    text = str(form.get("text", "")).strip().replace("\r\n", "\n")
    if not text:
        return await talk_page(room, request, id, status=422, problem="Say something with it.")
    sent = await _uploads(form)
    who, card, begun = visitor(room, request).who, _card(room, id), _talk(room, id) is not None

    def said() -> None:
        talks = talks_of(room)
        if card is not None and not begun:
            talks.begin(NewDiscussion(task=card.slug, who=who))
        names = [talks.attach(id, name, data, who) for name, data in sent]
        given = {"text": text, "id": str(form.get("id") or "") or None, "files": names, "who": who}
        given |= {"as": str(form.get("as") or "talk"), "asked": str(form.get("asked") or "")}
        talks.say(id, msgspec.convert(given, NewMessage))

    try:
        await to_thread(said)
    except Unknown as error:
        raise missing(str(error)) from error
    except TROUBLE as error:
        return await talk_page(room, request, id, status=409, problem=str(error), text=text)
    return Redirect(f"/discussions/{id}#last", status_code=303)


async def _uploads(form: FormMultiDict) -> list[tuple[str, bytes]]:
    """The files of a form, by the names that they had."""
    found = [one for one in form.getall("files", []) if isinstance(one, UploadFile) and one.filename]
    return [(kinds.name_of(one.filename.rpartition("/")[2].rpartition("\\")[2]), await one.read()) for one in found]


@post("/discussions/{id:str}/stop")
async def stop(room: TheRoom, id: FromPath[str]) -> Response[Any]:
    """Stop the answer that is on its way."""
    room.replies.cancel(id)
    return Redirect(f"/discussions/{id}#last", status_code=303)


@post("/discussions/{id:str}/draft")
async def draft(room: TheRoom, request: Ask, id: FromPath[str]) -> Response[Any]:
    """The form of a new task, filled in by the agent from what was said."""
    try:
        made = await to_thread(talks_of(room).draft, id)
    except Unknown as error:
        raise missing(str(error)) from error
    except TROUBLE as error:
        return await talk_page(room, request, id, status=409, problem=str(error))
    given = msgspec.to_builtins(made) | {"acceptance": "\n".join(made.acceptance)}
    return new.form_page(room, request, given, discussion=id, reason=made.complexity_reason)


@post("/discussions/{id:str}/tasks")
async def make_task(room: TheRoom, request: Ask, id: FromPath[str]) -> Response[Any]:
    """Write the task that a discussion became, as the person has it now."""
    given, me = new.given_in(await request.form()), visitor(room, request)
    try:
        made = await to_thread(task_of, room, id, new.asked(given), me.who, me.identity)
    except Unknown as error:
        raise missing(str(error)) from error
    except (ValueError, *TROUBLE) as error:
        return new.form_page(room, request, given, status=422, problem=str(error), discussion=id)
    return new.written(room, request, made)
