"""REST: method and path → what the world does and how it is shown."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote

from fake_github.hooks import Hook
from fake_github.reading import Moved, contents, files_of, search
from fake_github.shapes import Shapes
from fake_github.state import Refusal, Token, World, unprocessable


class Asked(NamedTuple):
    """A request: who asks, the values of the path's fields, the query and the body."""

    token: Token
    fields: dict[str, str]
    query: dict[str, str]
    body: Any

    def number(self, name: str) -> int:
        return int(self.fields[name])


Answer = tuple[int, Any]
Route = Callable[[World, Shapes, Asked], Answer]


def routes() -> dict[str, Route]:
    """Operation, named as in the description → what it does."""
    here = "/repos/{owner}/{repo}"
    issue, pull = f"{here}/issues/{{issue_number}}", f"{here}/pulls/{{pull_number}}"
    return {
        "GET /user": _me,
        "GET /users/{username}": lambda w, s, a: (200, s.user(_user(w, a.fields["username"]))),
        f"GET {here}": lambda w, s, a: (200, s.repository()),
        f"GET {here}/collaborators/{{username}}/permission": _permission,
        f"GET {here}/rules/branches/{{branch}}": lambda w, s, a: (200, w.rules),
        f"GET {here}/issues": _issues,
        f"GET {issue}": lambda w, s, a: (200, s.issue(w.issue(a.number("issue_number")))),
        f"PATCH {issue}": _patch_issue,
        f"GET {issue}/events": lambda w, s, a: (200, [s.event(e) for e in w.issue(a.number("issue_number")).events]),
        f"GET {issue}/comments": _comments,
        f"POST {issue}/comments": _post_comment,
        f"PATCH {here}/issues/comments/{{comment_id}}": _patch_comment,
        f"DELETE {here}/issues/comments/{{comment_id}}": _delete_comment,
        f"GET {issue}/labels": lambda w, s, a: (200, [s.label(n) for n in w.issue(a.number("issue_number")).labels]),
        f"POST {issue}/labels": _post_labels,
        f"DELETE {issue}/labels/{{name}}": _delete_label,
        f"POST {issue}/reactions": _react_issue,
        f"POST {here}/issues/comments/{{comment_id}}/reactions": _react_comment,
        f"POST {here}/pulls/comments/{{comment_id}}/reactions": _react_comment,
        f"GET {here}/pulls": _pulls,
        f"POST {here}/pulls": _post_pull,
        f"GET {pull}": lambda w, s, a: (200, s.pull(w.pull(a.number("pull_number")), whole=True)),
        f"PATCH {pull}": _patch_pull,
        f"PUT {pull}/merge": _merge,
        f"GET {pull}/reviews": lambda w, s, a: (
            200, [s.review(r) for r in w.reviews.values() if r.number == a.number("pull_number")]
        ),
        f"GET {pull}/comments": lambda w, s, a: (
            200, [s.line_comment(c) for c in w.comments.values() if c.path and c.number == a.number("pull_number")]
        ),
        f"POST {pull}/comments/{{comment_id}}/replies": _reply,
        f"POST {pull}/requested_reviewers": _request_review,
        f"GET {here}/commits/{{ref}}/status": _status,
        f"GET {here}/commits/{{ref}}/check-runs": _checks,
        f"POST {here}/statuses/{{sha}}": _post_status,
        f"POST {here}/issues": _post_issue,
        f"GET {here}/hooks/{{hook_id}}/deliveries": lambda w, s, a: (200, _hook(w, a).shown(a.query.get("status", ""))),
        f"POST {here}/hooks/{{hook_id}}/deliveries/{{delivery_id}}/attempts": _redeliver,
        f"POST {here}/actions/workflows/{{workflow_id}}/dispatches": _dispatch,
        f"GET {here}/contents/{{path}}": lambda w, s, a: (200, contents(w, a.fields["path"], a.query.get("ref", ""))),
        f"GET {pull}/files": _files,
        f"GET {here}/actions/runs": _runs,
        f"GET {here}/actions/runs/{{run_id}}/jobs": _jobs,
        f"GET {here}/actions/jobs/{{job_id}}/logs": _log,
        "GET /search/code": _search,
    }  # fmt: skip


def _user(world: World, login: str) -> Any:
    found = world.users.get(unquote(login))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def _me(world: World, shapes: Shapes, asked: Asked) -> Answer:
    if asked.token.app:
        raise Refusal(403, "Resource not accessible by integration")
    return 200, shapes.user(asked.token.user)


def _permission(world: World, shapes: Shapes, asked: Asked) -> Answer:
    user = _user(world, asked.fields["username"])
    coarse = {"triage": "read", "maintain": "write"}.get(user.level, user.level)
    return 200, {"permission": coarse, "role_name": user.level, "user": shapes.user(user)}


def _issues(world: World, shapes: Shapes, asked: Asked) -> Answer:
    state, wanted = asked.query.get("state", "open"), set(filter(None, asked.query.get("labels", "").split(",")))
    found = [i for i in world.issues.values() if state in ("all", i.state) and wanted <= set(i.labels)]
    ascending = asked.query.get("direction", "desc") == "asc"
    return 200, [shapes.issue(i) for i in sorted(found, key=lambda i: i.number, reverse=not ascending)]


def _patch_issue(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = world.issue(asked.number("issue_number"))
    if "state" in asked.body:
        world.set_state(asked.token.user, found.number, asked.body["state"])
    if "title" in asked.body or "body" in asked.body:
        world.edit_issue(asked.token.user, found.number, asked.body.get("title"), asked.body.get("body"))
    return 200, shapes.issue(found)


def _comments(world: World, shapes: Shapes, asked: Asked) -> Answer:
    number, since = asked.number("issue_number"), asked.query.get("since", "")
    world.issue(number)
    found = [c for c in world.comments.values() if c.number == number and not c.path and c.updated >= since]
    return 200, [shapes.comment(c) for c in found]


def _post_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 201, shapes.comment(world.comment(asked.token.user, asked.number("issue_number"), asked.body["body"]))


def _patch_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, shapes.comment(world.edit_comment(asked.token.user, asked.number("comment_id"), asked.body["body"]))


def _delete_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    world.delete_comment(asked.token.user, asked.number("comment_id"))
    return 204, None


def _post_labels(world: World, shapes: Shapes, asked: Asked) -> Answer:
    number = asked.number("issue_number")
    for name in asked.body["labels"]:
        world.label(asked.token.user, number, name)
    return 200, [shapes.label(name) for name in world.issue(number).labels]


def _delete_label(world: World, shapes: Shapes, asked: Asked) -> Answer:
    number = asked.number("issue_number")
    world.unlabel(asked.token.user, number, asked.fields["name"])
    return 200, [shapes.label(name) for name in world.issue(number).labels]


def _react(world: World, shapes: Shapes, asked: Asked, on: Any) -> Answer:
    reaction = (asked.body["content"], asked.token.user.id)
    status = 200 if reaction in on.reactions else 201
    if status == 201:
        on.reactions.append(reaction)
    shown = {"id": 1, "node_id": "", "user": shapes.user(asked.token.user), "content": reaction[0]}
    return status, shown | {"created_at": "2026-01-01T00:00:00Z"}


def _react_issue(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return _react(world, shapes, asked, world.issue(asked.number("issue_number")))


def _react_comment(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = world.comments.get(asked.number("comment_id"))
    if found is None:
        raise Refusal(404, "Not Found")
    return _react(world, shapes, asked, found)


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
    made = world.open_pull(asked.token.user, given["title"], given.get("body") or "", given["head"], given["base"])
    return 201, shapes.pull(made, whole=True)


def _patch_pull(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, shapes.pull(world.edit_pull(asked.token.user, asked.number("pull_number"), asked.body), whole=True)


def _merge(world: World, shapes: Shapes, asked: Asked) -> Answer:
    given = asked.body
    made = world.merge(
        asked.token.user, asked.number("pull_number"), given.get("merge_method", "merge"), given.get("sha"),
        given.get("commit_title"), given.get("commit_message"),
    )  # fmt: skip
    return 200, {"sha": made, "merged": True, "message": "Pull Request successfully merged"}


def _reply(world: World, shapes: Shapes, asked: Asked) -> Answer:
    made = world.reply(asked.token.user, asked.number("pull_number"), asked.number("comment_id"), asked.body["body"])
    return 201, shapes.line_comment(made)


def _request_review(world: World, shapes: Shapes, asked: Asked) -> Answer:
    pull = world.pull(asked.number("pull_number"))
    for login in asked.body.get("reviewers", []):
        if login == world.issues[pull.number].user.login:
            raise Refusal(422, "Review cannot be requested from pull request author.")
        if login not in world.users or not world.users[login].may("read"):
            raise Refusal(422, f"Reviews may only be requested from collaborators. {login} is not one.")
        pull.reviewers += [login] if login not in pull.reviewers else []
    return 201, shapes.pull(pull, whole=False)


def _status(world: World, shapes: Shapes, asked: Asked) -> Answer:
    latest = world.latest(asked.fields["ref"])
    states = {each["state"] for each in latest}
    state = (
        "failure" if states & {"failure", "error"} else "pending" if "pending" in states or not states else "success"
    )
    shown = [_shown_status(each) for each in latest]
    return 200, {"state": state, "statuses": shown, "sha": asked.fields["ref"], "total_count": len(latest),
                 "repository": shapes.repository(), "commit_url": "", "url": ""}  # fmt: skip


def _checks(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = world.checks.get(asked.fields["ref"], [])
    return 200, {"total_count": len(found), "check_runs": found}


def _files(world: World, shapes: Shapes, asked: Asked) -> Answer:
    pull = world.pull(asked.number("pull_number"))
    return 200, files_of(world, pull.base, world.head_of(pull))


def _search(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = search(world, asked.query["q"])
    return 200, {"total_count": len(found), "incomplete_results": False, "items": found}


def _may_read_actions(asked: Asked) -> None:
    if not asked.token.actions:
        raise Refusal(403, "Resource not accessible by integration")


def _runs(world: World, shapes: Shapes, asked: Asked) -> Answer:
    _may_read_actions(asked)
    found = [run for run in world.runs if run["head_branch"] == asked.query.get("branch", run["head_branch"])]
    shown = [{key: run[key] for key in run if key != "jobs"} for run in found[::-1]]
    return 200, {"total_count": len(found), "workflow_runs": shown}


def _jobs(world: World, shapes: Shapes, asked: Asked) -> Answer:
    _may_read_actions(asked)
    [run] = [run for run in world.runs if run["id"] == asked.number("run_id")]
    shown = [{key: job[key] for key in job if key != "log"} for job in run["jobs"]]
    return 200, {"total_count": len(shown), "jobs": shown}


def _log(world: World, shapes: Shapes, asked: Asked) -> Answer:
    """GitHub sends one to a store of its own, whose address is good for a minute and wants no token."""
    _may_read_actions(asked)
    return 302, Moved(f"{shapes.url.removesuffix('/api/v3')}/_store/{asked.number('job_id')}?sig=x")


def _shown_status(given: dict[str, Any]) -> dict[str, Any]:
    always = {"id": 1, "node_id": "", "url": "http://127.0.0.1/", "avatar_url": None, "target_url": None}
    times = {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
    return always | times | {"description": None} | given


def _post_status(world: World, shapes: Shapes, asked: Asked) -> Answer:
    sha, given = asked.fields["sha"], asked.body
    if not re.fullmatch(r"[0-9a-f]{40}", sha) or not world.asks("cat-file", "-e", sha):
        raise unprocessable(f"No commit found for SHA: {sha}")
    if len(given.get("description") or "") > 140:
        raise unprocessable("Validation Failed", {"field": "description", "message": "is too long (maximum is 140)"})
    world.statuses.setdefault(sha, []).append(given)
    branches = [{"name": ref.removeprefix("refs/heads/")} for ref, tip in world.refs().items() if tip == sha]
    said = {"sha": sha, "context": given["context"], "state": given["state"], "branches": branches}
    world.fire("status", sender=asked.token.user, plain=said)
    return 201, _shown_status(given) | {"creator": shapes.user(asked.token.user)}


def _post_issue(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 201, shapes.issue(world.open_issue(asked.token.user, asked.body["title"], asked.body.get("body") or ""))


def _hook(world: World, asked: Asked) -> Hook:
    hook = world.hook
    if hook is None or str(hook.id) != asked.fields["hook_id"]:
        raise Refusal(404, "Not Found")
    if not hook.allowed:
        raise Refusal(403, "Resource not accessible by personal access token")
    return hook


def _redeliver(world: World, shapes: Shapes, asked: Asked) -> Answer:
    if not _hook(world, asked).redeliver(asked.number("delivery_id")):
        raise Refusal(404, "Not Found")
    return 202, {}


def _dispatch(world: World, shapes: Shapes, asked: Asked) -> Answer:
    path = f"{asked.body['ref']}:.github/workflows/{asked.fields['workflow_id']}"
    if not world.asks("cat-file", "-e", path):
        raise Refusal(404, "Not Found")
    if "workflow_dispatch" not in world.git("show", path):
        raise unprocessable("Workflow does not have 'workflow_dispatch' trigger")
    world.dispatched.append(asked.body)
    world.on_dispatch(asked.body)
    return 204, None
