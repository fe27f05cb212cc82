"""REST on what looks at commits: statuses, checks, and the logs of workflow runs."""

import re
from typing import Any

from fake_github.asked import HERE, Answer, Asked, Route
from fake_github.reading import Moved
from fake_github.shapes import Shapes
from fake_github.state import World
from fake_github.values import Refusal, unprocessable


def _status(world: World, shapes: Shapes, asked: Asked) -> Answer:
    latest = world.latest(asked.fields["ref"])
    states = {each["state"] for each in latest}
    state = (
        "failure" if states & {"failure", "error"} else "pending" if "pending" in states or not states else "success"
    )
    shown = [_shown_status(each) for each in latest]
    return 200, {"state": state, "statuses": shown, "sha": asked.fields["ref"], "total_count": len(latest),
                 "repository": shapes.repository(), "commit_url": "", "url": ""}  # fmt: skip


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


def _checks(world: World, shapes: Shapes, asked: Asked) -> Answer:
    found = world.checks.get(asked.fields["ref"], [])
    return 200, {"total_count": len(found), "check_runs": found}


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


ROUTES: dict[str, Route] = {
    f"GET {HERE}/commits/{{ref}}/status": _status,
    f"GET {HERE}/commits/{{ref}}/check-runs": _checks,
    f"POST {HERE}/statuses/{{sha}}": _post_status,
    f"GET {HERE}/actions/runs": _runs,
    f"GET {HERE}/actions/runs/{{run_id}}/jobs": _jobs,
    f"GET {HERE}/actions/jobs/{{job_id}}/logs": _log,
}
