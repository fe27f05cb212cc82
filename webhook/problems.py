"""Refusals as problem documents (RFC 9457)."""

from http import HTTPStatus
from typing import Any

import msgspec

MEDIA = "application/problem+json"


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused: `title` says what in general, `detail` what in this case and what to do about it."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


def document(status: int, detail: str) -> bytes:
    """The body of a refusal."""
    return msgspec.json.encode(Problem(HTTPStatus(status).phrase, status, detail))


async def problem(send: Any, status: int, detail: str, *, close: bool = False, more: tuple[Any, ...] = ()) -> None:
    """Answer a request with a refusal, outside of the framework."""
    body = document(status, detail)
    headers = [(b"content-type", MEDIA.encode()), (b"content-length", str(len(body)).encode()), *more]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
