"""REST on pull requests: opened, reviewed, merged."""

from fake_github import merging, pulls
from fake_github.asked import HERE, PULL, Answer, Asked, Route
from fake_github.reading import files_of
from fake_github.shapes import Shapes
from fake_github.state import World
from fake_github.values import Refusal


def _pulls(world: World, shapes: Shapes, asked: Asked) -> Answer:
    state, head = asked.query.get("state", "open"), asked.query.get("head", "")
    found = []
    for pull in world.pulls.values():
        owner = "stranger" if pull.fork else world.owner
        if state in ("all", world.issues[pull.number].state) and head in ("", f"{owner}:{pull.head}"):
            found.append(shapes.pull(pull, whole=False))
    return 200, found[::-1] if asked.query.get("direction") != "asc" else found


def _post_pull(world: World, shapes: Shapes, asked: Asked) -> Answer:
    given = asked.body
    made = pulls.open_pull(
        world, asked.token.user, given["title"], given.get("body") or "", given["head"], given["base"]
    )
    return 201, shapes.pull(made, whole=True)


def _patch_pull(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, shapes.pull(
        pulls.edit_pull(world, asked.token.user, asked.number("pull_number"), asked.body), whole=True
    )


def _merge(world: World, shapes: Shapes, asked: Asked) -> Answer:
    given = asked.body
    made = merging.merge(
        world, asked.token.user, asked.number("pull_number"), given.get("merge_method", "merge"), given.get("sha"),
        given.get("commit_title"), given.get("commit_message"),
    )  # fmt: skip
    return 200, {"sha": made, "merged": True, "message": "Pull Request successfully merged"}


def _reply(world: World, shapes: Shapes, asked: Asked) -> Answer:
    made = pulls.reply(
        world, asked.token.user, asked.number("pull_number"), asked.number("comment_id"), asked.body["body"]
    )
    return 201, shapes.line_comment(made)


def _request_review(world: World, shapes: Shapes, asked: Asked) -> Answer:
    pull = pulls.find(world, asked.number("pull_number"))
    for login in asked.body.get("reviewers", []):
        if login == world.issues[pull.number].user.login:
            raise Refusal(422, "Review cannot be requested from pull request author.")
        if login not in world.users or not world.users[login].may("read"):
            raise Refusal(422, f"Reviews may only be requested from collaborators. {login} is not one.")
        pull.reviewers += [login] if login not in pull.reviewers else []
    return 201, shapes.pull(pull, whole=False)


def _files(world: World, shapes: Shapes, asked: Asked) -> Answer:
    pull = pulls.find(world, asked.number("pull_number"))
    return 200, files_of(world, pull.base, pulls.head_of(world, pull))


def _pull(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, shapes.pull(pulls.find(world, asked.number("pull_number")), whole=True)


def _reviews(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, [shapes.review(r) for r in world.reviews.values() if r.number == asked.number("pull_number")]


def _lines(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = [c for c in world.comments.values() if c.path and c.number == asked.number("pull_number")]
    return 200, [shapes.line_comment(each) for each in found]


ROUTES: dict[str, Route] = {
    f"GET {HERE}/pulls": _pulls,
    f"POST {HERE}/pulls": _post_pull,
    f"GET {PULL}": _pull,
    f"PATCH {PULL}": _patch_pull,
    f"PUT {PULL}/merge": _merge,
    f"GET {PULL}/files": _files,
    f"GET {PULL}/reviews": _reviews,
    f"GET {PULL}/comments": _lines,
    f"POST {PULL}/comments/{{comment_id}}/replies": _reply,
    f"POST {PULL}/requested_reviewers": _request_review,
}
