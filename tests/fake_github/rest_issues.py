"""REST on issues: their texts, comments, labels and reactions."""

from typing import Any

from fake_github import issues
from fake_github.asked import HERE, ISSUE, Answer, Asked, Route
from fake_github.shapes import Shapes
from fake_github.state import World
from fake_github.values import Refusal


def _issues(world: World, shapes: Shapes, asked: Asked) -> Answer:
    state, wanted = asked.query.get("state", "open"), set(filter(None, asked.query.get("labels", "").split(",")))
    found = [i for i in world.issues.values() if state in ("all", i.state) and wanted <= set(i.labels)]
    ascending = asked.query.get("direction", "desc") == "asc"
    return 200, [shapes.issue(i) for i in sorted(found, key=lambda i: i.number, reverse=not ascending)]


def _post_issue(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 201, shapes.issue(
        issues.open_issue(world, asked.token.user, asked.body["title"], asked.body.get("body") or "")
    )


def _patch_issue(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = issues.find(world, asked.number("issue_number"))
    if "state" in asked.body:
        issues.set_state(world, asked.token.user, found.number, asked.body["state"])
    if "title" in asked.body or "body" in asked.body:
        issues.edit_issue(world, asked.token.user, found.number, asked.body.get("title"), asked.body.get("body"))
    return 200, shapes.issue(found)


def _comments(world: World, shapes: Shapes, asked: Asked) -> Answer:
    number, since = asked.number("issue_number"), asked.query.get("since", "")
    issues.find(world, number)
    found = [c for c in world.comments.values() if c.number == number and not c.path and c.updated >= since]
    return 200, [shapes.comment(c) for c in found]


def _newest_comments(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = sorted((c for c in world.comments.values() if not c.path), key=lambda each: each.updated)
    return 200, [shapes.comment(c) for c in (found[::-1] if asked.query.get("direction") == "desc" else found)]


def _post_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 201, shapes.comment(
        issues.comment(world, asked.token.user, asked.number("issue_number"), asked.body["body"])
    )


def _patch_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, shapes.comment(
        issues.edit_comment(world, asked.token.user, asked.number("comment_id"), asked.body["body"])
    )


def _delete_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    issues.delete_comment(world, asked.token.user, asked.number("comment_id"))
    return 204, None


def _post_labels(world: World, shapes: Shapes, asked: Asked) -> Answer:
    number = asked.number("issue_number")
    for name in asked.body["labels"]:
        issues.label(world, asked.token.user, number, name)
    return 200, [shapes.label(name) for name in issues.find(world, number).labels]


def _delete_label(world: World, shapes: Shapes, asked: Asked) -> Answer:
    number = asked.number("issue_number")
    issues.unlabel(world, asked.token.user, number, asked.fields["name"])
    return 200, [shapes.label(name) for name in issues.find(world, number).labels]


def _react(world: World, shapes: Shapes, asked: Asked, on: Any) -> Answer:
    reaction = (asked.body["content"], asked.token.user.id)
    status = 200 if reaction in on.reactions else 201
    if status == 201:
        on.reactions.append(reaction)
    shown = {"id": 1, "node_id": "", "user": shapes.user(asked.token.user), "content": reaction[0]}
    return status, shown | {"created_at": "2026-01-01T00:00:00Z"}


def _react_issue(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return _react(world, shapes, asked, issues.find(world, asked.number("issue_number")))


def _react_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = world.comments.get(asked.number("comment_id"))
    if found is None:
        raise Refusal(404, "Not Found")
    return _react(world, shapes, asked, found)


def _issue(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = issues.find(world, asked.number("issue_number"))
    away = {"number": 2, "title": "Elsewhere"} if world.gone.get(found.number) else {}  # whoever asks is sent there
    return 200, shapes.issue(found) | away


def _events(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, [shapes.event(each) for each in issues.find(world, asked.number("issue_number")).events]


def _labels(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, [shapes.label(name) for name in issues.find(world, asked.number("issue_number")).labels]


ROUTES: dict[str, Route] = {
    f"GET {HERE}/issues": _issues,
    f"POST {HERE}/issues": _post_issue,
    f"GET {ISSUE}": _issue,
    f"PATCH {ISSUE}": _patch_issue,
    f"GET {ISSUE}/events": _events,
    f"GET {ISSUE}/comments": _comments,
    f"POST {ISSUE}/comments": _post_comment,
    f"GET {HERE}/issues/comments": _newest_comments,
    f"PATCH {HERE}/issues/comments/{{comment_id}}": _patch_comment,
    f"DELETE {HERE}/issues/comments/{{comment_id}}": _delete_comment,
    f"GET {ISSUE}/labels": _labels,
    f"POST {ISSUE}/labels": _post_labels,
    f"DELETE {ISSUE}/labels/{{name}}": _delete_label,
    f"POST {ISSUE}/reactions": _react_issue,
    f"POST {HERE}/issues/comments/{{comment_id}}/reactions": _react_comment,
    f"POST {HERE}/pulls/comments/{{comment_id}}/reactions": _react_comment,
    f"DELETE {HERE}/pulls/comments/{{comment_id}}": _delete_comment,
}
