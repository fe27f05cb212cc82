"""All discussions, and a form that begins one more."""

from asyncio import to_thread
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.response import Redirect

from webhook.api.room import Room, TheRoom
from webhook.pages import reading
from webhook.pages.frame import Ask, page, visitor
from webhook.pages.talks import TROUBLE, talks_of
from webhook.queries import Page
from webhook.talk import queries
from webhook.talk.shapes import Discussions, NewDiscussion
from webhook.talking import Unknown

A_PAGE = 50


@get("/discussions", sync_to_thread=False)
def show_talks(room: TheRoom, request: Ask) -> Response[str]:
    """The one that was spoken in last first, and a form for one more."""
    return list_page(room, request)


def list_page(room: Room, request: Ask, *, status: int = 200, problem: str = "", text: str = "") -> Response[str]:
    """The list, after a try that came to nothing with the reason and what was typed."""
    q, cursor = str(request.query_params.get("q", "")).strip()[:200], request.query_params.get("cursor")
    body = queries.listed(room.reader, Page(A_PAGE, cursor), task=None, agent=None, q=q or None)
    found = msgspec.json.decode(body, type=Discussions)
    agents = reading.names(room.reader.conn)
    return page(
        room, request, "talks.html", status, talks=found.items, following=found.next, q=q, agents=agents,
        problem=problem, text=text,
    )  # fmt: skip


@post("/discussions")
async def begin(room: TheRoom, request: Ask) -> Response[Any]:
    """Begin one that is about no task, with what is said first."""
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    me = visitor(room, request)
    if not form.get("text"):
        return list_page(room, request, status=422, problem="Say something to begin with.")
    asked = NewDiscussion(text=form["text"].replace("\r\n", "\n"), agent=form.get("agent") or None, who=me.who)
    try:
        id, _ = await to_thread(talks_of(room).begin, asked)
    except (Unknown, *TROUBLE) as error:
        return list_page(room, request, status=409, problem=str(error), text=form["text"])
    return Redirect(f"/discussions/{id}", status_code=303)
