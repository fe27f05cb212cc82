"""Files of a discussion: received, and served as what is in them, never as what their name says."""

from asyncio import to_thread
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException
from litestar.params import PathParameter, QueryParameter

from runner import git
from runner.talk import files as kinds
from runner.talk import paper
from runner.talk.files import Refused
from webhook.api import docs
from webhook.api.discussions import TAGS, Id, talks_of
from webhook.api.room import TheRoom, missing
from webhook.api.room import who as who_asks
from webhook.talk import queries
from webhook.talk.shapes import File
from webhook.talking import Unknown

PATIENCE = 60.0
"""Seconds in which a PDF and those before it are read."""


@post(
    "/api/discussions/{id:str}/files",
    tags=TAGS,
    responses=docs.writes(400, 404, 413, 415, 422),
    summary="Send a file",
    operation_class=docs.Upload,
)
async def send_file(
    room: TheRoom,
    id: Id,
    request: Request[Any, Any, Any],
    name: Annotated[str, QueryParameter(description="What it is called, such as `plot.png`.", max_length=500)],
    who: Annotated[str, QueryParameter(description="Your name.", max_length=200)] = "",
) -> Response[File]:
    """The body is the file: a picture (PNG, JPEG, GIF, WebP), a PDF or text in UTF-8; 10 MB, and 50 MB in all.

    Another file of the same name gets a number. Name it in a message to say something about it.
    """
    try:
        wanted = kinds.name_of(name)
        by, data = who_asks(room, request, who), await _body(request)
        stored = await to_thread(talks_of(room).attach, id, wanted, data, by)
        media = kinds.media_type(stored, data)
    except Unknown as error:
        raise missing(str(error)) from error
    except Refused as error:
        raise HTTPException(status_code=413 if error.large else 422, detail=str(error)) from error
    where = f"/api/discussions/{id}/files/{stored}".encode("ascii", "ignore").decode()
    return Response(File(stored, len(data), media), status_code=201, headers={"Location": where})


async def _body(request: Request[Any, Any, Any]) -> bytes:
    """What is sent, as long as it is not too much. Raises `Refused`."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > kinds.MOST_FILE:
            raise Refused(f"a file has at most {kinds.MOST_FILE >> 20} MB", large=True)
    return bytes(data)


@get(
    "/api/discussions/{id:str}/files/{name:str}",
    tags=TAGS,
    responses=docs.content(400, 404),
    summary="Read a file",
)
async def read_file(
    room: TheRoom, id: Id, name: Annotated[str, PathParameter(max_length=500)], request: Request[Any, Any, Any]
) -> Response[bytes]:
    """As what is in it, never as what its name says; nothing in it runs."""
    found = queries.media(room.reader.conn, id, name)
    if found is None:
        raise missing(f"there is no file {name}")
    media, blob = found
    headers = {"etag": f'"{blob}"', "cache-control": "private, no-cache", "content-security-policy": _policy(media)}
    if request.headers.get("if-none-match", "") == headers["etag"]:
        return Response(b"", status_code=304, headers=headers)
    data = (await to_thread(git.blobs, room.site.repo, [blob])).get(blob)
    if data is None:
        raise missing(f"there is no file {name}")
    if media not in kinds.SHOWN:
        headers["content-disposition"] = "attachment"
    return Response(data, media_type=media, headers=headers)


@get(
    "/api/discussions/{id:str}/files/{name:str}/pages/{number:int}",
    tags=TAGS,
    responses=docs.content(400, 404, 503),
    summary="See a page of a PDF",
)
async def read_page(
    room: TheRoom,
    id: Id,
    name: Annotated[str, PathParameter(max_length=500)],
    number: Annotated[int, PathParameter(ge=1, le=paper.PAGES, description="From 1 on.")],
) -> Response[bytes]:
    """As a picture, made in the sandbox; of the first 20 pages there are such."""
    media, blob = queries.media(room.reader.conn, id, name) or ("", "")
    found = await room.papers.of([blob], PATIENCE) if media == paper.KIND else {}
    data = await to_thread(room.papers.picture, blob, number) if blob in found else None
    if media == paper.KIND and blob not in found:
        raise HTTPException(status_code=503, detail="it is still being read: ask again")
    if data is None:
        raise missing(f"there is no picture of page {number} of {name}")
    headers = {"cache-control": "private, max-age=86400", "content-security-policy": _policy("image/png")}
    return Response(data, media_type="image/png", headers=headers)


def _policy(media: str) -> str:
    """Browsers' viewers of PDF do not work inside of `sandbox`, and run nothing of the page's own."""
    return "default-src 'none'; frame-ancestors 'self'" + ("" if media == "application/pdf" else "; sandbox")


ROUTES = [send_file, read_file, read_page]
