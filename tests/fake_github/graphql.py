"""What REST cannot answer: when a text was last edited; and what it cannot do: resolve a thread."""

from typing import Any

from fake_github import issues
from fake_github.state import World


def answer(world: World, body: Any) -> Any:
    """The answer to one question or mutation."""
    given = body["variables"]
    if "resolveReviewThread" in body["query"]:
        return _resolved(world, int(given["thread"].removeprefix("T_")))
    if "reviewThreads" in body["query"]:
        return _of_repository(pullRequest={"reviewThreads": {"nodes": _threads(world, given["number"])}})
    issue = issues.find(world, given["number"])
    return _of_repository(issue={"lastEditedAt": issue.edited, "title": issue.title, "body": issue.body})


def _of_repository(**found: Any) -> Any:
    return {"data": {"repository": found}}


def _threads(world: World, number: int) -> list[dict[str, Any]]:
    first = [c for c in world.comments.values() if c.path and c.number == number and c.reply_to is None]
    return [{"id": f"T_{c.id}", "isResolved": c.resolved, "comments": {"nodes": [{"databaseId": c.id}]}} for c in first]


def _resolved(world: World, first: int) -> Any:
    if not world.resolvable:
        return {"data": {"resolveReviewThread": None}, "errors": [{"type": "FORBIDDEN", "message": "Resource not"}]}
    world.comments[first].resolved = True
    return {"data": {"resolveReviewThread": {"thread": {"isResolved": True}}}}
