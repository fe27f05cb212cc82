"""Writes whose answer was lost: those that may be done twice, and those that may not."""

from collections.abc import Callable, Collection
from typing import Any

from runner.errors import UserError
from runner.forge.github_client import Client, Rejected, Unclear

LOOKS = 3
RIGHTS = "give the token what docs/github.md lists under Permissions"
GONE = (404, 410, 422)
"""What GitHub answers about something that is not there any more, or not open: it needs nothing."""


def repeat(client: Client, verb: str, path: str, body: Any) -> None:
    """A write that may be done twice without harm. What is gone meanwhile needs nothing. Raises `UserError`."""
    for look in range(LOOKS):
        try:
            client.write(verb, path, body)
            return
        except Unclear:
            client.sleep(2.0**look)
        except Rejected as refused:
            if refused.status not in GONE:
                raise UserError(f"GitHub refuses {verb} {path}: {refused.said}", RIGHTS) from refused
            return


def once(client: Client, path: str, body: Any, done: Callable[[], object]) -> None:
    """A `POST` that is made again only where `done` says that it was not. One that is refused needs nothing."""
    for look in range(LOOKS):
        try:
            client.write("POST", path, body)
            return
        except Rejected:
            return
        except Unclear:
            if not done():
                client.sleep(2.0**look)
            if done():
                return


def is_ours(comment: Any, ours: Collection[int]) -> bool:
    """Whether one of our accounts wrote it: the author counts, for anybody can copy a marker."""
    return comment["user"] is not None and comment["user"]["id"] in ours and bool(comment["body"])
