"""Workspaces: prepared, looked into, given files. No path leads out of them, no link is followed."""

import os
from asyncio import to_thread
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from runner import git, workspace
from webhook import shelf, writing
from webhook.api import docs
from webhook.api.room import Room, TheRoom, answer, missing
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
    return Response(await to_thread(_listed, room, _found(room, id)))


def _listed(room: Room, found: Workspace) -> Files:
    if found.host not in (None, room.site.id):
        files = [Entry(f"src/{path}", "file", 0, found.last_accessed or "") for path, _ in _branch(room, found)]
        return Files(files[: shelf.MOST_ENTRIES], len(files) > shelf.MOST_ENTRIES)
    entries, cut = shelf.entries(folder_of(room, found))
    return Files([Entry(*entry) for entry in entries], cut)  # type: ignore[arg-type]


def _branch(room: Room, found: Workspace) -> list[tuple[str, str]]:
    """Path and blob of the regular files on the task's newest stage branch."""
    slug = found.workspace_path.split("/")[-1]
    branches = git.refs(room.site.repo, f"refs/remotes/hub/heads/agents/{slug}/")
    work = git.refs(room.site.repo, f"refs/remotes/hub/heads/work/{slug}")
    head = next(iter([*reversed(branches.values()), *work.values()]), None)
    if head is None:
        return []
    return [(file.path, file.blob) for file in git.files(room.site.repo, head) if file.mode.startswith("100")]


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
        data = await to_thread(_elsewhere, room, found, steps)
        return Response(data, media_type="application/octet-stream", headers=headers)
    opened = shelf.read(folder_of(room, found), steps)
    headers |= {"etag": f'"{opened.tag}"', "content-length": str(opened.size)}
    if request.headers.get("if-none-match") == headers["etag"]:
        os.close(opened.descriptor)
        return Response(b"", status_code=304, headers={"etag": headers["etag"]})
    return Stream(_chunks(opened), media_type="application/octet-stream", headers=headers)


def _elsewhere(room: Room, found: Workspace, steps: str) -> bytes:
    """A file of a workspace on another host: as its stage branch has it."""
    blob = dict(_branch(room, found)).get(steps.removeprefix("src/"))
    if blob is None:
        raise missing(f"there is no file {steps}")
    return git.blobs(room.site.repo, [blob])[blob]


async def _chunks(opened: shelf.Open) -> AsyncIterator[bytes]:
    """As many bytes as were announced, whatever becomes of the file meanwhile."""
    left = opened.size
    with os.fdopen(opened.descriptor, "rb") as file:
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
