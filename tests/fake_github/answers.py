"""JSON as GitHub sends it: a page at a time, with its tag, and with what is left of the hour's requests."""

import hashlib
import json
import time
from typing import Any
from urllib.parse import urlencode

from fake_github.loopback import Reply

LISTED = ("check_runs", "statuses", "workflow_runs", "jobs")
"""Lists that GitHub shows a page of below an object."""


def paged(
    address: str, query: dict[str, str], headers: dict[str, str], status: int, answer: Any, extra: dict[str, str]
) -> Reply:
    """What was asked for at `address`, or that it has not changed. `extra` are headers that it gets."""
    listed = next((key for key in LISTED if key in answer), "") if isinstance(answer, dict) else ""
    whole = answer[listed] if listed else answer
    if isinstance(whole, list) and status == 200:
        size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
        if len(whole) > page * size:
            following = urlencode(query | {"page": str(page + 1)})
            extra = extra | {"Link": f'<{address}?{following}>; rel="next"'}
        part = whole[(page - 1) * size : page * size]
        answer = answer | {listed: part} if listed else part
    tag = f'W/"{hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()}"'
    if status == 200 and headers.get("if-none-match") == tag:
        return Reply(304, extra | {"ETag": tag}, b"")
    return reply(status, answer, extra | ({"ETag": tag} if status == 200 else {}))


def reply(status: int, answer: Any, extra: dict[str, str]) -> Reply:
    """One answer in JSON."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status, kind | extra, b"" if status == 204 else json.dumps(answer).encode())


def limits(left: int) -> dict[str, str]:
    """What is left of the hour's requests."""
    reset = str(int(time.time()) + 3600)
    return {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": reset,
            "X-RateLimit-Used": str(5000 - left), "X-RateLimit-Resource": "core"}  # fmt: skip
