"""Pull requests and reviews, and what GitHub does with them."""

from collections.abc import Iterator
from typing import Any

from fake_github import issues
from fake_github.state import World
from fake_github.values import Comment, Issue, Pull, Refusal, Review, User, unprocessable


def find(world: World, number: int) -> Pull:
    if number not in world.pulls:
        raise Refusal(404, "Not Found")
    return world.pulls[number]


def head_of(world: World, pull: Pull) -> str:
    """The head follows pushes while the pull request is open."""
    now = world.tip(pull.head) if not pull.fork else pull.last_head
    if now is not None and world.issues[pull.number].state == "open":
        pull.last_head = now
    return pull.last_head


def open_pull(world: World, user: User, title: str, body: str, head: str, base: str, *, fork: str = "") -> Pull:
    branch = head.partition(":")[2] or head
    tip = fork or world.tip(branch)
    if tip is None:
        raise unprocessable("Validation Failed", {"resource": "PullRequest", "field": "head", "code": "invalid"})
    onto = world.tip(base)
    if onto is None:
        raise unprocessable("Validation Failed", {"resource": "PullRequest", "field": "base", "code": "invalid"})
    for other in world.pulls.values():
        if (other.head, other.base, other.fork) == (branch, base, bool(fork)) and is_open(world, other):
            said = f"A pull request already exists for {world.owner}:{branch}."
            raise unprocessable("Validation Failed", {"resource": "PullRequest", "code": "custom", "message": said})
    if world.asks("merge-base", "--is-ancestor", tip, onto):
        said = f"No commits between {base} and {branch}"
        raise unprocessable("Validation Failed", {"resource": "PullRequest", "code": "custom", "message": said})
    issue = Issue(len(world.issues) + 1, world.id(), user, title, body, world.now())
    world.issues[issue.number] = issue
    made = Pull(issue.number, branch, base, bool(fork), tip)
    world.pulls[made.number] = made
    issues.mention(world, body)
    world.fire("pull_request", action="opened", pull=made, sender=user)
    return made


def is_open(world: World, pull: Pull) -> bool:
    return world.issues[pull.number].state == "open"


def edit_pull(world: World, user: User, number: int, given: dict[str, Any]) -> Pull:
    pull, issue = find(world, number), world.issues[number]
    issue.title, issue.body = given.get("title", issue.title), given.get("body", issue.body)
    if given.get("state", issue.state) != issue.state:
        if given["state"] == "open" and world.tip(pull.head) is None:
            raise unprocessable("Validation Failed", {"code": "custom", "message": "head branch was deleted"})
        issues.set_state(world, user, number, given["state"])
    return pull


def mergeable(world: World, pull: Pull) -> bool | None:
    """Computed late: the first look after something moved says that nobody knows yet."""
    now = (head_of(world, pull), world.tip(pull.base) or "")
    if pull.known != now:
        pull.known = now
        return None
    return world.asks("merge-tree", "--write-tree", now[1], now[0])


def review(world: World, user: User, number: int, state: str, body: str, comments: list[dict[str, Any]]) -> Review:
    pull, issue = find(world, number), world.issues[number]
    if issue.user is user and state != "COMMENTED":
        what = "approve" if state == "APPROVED" else "request changes on"
        raise unprocessable("Unprocessable Entity", {"message": f"Review Can not {what} your own pull request"})
    head = head_of(world, pull)
    made = Review(world.id(), user, state, body, head, world.now(), number)
    world.reviews[made.id] = made
    for each in comments:
        now = world.now()
        one = Comment(
            world.id(), user, each["body"], now, now, number, each["path"], each["line"], each["hunk"], made.id
        )
        world.comments[one.id] = one
    world.fire("pull_request_review", action="submitted", pull=pull, review=made, sender=user)
    return made


def reply(world: World, user: User, number: int, to: int, body: str) -> Comment:
    above = world.comments.get(to)
    if above is None or not above.path or above.number != number:
        raise Refusal(404, "Not Found")
    now = world.now()
    review = Review(world.id(), user, "COMMENTED", "", head_of(world, find(world, number)), now, number)
    world.reviews[review.id] = review
    first = above.reply_to or above.id
    made = Comment(world.id(), user, body, now, now, number, above.path, above.line, above.hunk, review.id, first)
    world.comments[made.id] = made
    return made


def open_pulls(world: World) -> Iterator[Pull]:
    yield from [pull for pull in world.pulls.values() if is_open(world, pull)]
