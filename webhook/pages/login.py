"""The way in: the token that `serve` printed or was given becomes a cookie that no script sees."""

from typing import Any
from urllib.parse import quote

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from webhook import access
from webhook.api.room import TheRoom
from webhook.pages.frame import NAME, Ask, one_name, page, visitor

MOST_BYTES = 1 << 14  # of a form that strangers may send
YEAR = 365 * 24 * 3600


@get("/login", sync_to_thread=False)
def show_login(room: TheRoom, request: Ask) -> Response[str]:
    """Who one is, and the token."""
    return page(room, request, "login.html", then=_inside(str(request.query_params.get("then", "/"))), problem="")


@post("/login", request_max_body_size=MOST_BYTES)
async def sign_in(room: TheRoom, request: Ask) -> Response[Any]:
    """Take a token that is known, and a name; a visitor who may write already needs no token to change the name."""
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    then, given = _inside(form.get("then", "/")), form.get("token", "")
    known = access.scope(room.options, given) is not None or (not given and visitor(room, request).may_write)
    if not known or not access.same_origin(dict(request.headers)):
        return page(room, request, "login.html", 403, then=then, problem="This token is not known.")
    cookies = [
        Cookie(NAME, value=quote(one_name(form.get("name", ""))), httponly=True, samesite="strict", max_age=YEAR)
    ]
    if given:
        cookies.append(Cookie(access.cookie(request.headers), value=given, httponly=True, samesite="strict"))
    return Redirect(then, status_code=303, cookies=cookies)


def _inside(then: str) -> str:
    """Pure: one of our own pages, whatever an address asks for."""
    return then if then.startswith("/") and not then.startswith(("//", "/\\")) and then.isprintable() else "/"
