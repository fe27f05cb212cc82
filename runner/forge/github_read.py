"""What agents may read of the repository on GitHub, as text. The runner asks; no agent ever holds a token.

It is this repository alone: the token may see others, which are nobody's business here.
"""

import base64
import re
import time
from collections import deque
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

from runner.errors import ToolError, UserError
from runner.forge import Subject
from runner.forge.github_client import Client
from runner.forge.hidden import seen, told
from runner.web import Page

MOST_AN_HOUR = 120
"""Questions; people and the runner use the same allowance."""
CHARACTERS = 400_000
LOG_BYTES = 32 << 20
LOGS, LOG_LINES = 3, 300
"""Of so many failed jobs the log is read, and so many lines from its end: there stands why."""
_STAMP = re.compile(r"(?m)^\ufeff?\d{4}-\d\d-\d\dT[\d:.]+Z ")


class Reading:
    """Reads one repository. `logs` is a client whose token may read Actions."""

    def __init__(self, client: Client, logs: Client) -> None:
        self.client, self.logs = client, logs
        self.path, self.place = client.place.path, client.place
        self._asked: deque[float] = deque()

    def page(self, subject: Subject, which: str, branch: str) -> Page:
        """What GitHub has on `which` (a number, `path@ref`, words; nothing for the log of `branch`).

        Raises `ToolError` for what is not there or cannot be had.
        """
        self._count()
        try:
            title, address, text = self._told(subject, which.strip(), branch)
        except UserError as error:
            raise ToolError(f"GitHub cannot be read: {error.what}. Go on without it.") from error
        return Page(address, title, text[:CHARACTERS], time.time(), cut=len(text) > CHARACTERS)

    def _count(self) -> None:
        now = self.client.clock()
        while self._asked and now - self._asked[0] > 3600:
            self._asked.popleft()
        if len(self._asked) >= MOST_AN_HOUR:
            raise ToolError(f"That were {MOST_AN_HOUR} questions within an hour: go on with what you have.")
        self._asked.append(now)

    def _told(self, subject: Subject, which: str, branch: str) -> tuple[str, str, str]:
        match subject:
            case "issue":
                return self._issue(_number(which))
            case "pull_request":
                return self._pull(_number(which))
            case "diff":
                return self._diff(_number(which))
            case "review_threads":
                return self._threads(_number(which))
            case "file":
                return self._file(*_path(which))
            case "code":
                return self._code(which)
            case "log":
                return self._log(branch)

    def _there(self, path: str, what: str, **query: Any) -> Any:
        found = self.client.get(f"{self.path}/{path}", **query)
        if found is None:
            raise ToolError(f"There is no {what} in {self.place.owner}/{self.place.name}.")
        return found

    def _issue(self, number: int) -> tuple[str, str, str]:
        found = self._there(f"issues/{number}", f"issue #{number}")
        comments = self.client.pages(f"{self.path}/issues/{number}/comments")
        labels = ", ".join(label["name"] for label in found["labels"])
        head = f"{found['state']}, by {_who(found)}{f', labels {labels}' if labels else ''}"
        return _title(found), found["html_url"], "\n\n".join([head, _body(found), *map(_comment, comments)])

    def _pull(self, number: int) -> tuple[str, str, str]:
        found = self._there(f"pulls/{number}", f"pull request #{number}")
        comments = self.client.pages(f"{self.path}/issues/{number}/comments")
        reviews = self.client.pages(f"{self.path}/pulls/{number}/reviews")
        state = "merged" if found["merged_at"] else found["state"]
        head = f"{state}, by {_who(found)}: {found['head']['ref']} into {found['base']['ref']}"
        said = sorted([*map(_review, reviews), *((each["created_at"], _comment(each)) for each in comments)])
        return _title(found), found["html_url"], "\n\n".join([head, _body(found), *(text for _, text in said)])

    def _diff(self, number: int) -> tuple[str, str, str]:
        found = self._there(f"pulls/{number}", f"pull request #{number}")
        files = self.client.pages(f"{self.path}/pulls/{number}/files")
        parts = [f"{each['filename']} ({each['status']}, +{each['additions']} -{each['deletions']})\n"
                 f"{each.get('patch') or '(binary, or too large to be shown)'}" for each in files]  # fmt: skip
        return _title(found), f"{found['html_url']}/files", "\n\n".join(parts) or "Nothing is changed."

    def _threads(self, number: int) -> tuple[str, str, str]:
        found = self._there(f"pulls/{number}", f"pull request #{number}")
        lines = self.client.pages(f"{self.path}/pulls/{number}/comments")
        threads: dict[int, list[Any]] = {}
        for each in lines:
            threads.setdefault(each.get("in_reply_to_id") or each["id"], []).append(each)
        return _title(found), found["html_url"], "\n\n".join(map(_thread, threads.values())) or "There are none."

    def _file(self, path: str, ref: str) -> tuple[str, str, str]:
        place = f"contents/{quote(path, safe='')}"
        found = self._there(place, f"{path} at {ref or 'the default branch'}", **({"ref": ref} if ref else {}))
        title = f"{path}@{ref}" if ref else path
        if isinstance(found, list):
            address = f"{self.place.web}/{self.place.owner}/{self.place.name}/tree/{quote(ref or 'HEAD')}/{quote(path)}"
            return title, address, "\n".join(each["path"] + "/" * (each["type"] == "dir") for each in found)
        if found["type"] != "file" or found.get("encoding") != "base64":
            raise ToolError(f"{path} is no file of at most 1 MB.")
        data = base64.b64decode(found["content"])
        if b"\0" in data[:8192]:
            raise ToolError(f"{path} is a binary file of {len(data)} bytes.")
        return title, found["html_url"], data.decode("utf-8", "replace")

    def _code(self, words: str) -> tuple[str, str, str]:
        if not words or ":" in words:
            raise ToolError("Give words to search for, without colons, such as parse_date timezone.")
        here = f"{self.place.owner}/{self.place.name}"
        found = self.client.get("/search/code", q=f"{words} repo:{here}", per_page=30) or {"items": []}
        lines = [f"{each['path']}  {each['html_url']}" for each in found["items"]
                 if each["repository"]["full_name"].lower() == here.lower()]  # fmt: skip
        address = f"{self.place.web}/{here}/search?type=code&q={quote(words)}"
        return f"code with {words}", address, "\n".join(lines) or "Nothing on the default branch holds these words."

    def _log(self, branch: str) -> tuple[str, str, str]:
        runs = (self.logs.get(f"{self.path}/actions/runs", branch=branch, per_page=20) or {})["workflow_runs"]
        newest = [run for run in runs if run["head_sha"] == runs[0]["head_sha"]]
        if not newest:
            raise ToolError(f"No checks have run on {branch}: they start when it is pushed.")
        jobs = [
            job
            for run in newest
            for job in self.logs.get(f"{self.path}/actions/runs/{run['id']}/jobs", per_page=100)["jobs"]
        ]
        failed = [job for job in jobs if job["conclusion"] in ("failure", "timed_out", "cancelled")]
        states = [f"{job['name']}: {job['conclusion'] or job['status']}" for job in jobs]
        text = "\n\n".join(["\n".join(states), *(f"{job['name']}\n{self._lines(job)}" for job in failed[:LOGS])])
        return f"checks of {branch} at {newest[0]['head_sha'][:10]}", newest[0]["html_url"], text

    def _lines(self, job: Any) -> str:
        """The end of a job's log. GitHub keeps it elsewhere: no token goes there, and only public addresses are used,
        or the server's own."""
        from runner.web.request import Bounds, get

        address = self.logs.elsewhere(f"{self.path}/actions/jobs/{job['id']}/logs")
        if address is None:
            return "(its log is gone)"
        server = urlsplit(self.place.web)
        ours = frozenset({f"{server.hostname}:{server.port or 443}"})
        answer = get(address, Bounds(ours), LOG_BYTES)
        if answer.status != 200:
            return f"(its log cannot be read: {answer.status})"
        lines = _STAMP.sub("", answer.body.decode("utf-8", "replace")).splitlines()
        return "\n".join(lines[-LOG_LINES:])


def _number(which: str) -> int:
    found = re.fullmatch(r"#?([0-9]{1,9})", which)
    if found is None:
        raise ToolError("Give the number alone, such as 12.")
    return int(found[1])


def _path(which: str) -> tuple[str, str]:
    """`path@ref` → path and ref; without one, the default branch."""
    path, at, ref = which.rpartition("@")
    path, ref = (path, ref) if at else (which, "")
    parts = path.strip("/").split("/")
    if not path.strip("/") or ".." in parts or "." in parts:
        raise ToolError("Give a path of the repository and a ref, such as src/calc.py@main.")
    return path.strip("/"), ref


def _who(found: Any) -> str:
    return found["user"]["login"] if found.get("user") else "somebody"


def _title(found: Any) -> str:
    return f"#{found['number']} {found['title']}"


def _comment(found: Any) -> str:
    return f"{_who(found)}, {found['created_at']}:\n{_body(found)}"


def _review(found: Any) -> tuple[str, str]:
    verdict = found["state"].lower().replace("_", " ")
    at = found.get("submitted_at") or ""
    return at, f"{_who(found)}, {at}, a review: {verdict}\n{_body(found)}"


def _body(found: Any) -> str:
    """A text as people see it."""
    return told(*seen(found["body"] or ""))


def _thread(comments: Iterable[Any]) -> str:
    first, *_ = comments = list(comments)
    line = first.get("line") or first.get("original_line")
    place = f"{first['path']}:{line}" if line else first["path"]
    return "\n".join([place, first.get("diff_hunk") or "", *map(_comment, comments)])
