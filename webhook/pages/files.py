"""A file of a task, as Git has it: shown as what its content is, and never run."""

from asyncio import to_thread
from typing import Any

from litestar import Response, get
from litestar.params import FromPath

from runner.talk import files as kinds
from runner.talk.paper import KIND
from webhook import store
from webhook.api.room import Room, TheRoom, missing
from webhook.index import BASE
from webhook.pages import evidence, reading
from webhook.pages.frame import Ask, page
from webhook.pages.sheet import sheet
from webhook.pages.task import find

PATIENCE = 1.5  # seconds that a page waits for PDFs to be read


@get("/tasks/{slug:str}/files/{path:path}")
async def show_file(room: TheRoom, request: Ask, slug: FromPath[str], path: FromPath[str]) -> Response[Any]:
    """A page around the file; with `raw` its bytes, with `page` the picture of a PDF's page."""
    task, name = find(room, slug), str(path).removeprefix("/")
    base = store.refs(room.reader.conn)[BASE]
    attempts = reading.attempts(room.reader.conn, task.id)

    def read() -> evidence.Content | None:
        where = evidence.place(room.site, base, task, attempts)
        return evidence.content(room.site, where.commit, name)

    found = await to_thread(read)
    if found is None:
        raise missing(f"there is no file {name}")
    if "raw" in request.query_params:
        return raw(name, found.data)
    if "page" in request.query_params:
        return await to_thread(_picture, room, found.blob, str(request.query_params["page"]))
    values = await to_thread(shown, name, found.data)
    papers = await room.papers.of([found.blob] * (values["media"] == KIND), PATIENCE)
    return await to_thread(
        page, room, request, "file.html", 200, slug=task.slug, title=task.title, name=name,
        paper=papers.get(found.blob), **values,
    )  # fmt: skip


def _picture(room: Room, blob: str, number: str) -> Response[bytes]:
    """A page of a PDF that was read already."""
    known = number.isascii() and number.isdigit() and len(number) < 4
    data = room.papers.picture(blob, int(number)) if known else None
    if data is None:
        raise missing(f"there is no picture of page {number}")
    headers = {"content-security-policy": "default-src 'none'; sandbox", "cache-control": "private, max-age=86400"}
    return Response(data, media_type="image/png", headers=headers)


def shown(name: str, data: bytes) -> dict[str, Any]:
    """Pure: what a template needs to show a file: its `media` type, its `text` or its `sheet`."""
    media = _media(name, data)
    text = data[: evidence.MOST_BYTES].decode("utf-8", "replace") if kinds.is_text(media) else ""
    return {"media": media, "text": text, "sheet": sheet(text) if media == "text/csv" else None, "size": len(data)}


def raw(name: str, data: bytes) -> Response[bytes]:
    """A file's bytes: a picture as one, all else to be kept and not looked at."""
    media = _media(name, data)
    headers = {
        "content-security-policy": "default-src 'none'; sandbox",
        "content-disposition": "inline" if media.startswith("image/") else "attachment",
        "cache-control": "no-store",
    }
    return Response(
        data, media_type=media if media.startswith("image/") else "application/octet-stream", headers=headers
    )


def _media(name: str, data: bytes) -> str:
    try:
        return kinds.media_type(name, data)
    except kinds.Refused:
        return "application/octet-stream"
