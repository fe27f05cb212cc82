"""The board: tasks by stage, with what waits for a person above it."""

from litestar import Response, get

from webhook.api.room import TheRoom
from webhook.pages import reading
from webhook.pages.frame import Ask, page
from webhook.pages.reading import COLUMNS, Wanted


@get("/", sync_to_thread=False)
def show_board(room: TheRoom, request: Ask) -> Response[str]:
    """All tasks, or those that the visitor looks for."""
    wanted = wanted_by(request)
    reader = room.reader
    columns = reading.board(reader, wanted)
    needs, needed = reading.needs(reader)
    return page(
        room, request, "board.html", wanted=wanted, columns=columns, needs=needs, needed=needed,
        agents=reading.names(reader.conn), statuses=COLUMNS, problems=reading.problems(reader.conn),
        nothing=not any(column.number for column in columns),
    )  # fmt: skip


def wanted_by(request: Ask) -> Wanted:
    """What the address asks for; a word that means nothing asks for nothing."""
    given = {name: str(value) for name, value in request.query_params.items()}
    status = given.get("status", "")
    q, agent = given.get("q", "").strip()[:200], given.get("agent", "")[:63]
    return Wanted(q, agent, status if status in COLUMNS else "", bool(given.get("needs")))
