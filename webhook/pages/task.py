"""One task: how it stands, what a person can do, what its agents wrote, changed and showed."""

from asyncio import to_thread
from typing import Any

import msgspec
from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Redirect

from runner.errors import UserError
from runner.observe import read_settings
from webhook import access, shelf, store
from webhook.api.room import Room, TheRoom, missing
from webhook.api.workspaces import folder_of
from webhook.index import BASE
from webhook.pages import evidence, reading, standing
from webhook.pages.frame import Ask, page
from webhook.pages.reading import Attempt
from webhook.shapes import FullTask, Workspace

SOME, ALL = 60, 2_000  # entries of a history
MOST_FILES = 200
TITLES = {"design.md": "Design", "test-report.md": "Test report", "review.md": "Review", "summary.md": "Summary"}
PAPER = {"design": "design.md", "test": "test-report.md", "review": "review.md", "complete": "summary.md"}
DONE = {
    "approve": "Approved and merged.",
    "comment": "Said: the agent hears it before its next step.",
    "reject": "Rejected. Another attempt begins with Retry.",
    "answer": "Answered: the agent goes on with that.",
    "pause": "Paused.",
    "resume": "It goes on.",
    "cancel": "Cancelled.",
    "retry": "The next attempt begins.",
    "assign": "Assigned.",
    "set-status": "The stage is set.",
    "set-budget": "The budget is set.",
    "made": "The task is written.",
}


@get("/tasks/{slug:str}")
async def show_task(room: TheRoom, request: Ask, slug: FromPath[str]) -> Response[str]:
    """The whole page."""
    return await task_page(room, request, slug)


async def task_page(
    room: Room, request: Ask, slug: str, *, status: int = 200, problem: str = "", remedy: str = ""
) -> Response[str]:
    """A task's page, after an act that came to nothing with the reason. Raises `HTTPException` (404)."""
    task = find(room, slug)
    card, attempts = reading.card(room.reader, task.id), reading.attempts(room.reader.conn, task.id)
    query = request.query_params
    track = standing.track(task, card, attempts)
    wanted = str(query.get("changes") or standing.shown_first(card, track))
    history, number = reading.history(room.reader.conn, task.id, ALL if query.get("history") == "all" else SOME)
    base = store.refs(room.reader.conn)[BASE]
    workspace = None if task.completed_at else _workspace(room, task)
    told = await to_thread(_evidence, room, base, task, attempts, wanted, workspace)
    attempts = standing.by_now(attempts, told["steps"])
    return await to_thread(  # Markdown that is made for it takes seconds, in which others are answered
        page, room, request, "task.html", status, task=task, card=card, attempts=attempts, depends=task.depends_on,
        proposals=task.proposals, track=track, wanted=wanted, history=history, entries_number=number,
        totals=standing.totals(attempts), agents=reading.names(room.reader.conn), titles=TITLES,
        shown=PAPER.get(card.ready or card.stage or "complete", ""), buttons=standing.buttons(card),
        asks=standing.asks(card), gates_words=standing.gates(card, attempts), problem=problem, remedy=remedy,
        done=DONE.get(str(query.get("done", "")), ""), linkable=lambda path: "://" not in path, **told,
    )  # fmt: skip


def find(room: Room, slug: str) -> FullTask:
    """The task with that slug or id. Raises `HTTPException` (404)."""
    id = room.reader.task_id(slug)
    body = room.reader.task(id) if id else None
    if body is None:
        raise missing(f"there is no task {slug}")
    return msgspec.json.decode(body, type=FullTask)


@get("/tasks/{slug:str}/log")
async def show_log(room: TheRoom, request: Ask, slug: FromPath[str]) -> Response[str]:
    """What the task's agent does, for pages that follow it."""
    task = find(room, slug)
    return page(room, request, "log.html", card=task, steps=await to_thread(evidence.steps, room.site, task.slug))


@get("/tasks/{slug:str}/review")
async def show_review(room: TheRoom, request: Ask, slug: FromPath[str]) -> Response[Any]:
    """Where a person reviews the proposal with their own account: on GitHub, which is asked when they want to go there.

    A link on somebody else's page asks nothing in our name.
    """
    task = find(room, slug)
    if request.headers.get(access.FROM, "none") not in ("none", "same-origin"):
        return Redirect(f"/tasks/{task.slug}", status_code=303)
    try:
        where = await to_thread(_review, room, task)
    except UserError as error:
        return await task_page(room, request, slug, status=503, problem=error.what, remedy=error.remedy)
    if not where:
        why = "there is no open pull request for it yet"
        return await task_page(room, request, slug, status=409, problem=why, remedy="it comes with the next look")
    return Redirect(where, status_code=303)


def _review(room: Room, task: FullTask) -> str:
    settings = room.keeper.ask(lambda index, refs: index.settings())
    hosting = room.options.hosting(room.site, settings)
    return hosting.review_of(task.proposals[0].branch) if hosting is not None and task.proposals else ""


def _workspace(room: Room, task: FullTask) -> Workspace | None:
    """The workspace of its agent, if it is on this host."""
    query = "SELECT id FROM agent_workspaces WHERE task_id = ? AND agent_id = ? AND host = ?"
    row = room.reader.conn.execute(query, (task.id, task.assigned_agent_id, room.site.id)).fetchone()
    body = room.reader.workspace(row[0]) if row else None
    return msgspec.json.decode(body, type=Workspace) if body else None


def _evidence(
    room: Room, base: str, task: FullTask, attempts: tuple[Attempt, ...], wanted: str, workspace: Workspace | None
) -> dict[str, Any]:
    """What has to be read from Git and from disk."""
    where = evidence.place(room.site, base, task, attempts)
    documents, files = evidence.documents(room.site, where)
    change = evidence.change(room.site, base, task.slug, task.stages, attempts, wanted)
    steps = evidence.steps(room.site, task.slug) if task.completed_at is None else ()
    return {
        "documents": documents, "files": files[:MOST_FILES], "folder": where.folder, "change": change, "steps": steps,
        "workspace": _made(room, workspace) if workspace else (), "workspace_id": workspace.id if workspace else "",
        "on_github": bool(task.proposals) and _on_github(room, base),
    }  # fmt: skip


def _made(room: Room, workspace: Workspace) -> list[shelf.Entry]:
    """What lies in its `output/` and `research/`."""
    entries, _ = shelf.entries(folder_of(room, workspace))
    own = [one for one in entries if one.kind == "file" and one.path.startswith(("output/", "research/"))]
    return own[:MOST_FILES]


def _on_github(room: Room, base: str) -> bool:
    """Whether that is where people approve."""
    try:
        return read_settings(room.site.repo, base).forge == "github"
    except UserError:
        return False
