"""Make the cut of GitHub's OpenAPI description that the tests validate against.

    python tests/fake_github/cut_openapi.py api.github.com.json 23.0.2

The first argument is `generated/api.github.com.json` of the npm package `@octokit/openapi` (MIT licence, © Octokit
contributors) at the version of the second. Writes `openapi-<version>.json` beside this file: only the operations named
below, without prose and examples, as JSON Schema (OpenAPI 3.0 says `nullable` where JSON Schema says `null`).
"""

import json
import sys
from pathlib import Path
from typing import Any

OPERATIONS = """
GET /app
GET /app/hook/deliveries
POST /app/hook/deliveries/{delivery_id}/attempts
GET /user
GET /users/{username}
GET /rate_limit
GET /meta
POST /app/installations/{installation_id}/access_tokens
GET /repos/{owner}/{repo}
GET /repos/{owner}/{repo}/installation
GET /repos/{owner}/{repo}/collaborators/{username}/permission
GET /repos/{owner}/{repo}/rules/branches/{branch}
GET /repos/{owner}/{repo}/issues
POST /repos/{owner}/{repo}/issues
GET /repos/{owner}/{repo}/issues/{issue_number}
PATCH /repos/{owner}/{repo}/issues/{issue_number}
GET /repos/{owner}/{repo}/issues/{issue_number}/events
GET /repos/{owner}/{repo}/issues/{issue_number}/comments
POST /repos/{owner}/{repo}/issues/{issue_number}/comments
GET /repos/{owner}/{repo}/issues/comments
PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}
DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}
GET /repos/{owner}/{repo}/issues/{issue_number}/labels
POST /repos/{owner}/{repo}/issues/{issue_number}/labels
DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}
POST /repos/{owner}/{repo}/issues/{issue_number}/reactions
POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions
POST /repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions
GET /repos/{owner}/{repo}/pulls
POST /repos/{owner}/{repo}/pulls
GET /repos/{owner}/{repo}/pulls/{pull_number}
PATCH /repos/{owner}/{repo}/pulls/{pull_number}
PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge
GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews
GET /repos/{owner}/{repo}/pulls/{pull_number}/comments
POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies
DELETE /repos/{owner}/{repo}/pulls/comments/{comment_id}
POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers
GET /repos/{owner}/{repo}/commits/{ref}/status
GET /repos/{owner}/{repo}/commits/{ref}/check-runs
POST /repos/{owner}/{repo}/statuses/{sha}
GET /repos/{owner}/{repo}/contents/{path}
GET /repos/{owner}/{repo}/pulls/{pull_number}/files
GET /repos/{owner}/{repo}/actions/runs
GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs
GET /repos/{owner}/{repo}/actions/jobs/{job_id}/logs
GET /search/code
GET /repos/{owner}/{repo}/hooks/{hook_id}/deliveries
POST /repos/{owner}/{repo}/hooks/{hook_id}/deliveries/{delivery_id}/attempts
POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches
""".strip().splitlines()
PROSE = {
    "description",
    "summary",
    "example",
    "examples",
    "externalDocs",
    "tags",
    "operationId",
    "x-github",
    "deprecated",
}


def cut(whole: dict[str, Any]) -> dict[str, Any]:
    """The operations and every component that they reach."""
    operations = {}
    for line in OPERATIONS:
        method, path = line.split()
        found = whole["paths"][path]
        operation = _plain(found[method.lower()])
        shared = _plain(found.get("parameters", []))
        operations[line] = {
            "parameters": [*shared, *operation.get("parameters", [])],
            "body": _json(operation.get("requestBody", {})),
            "answers": {status: _answer(answer, whole) for status, answer in operation["responses"].items()},
        }
    return {"operations": operations, "components": _reached(operations, whole)}


def _answer(answer: dict[str, Any], whole: dict[str, Any]) -> Any:
    if "$ref" in answer:
        answer = _plain(_at(whole, answer["$ref"]))
    return _json(answer)


def _json(body: dict[str, Any]) -> Any:
    return body.get("content", {}).get("application/json", {}).get("schema")


def _plain(value: Any, *, names: bool = False) -> Any:
    """Without prose (but a property may be named `description`), and with `nullable` as JSON Schema says it."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _plain(each, names=key == "properties")
        for key, each in value.items()
        if names or (key not in PROSE and not key.startswith("x-"))
    }
    if names or not kept.pop("nullable", False):
        return kept
    if isinstance(kept.get("type"), str) and "enum" not in kept:
        return kept | {"type": [kept["type"], "null"]}
    return {"anyOf": [kept, {"type": "null"}]}


def _at(whole: dict[str, Any], ref: str) -> Any:
    found: Any = whole
    for part in ref.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _reached(start: Any, whole: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            ref = value.get("$ref")
            if isinstance(ref, str) and ref not in found:
                found[ref] = _plain(_at(whole, ref))
                waiting.append(found[ref])
            waiting += value.values()
    nested: dict[str, Any] = {}
    for ref, value in found.items():
        _, _, kind, name = ref.split("/")
        nested.setdefault(kind, {})[name] = value
    return nested


def main() -> None:
    """Read the description named first, write the cut."""
    source, version = sys.argv[1:]
    made = cut(json.loads(Path(source).read_text()))
    made = {"from": f"npm @octokit/openapi {version}, MIT licence, (c) Octokit contributors"} | made
    target = Path(__file__).with_name(f"openapi-{version}.json")
    target.write_text(json.dumps(made, separators=(",", ":"), sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
