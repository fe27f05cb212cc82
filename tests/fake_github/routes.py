"""REST: method and path → what the world does and how it is shown. Here: people, the repository, its hook."""

from typing import Any
from urllib.parse import unquote

from fake_github import rest_checks, rest_issues, rest_pulls
from fake_github.asked import HERE, Answer, Asked, Route
from fake_github.hooks import Hook
from fake_github.reading import contents, search
from fake_github.shapes import Shapes
from fake_github.state import World
from fake_github.values import Refusal, unprocessable


def routes() -> dict[str, Route]:
    """Operation, named as in the description → what it does."""
    return _ROUTES | rest_issues.ROUTES | rest_pulls.ROUTES | rest_checks.ROUTES


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


def _search(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = search(world, asked.query["q"])
    return 200, {"total_count": len(found), "incomplete_results": False, "items": found}


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


def _contents(world: World, shapes: Shapes, asked: Asked) -> Answer:
    return 200, contents(world, asked.fields["path"], asked.query.get("ref", ""))


_ROUTES: dict[str, Route] = {
    "GET /user": _me,
    "GET /users/{username}": lambda w, s, a: (200, s.user(_user(w, a.fields["username"]))),
    "GET /search/code": _search,
    f"GET {HERE}": lambda w, s, a: (200, s.repository()),
    f"GET {HERE}/collaborators/{{username}}/permission": _permission,
    f"GET {HERE}/rules/branches/{{branch}}": lambda w, s, a: (200, w.rules),
    f"GET {HERE}/contents/{{path}}": _contents,
    f"GET {HERE}/hooks/{{hook_id}}/deliveries": lambda w, s, a: (200, _hook(w, a).shown(a.query.get("status", ""))),
    f"POST {HERE}/hooks/{{hook_id}}/deliveries/{{delivery_id}}/attempts": _redeliver,
    f"POST {HERE}/actions/workflows/{{workflow_id}}/dispatches": _dispatch,
}
