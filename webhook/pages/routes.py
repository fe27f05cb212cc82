"""All pages, and what they answer when something is not there or goes wrong."""

from typing import Any

from litestar import Response, Router
from litestar.exceptions import HTTPException

from runner.errors import UserError
from webhook.api.room import refused
from webhook.pages import acts, assets, board, crew, files, login, new, talk_list, talks, task
from webhook.pages.frame import Ask, page


def _missing(request: Ask, error: HTTPException) -> Response[Any]:
    """A page that says what is not there; whoever asks for no page gets a problem document."""
    if "text/html" not in request.headers.get("accept", ""):
        return refused(request, error)
    return page(request.app.state.room, request, "problem.html", error.status_code, problem=error.detail, remedy="")


def _unable(request: Ask, error: UserError) -> Response[Any]:
    return page(request.app.state.room, request, "problem.html", 503, problem=error.what, remedy=error.remedy)


PAGES = Router(
    path="/",
    route_handlers=[
        board.show_board, task.show_task, task.show_log, task.show_review, acts.act, files.show_file,
        crew.show_agents, crew.show_agent, crew.send, new.show_form, new.write, login.show_login, login.sign_in,
        login.sign_out, assets.asset, talk_list.show_talks, talk_list.begin, talks.show_talk, talks.say, talks.stop,
        talks.draft, talks.make_task,
    ],
    exception_handlers={HTTPException: _missing, UserError: _unable},
    include_in_schema=False,
)  # fmt: skip
