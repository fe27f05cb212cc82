"""Issues and comments, and what GitHub does with them."""

import re
from typing import Any

from fake_github.state import World
from fake_github.values import Comment, Issue, Refusal, User, unprocessable


def find(world: World, number: int) -> Issue:
    if number not in world.issues:
        raise Refusal(404, "Not Found")
    if world.gone.get(number) == "gone":
        raise Refusal(410, "This issue was deleted")
    return world.issues[number]


def open_issue(world: World, user: User, title: str, body: str) -> Issue:
    made = Issue(len(world.issues) + 1, world.id(), user, title, body, world.now())
    world.issues[made.number] = made
    mention(world, body)
    world.fire("issues", action="opened", issue=made, sender=user)
    return made


def edit_issue(world: World, user: User, number: int, title: str | None = None, body: str | None = None) -> None:
    found = find(world, number)
    if title is not None and title != found.title:
        _event(world, found, user, "renamed", rename={"from": found.title, "to": title})
        found.title = title
    if body is not None and body != found.body:
        found.body, found.edited = body, world.now()
    world.fire("issues", action="edited", issue=found, sender=user)


def label(world: World, user: User, number: int, label: str) -> None:
    if not user.may("triage"):
        raise Refusal(403, "Must have triage rights to add labels.")
    found = find(world, number)
    if label not in found.labels:
        found.labels.append(label)
        _event(world, found, user, "labeled", label={"name": label, "color": "ededed"})
        world.fire("issues", action="labeled", issue=found, sender=user, label={"name": label})


def unlabel(world: World, user: User, number: int, label: str) -> None:
    found = find(world, number)
    if label not in found.labels:
        raise Refusal(404, "Label does not exist")
    found.labels.remove(label)
    _event(world, found, user, "unlabeled", label={"name": label, "color": "ededed"})
    world.fire("issues", action="unlabeled", issue=found, sender=user, label={"name": label})


def set_state(world: World, user: User | None, number: int, state: str) -> None:
    found = find(world, number)
    if found.state == state:
        return
    found.state, found.closed_by = state, user if state == "closed" else None
    found.closed = world.now() if state == "closed" else None
    _event(world, found, user or found.user, "closed" if state == "closed" else "reopened")
    action = "closed" if state == "closed" else "reopened"
    if number in world.pulls:
        world.fire("pull_request", action=action, pull=world.pulls[number], sender=user)
    else:
        world.fire("issues", action=action, issue=found, sender=user)


def _event(world: World, issue: Issue, user: User, event: str, **more: Any) -> None:
    issue.events.append({"id": world.id(), "event": event, "actor": user, "created_at": world.now()} | more)


def comment(world: World, user: User, number: int, body: str) -> Comment:
    find(world, number)
    if number in world.locked:
        raise Refusal(403, "Unable to create comment because issue is locked.")
    if len(body) > 65536:
        raise unprocessable("Validation Failed", {"code": "custom", "message": "body is too long"})
    now = world.now()
    made = Comment(world.id(), user, body, now, now, number)
    world.comments[made.id] = made
    mention(world, body)
    world.fire("issue_comment", action="created", issue=world.issues[number], comment=made, sender=user)
    return made


def edit_comment(world: World, user: User, id: int, body: str) -> Comment:
    found = world.comments.get(id)
    if found is None:
        raise Refusal(404, "Not Found")
    if found.user is not user and not user.may("write"):
        raise Refusal(403, "Must have admin rights to Repository.")
    found.body, found.updated = body, world.now()
    return found


def delete_comment(world: World, user: User, id: int) -> None:
    found = world.comments.get(id)
    if found is None:
        raise Refusal(404, "Not Found")
    if found.user is not user and not user.may("admin"):
        raise Refusal(403, "Must have admin rights to Repository.")
    del world.comments[id]
    world.fire("issue_comment", action="deleted", issue=world.issues[found.number], comment=found, sender=user)


def mention(world: World, text: str) -> None:
    """Who is notified: names outside of code."""
    plain = re.sub(r"(?ms)^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1|\Z)|`[^`\n]*`|<!--.*?-->", "", text)
    world.mentioned += re.findall(r"(?<![\w`/])@([A-Za-z0-9-]+)", plain)
