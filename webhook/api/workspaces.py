"""Workspaces: prepared, looked into, given files. No path leads out of them, no link is followed."""

import os
from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from runner import git, workspace
from webhook import elsewhere, shelf, writing
from webhook.api import docs
from webhook.api.room import Room, TheRoom, answer, as_json, missing
from webhook.rows import Names
from webhook.shapes import Entry, Files, NewWorkspace, Stored, Workspace

TAGS = ["workspaces"]
Id = Annotated[str, PathParameter(description="The workspace's id.", max_length=63)]
CHUNK = 1 << 16


def _found(room: Room, id: str) -> Workspace:
    body = room.reader.workspace(id)
    if body is None:
        raise missing(f"there is no workspace {id}")
    return msgspec.json.decode(body, type=Workspace)


def _here(room: Room, id: str) -> Workspace:
    """A workspace whose files are on this host. Raises `Conflict` with the name of the one that has them."""
    found = _found(room, id)
    if found.host not in (None, room.site.id):
        raise writing.Conflict(f"the workspace is on the host {found.host}: send files there")
    return found


def folder_of(room: Room, found: Workspace) -> Path:
    """Its folder, from names that are ours and not from a column."""
    agent, task = found.workspace_path.split("/")[-3], found.workspace_path.split("/")[-1]
    return workspace.at(room.site.state / "workspaces", agent, task, "").root


@post(
    "/api/workspaces",
    sync_to_thread=True,
    tags=TAGS,
    guards=[as_json],
    responses=docs.writes(400, 404, 409, 413, 415, 422),
    summary="Prepare a workspace",
)
def make_workspace(room: TheRoom, data: JSONBody[NewWorkspace]) -> Response[bytes]:
    """Lays out the task's files for an agent, unless the folder is there already."""
    state, agent = room.keeper.ask(lambda index, refs: (index.look(refs, data.task), index.agent(data.agent)))
    if state is None or agent is None:
        raise missing(f"there is no {'task ' + data.task if state is None else 'agent ' + data.agent}")
    made = writing.prepare_workspace(room.site, state, agent)
    slug = state.task.id
    names: Names = room.keeper.ask(lambda index, refs: Names(index.settings().repository), frozenset({slug}))
    id = names.workspace(agent, slug)
    body = room.keeper.ask(lambda index, refs: index.workspace(id))
    found = answer(body, f"there is no workspace {id}", 201 if made else 200)
    found.set_header("Location", f"/api/workspaces/{id}/files")
    return found


@get(
    "/api/workspaces/{id:str}/files",
    tags=TAGS,
    responses=docs.reads(Files, 404),
    summary="List a workspace's files",
)
async def list_files(room: TheRoom, id: Id) -> Response[Files]:
    """Of a workspace on another host: the files of its stage branch."""
    found = _found(room, id)
    if found.host in (None, room.site.id):
        return Response(await to_thread(_listed, folder_of(room, found)))
    branch = elsewhere.branch_of(room.reader.conn, found.task_id)
    return Response(await to_thread(_listed_elsewhere, room, branch, found.last_accessed or ""))


def _listed(folder: Path) -> Files:
    entries, cut = shelf.entries(folder)
    return Files([Entry(*entry) for entry in entries], cut)  # type: ignore[arg-type]


def _listed_elsewhere(room: Room, branch: str, modified: str) -> Files:
    there = list(elsewhere.files(room.site.repo, branch).items())
    sizes = git.sizes(room.site.repo, [blob for _, blob in there[: shelf.MOST_ENTRIES]])
    files = [Entry(f"src/{path}", "file", sizes[blob][1], modified) for path, blob in there[: shelf.MOST_ENTRIES]]
    return Files(files, len(there) > len(files))


@get(
    "/api/workspaces/{id:str}/files/{path:path}",
    tags=TAGS,
    responses=docs.content(400, 403, 404),
    summary="Read a file",
)
async def read_file(room: TheRoom, id: Id, path: FromPath[str], request: Request[Any, Any, Any]) -> Response[Any]:
    """As bytes: whatever an agent wrote, no browser runs it."""
    found = _found(room, id)
    steps = "/".join(shelf.parts_of(str(path).removeprefix("/")))
    headers = {"content-disposition": "attachment", "content-security-policy": "sandbox"}
    if found.host not in (None, room.site.id):
        branch = elsewhere.branch_of(room.reader.conn, found.task_id)
        data = await to_thread(_elsewhere, room, branch, steps)
        return Response(data, media_type="application/octet-stream", headers=headers)
    opened = shelf.read(folder_of(room, found), steps)
    headers |= {"etag": f'"{opened.tag}"', "content-length": str(opened.size)}
    if request.headers.get("if-none-match") == headers["etag"]:
        os.close(opened.descriptor)
        return Response(b"", status_code=304, headers={"etag": headers["etag"]})
    file = os.fdopen(opened.descriptor, "rb")  # closed with the answer, also one that nobody waits for
    return Stream(_chunks(file, opened.size), media_type="application/octet-stream", headers=headers)


def _elsewhere(room: Room, branch: str, steps: str) -> bytes:
    """A file of a workspace on another host: as its stage branch has it."""
    blob = elsewhere.files(room.site.repo, branch).get(steps.removeprefix("src/"))
    if blob is None:
        raise missing(f"there is no file {steps}")
    return git.blobs(room.site.repo, [blob])[blob]


async def _chunks(file: BinaryIO, left: int) -> AsyncIterator[bytes]:
    """As many bytes as were announced, whatever becomes of the file meanwhile."""
    with file:
        while left > 0:
            data = file.read(min(CHUNK, left)) or b"\0" * min(CHUNK, left)
            left -= len(data)
            yield data


@post(
    "/api/workspaces/{id:str}/files",
    tags=TAGS,
    responses=docs.writes(400, 403, 404, 409, 413),
    summary="Send a file",
    operation_class=docs.Upload,
)
async def send_file(
    room: TheRoom,
    id: Id,
    request: Request[Any, Any, Any],
    path: Annotated[str, QueryParameter(description="Where it goes, such as `src/notes.txt`.", min_length=1)],
) -> Response[Stored]:
    """The body is the file. It takes its place whole, or not at all."""
    found = _here(room, id)
    receiver = shelf.receive(folder_of(room, found), path)
    try:
        async for part in request.stream():
            receiver.take(part)
        receiver.finish()
    finally:
        receiver.close()
    where = f"/api/workspaces/{found.id}/files/{path}"
    return Response(
        Stored(path, receiver.size), status_code=201, headers={"Location": where.encode("ascii", "ignore").decode()}
    )


ROUTES = [make_workspace, list_files, read_file, send_file]
