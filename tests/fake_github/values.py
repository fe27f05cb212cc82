"""What the fake GitHub holds, as plain values; and how GitHub says no."""

from dataclasses import dataclass, field
from typing import Any

LEVELS = ("none", "read", "triage", "write", "maintain", "admin")


class Refusal(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        } | more


def unprocessable(message: str, *errors: dict[str, Any]) -> Refusal:
    """422 as GitHub words it: `Validation Failed` with what is wrong below `errors`."""
    return Refusal(422, message, errors=list(errors)) if errors else Refusal(422, message)


@dataclass
class User:
    """An account; `level` is what it may do in the repository."""

    login: str
    id: int
    level: str = "none"
    type: str = "User"

    def may(self, level: str) -> bool:
        return LEVELS.index(self.level) >= LEVELS.index(level)


@dataclass
class Token:
    """A credential. `app`: made for an installation. `workflows`: may push workflow files. `actions`: may read logs."""

    user: User
    app: bool = False
    workflows: bool = False
    actions: bool = True
    expires: float | None = None


@dataclass
class Comment:
    """A comment on an issue or pull request; with `path` one on a line, of the review `review`."""

    id: int
    user: User
    body: str
    created: str
    updated: str
    number: int
    path: str = ""
    line: int | None = None
    hunk: str = ""
    review: int | None = None
    reply_to: int | None = None
    commit: str = ""
    reactions: list[tuple[str, int]] = field(default_factory=list)
    resolved: bool = False


@dataclass
class Review:
    """A review: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED, of the head `commit`."""

    id: int
    user: User
    state: str
    body: str
    commit: str
    submitted: str
    number: int


@dataclass
class Issue:
    """An issue, or the issue's side of a pull request."""

    number: int
    id: int
    user: User
    title: str
    body: str
    created: str
    state: str = "open"
    reason: str | None = None
    labels: list[str] = field(default_factory=list)
    edited: str | None = None
    closed_by: User | None = None
    closed: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    reactions: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Pull:
    """What a pull request has beyond its issue. `fork`: its head is in another repository, at `fork_head`."""

    number: int
    head: str
    base: str
    fork: bool = False
    last_head: str = ""
    merged: bool = False
    merged_by: User | None = None
    merged_at: str | None = None
    merge_commit: str | None = None
    reviewers: list[str] = field(default_factory=list)
    known: tuple[str, str] | None = None
