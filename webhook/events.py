"""What a delivery says: which tasks to look at again, and nothing else. Pure.

A payload is never believed: whatever it tells is looked up (docs/design.md, rule 4). Fields are read as they come, and
one of another shape is as good as none.
"""

import hmac
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from runner.lifecycle import SLUG
from runner.sight.listing import stem
from runner.sight.owners import owner

LIMIT = 25 << 20
"""Bytes of a payload: https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap."""
NEEDED = frozenset(
    (
        "check_run",
        "create",
        "delete",
        "issue_comment",
        "issues",
        "pull_request",
        "pull_request_review",
        "push",
        "status",
    )
)
"""The events that our webhook has to send."""
_WORDS = re.compile(r"[a-z0-9_]{1,64}")
_GUID = re.compile(r"[0-9A-Za-z-]{1,64}")


class Refusal(NamedTuple):
    """Why a delivery is not taken: an HTTP status and a reason."""

    status: int
    reason: str


class Notice(NamedTuple):
    """A delivery that is taken: `tasks` are to be looked at again; `note` is for a person.

    Among the tasks `#12` stands for whichever the pull request 12 belongs to. `hook` is what sent it, as GitHub's
    headers say: `repository 12` or `integration 12`.
    """

    guid: str
    event: str
    action: str
    tasks: frozenset[str] = frozenset()
    note: str = ""
    hook: str = ""


def refuse_head(headers: dict[str, str], secrets: tuple[str, ...]) -> Refusal | None:
    """Why a request is refused before its body is read. Names of `headers` are in lower case."""
    if not secrets:
        return Refusal(503, "no secret is set: this service takes no webhooks")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "the webhook's content type has to be application/json")
    if not _WORDS.fullmatch(headers.get("x-github-event", "")):
        return Refusal(400, "X-GitHub-Event is missing or no event")
    if not _GUID.fullmatch(headers.get("x-github-delivery", "")):
        return Refusal(400, "X-GitHub-Delivery is missing or no id")
    if "x-hub-signature-256" not in headers:
        old = "x-hub-signature" in headers
        return Refusal(401, "signatures by SHA-1 are not taken" if old else "X-Hub-Signature-256 is missing")
    length = headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > LIMIT:
        return Refusal(413, f"the payload has more than {LIMIT} bytes")
    return None


def signed(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets made the signature (`sha256=…`) over the raw bytes, in constant time."""
    given = signature.encode()
    made = [b"sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest().encode() for secret in secrets]
    return any([hmac.compare_digest(one, given) for one in made])  # noqa: C419 (all are tried: no time is told)


def read(headers: dict[str, str], body: bytes) -> Notice | Refusal:
    """What a signed delivery says."""
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refusal(400, "the payload is no JSON")
    if not isinstance(payload, dict):
        return Refusal(400, "the payload is no object")
    event, action = headers["x-github-event"], payload.get("action")
    action = action if isinstance(action, str) and _WORDS.fullmatch(action) else ""
    notice = Notice(headers["x-github-delivery"], event, action, hook=_hook(headers))
    if event == "ping":
        return notice._replace(note=_ping(payload))
    if event not in _READERS:
        return notice._replace(note="not an event that says anything about tasks")
    return notice._replace(tasks=frozenset(_READERS[event](payload)))


def _hook(headers: dict[str, str]) -> str:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers."""
    kind, id = (headers.get(f"x-github-hook-{name}", "") for name in ("installation-target-type", "id"))
    return f"{kind} {id}" if kind in ("repository", "integration") and re.fullmatch("[0-9]{1,20}", id) else ""


def _ping(payload: dict[str, Any]) -> str:
    """What the hook still lacks."""
    events = _at(payload, "hook", "events")
    has = {event for event in events if isinstance(event, str)} if isinstance(events, list) else set()
    missing = () if "*" in has else sorted(NEEDED - has)
    return f"the webhook lacks the events {', '.join(missing)}" if missing else "the webhook has the events it needs"


Concerned = set[str]


def _push(payload: dict[str, Any]) -> Concerned:
    ref = _text(payload, "ref").removeprefix("refs/")
    name = ref.removeprefix("pullwright/") if ref.startswith("pullwright/") else ref
    if slug := owner(name):
        return {slug}
    paths = list(_paths(payload))
    return {stem(path) for path in paths if SLUG.fullmatch(stem(path))} | _folders(paths)


def _paths(payload: dict[str, Any]) -> Iterator[str]:
    commits = payload.get("commits")
    for commit in commits if isinstance(commits, list) else ():
        for kind in ("added", "modified", "removed"):
            found = commit.get(kind) if isinstance(commit, dict) else None
            yield from (path for path in found or () if isinstance(path, str) and path.startswith("tasks/"))


def _folders(paths: Iterable[str]) -> set[str]:
    names = {name for path in paths for name in path.split("/")[1:-1]}
    return {name for name in names if SLUG.fullmatch(name)}


def _ref(payload: dict[str, Any]) -> Concerned:
    return _branches([_text(payload, "ref")])


def _pull(payload: dict[str, Any]) -> Concerned:
    return _branches([_text(payload, "pull_request", "head", "ref")])


def _branches(names: Iterable[str]) -> Concerned:
    return {slug for name in names if (slug := owner(f"heads/{name}"))}


def _issue(payload: dict[str, Any]) -> Concerned:
    """An issue's task; a comment on a pull request concerns whoever's that is: the payload does not say."""
    number = _at(payload, "issue", "number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        return set()
    return {f"#{number}" if _at(payload, "issue", "pull_request") is not None else f"issue-{number}"}


def _check(kind: str) -> Any:
    def concerned(payload: dict[str, Any]) -> Concerned:
        pulls = _at(payload, kind, "pull_requests")
        names = (
            [_text(pull, "head", "ref") for pull in pulls if isinstance(pull, dict)] if isinstance(pulls, list) else []
        )
        return _branches(
            [*names, _text(payload, kind, "head_branch"), _text(payload, kind, "check_suite", "head_branch")]
        )

    return concerned


def _status(payload: dict[str, Any]) -> Concerned:
    found = payload.get("branches")
    return _branches(_text(branch, "name") for branch in (found if isinstance(found, list) else ()))


def _text(value: Any, *keys: str) -> str:
    found = _at(value, *keys)
    return found if isinstance(found, str) else ""


def _at(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


_READERS: dict[str, Any] = {
    "push": _push,
    "create": _ref,
    "delete": _ref,
    "pull_request": _pull,
    "pull_request_review": _pull,
    "pull_request_review_comment": _pull,
    "pull_request_review_thread": _pull,
    "issues": _issue,
    "issue_comment": _issue,
    "check_run": _check("check_run"),
    "check_suite": _check("check_suite"),
    "workflow_run": _check("workflow_run"),
    "status": _status,
}
