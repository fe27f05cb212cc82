"""The way in and out: whoever shows a token gets a session, whose word stands in a cookie that no script sees."""

from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from webhook import access
from webhook.api.room import Room, TheRoom
from webhook.authors import is_taken
from webhook.pages.frame import NAME, Ask, one_name, page, token, visitor
from webhook.sessions import LIFE

MOST_BYTES = 1 << 14  # of a form that strangers may send
YEAR = 365 * 24 * 3600


@get("/login", sync_to_thread=False)
def show_login(room: TheRoom, request: Ask) -> Response[str]:
    """Who one is, and the token; for whoever is in, the way out."""
    used = "This link has let somebody in already: it does so once." if "used" in request.query_params else ""
    return _form(room, request, str(request.query_params.get("then", "/")), used)


def _form(room: Room, request: Ask, then: str, problem: str, status: int = 200) -> Response[str]:
    return page(room, request, "login.html", status, then=_inside(then), problem=problem)


@post("/login", request_max_body_size=MOST_BYTES)
async def sign_in(room: TheRoom, request: Ask) -> Response[Any]:
    """Take a token that is known, and a name; a visitor who may write already needs no token to change the name.

    A token with a name of its own takes no other, and that name nobody else.
    """
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    then, given, called = _inside(form.get("then", "/")), form.get("token", ""), one_name(form.get("name", ""))
    known = access.scope(room.options, given) is not None or (not given and visitor(room, request).may_write)
    if not known or not access.same_origin(dict(request.headers)):
        return _form(room, request, then, "This token is not known.", 403)
    if not access.name(room.options, given or token(room, request)) and is_taken(room.options, called):
        return _form(room, request, then, f"{called} is the name of a token: come with that one.", 403)
    cookies = [Cookie(NAME, value=quote(called), httponly=True, samesite="strict", max_age=YEAR)]
    if given:
        room.sessions.end(access.session(request.headers))
        begun, name = room.sessions.begin(given), access.cookie(request.headers)
        cookies.append(Cookie(name, value=begun, httponly=True, samesite="strict", max_age=LIFE))
    return Redirect(then, status_code=303, cookies=cookies)


@post("/logout", sync_to_thread=False, request_max_body_size=MOST_BYTES)
def sign_out(room: TheRoom, request: Ask) -> Response[Any]:
    """End the session, and forget the name."""
    if not access.same_origin(dict(request.headers)):
        return _form(room, request, "/", "Another site sent this request.", 403)
    room.sessions.end(access.session(request.headers))
    gone = [
        Cookie(name, value="", httponly=True, samesite="strict", max_age=0)
        for name in (NAME, access.cookie(request.headers))
    ]
    return Redirect("/login", status_code=303, cookies=gone)


def _inside(then: str) -> str:
    """Pure: one of our own pages, whatever an address asks for."""
    return then if then.startswith("/") and not then.startswith(("//", "/\\")) and then.isprintable() else "/"
