"""Requests to GitHub: reads are repeated, writes never; both wait for rate limits, within a bound.

A write whose answer was lost may have landed: whoever made it looks before it is made again
(https://github.com/pytorch/test-infra/pull/8061 shows what happens else).
"""

import json
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from runner.credentials import TIMEOUT, Credentials, requester
from runner.errors import UserError

READS = 5  # attempts at a read
PATIENCE = 60.0  # seconds after which a read is attempted no more: one that is silent takes `TIMEOUT` for each
WAIT = 300.0  # seconds that a limit is waited for at most; after that a person hears of it
BETWEEN_WRITES = 1.0  # seconds (docs.github.com, "Best practices for using the REST API")
WRITES_AN_HOUR = 250  # half of what makes GitHub refuse, and people use the same allowance


class Rejected(Exception):
    """GitHub said no, and nothing was done. `said` is its message with the errors below it."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status
        self.said = said


class Unclear(Exception):
    """A write without an answer: it may have been done."""


class Client:
    """One repository's requests. `clock` and `sleep` are for tests."""

    def __init__(
        self,
        credentials: Credentials,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        timeout: int = TIMEOUT,
    ) -> None:
        self.credentials = credentials
        self.place = credentials.place
        self.clock, self.sleep = clock, sleep
        self._requester = requester(self.place.api, timeout)
        self._writes: deque[float] = deque()
        self._tags: dict[str, tuple[str, Any, str]] = {}

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at `path`, or None where there is nothing. Raises `Rejected`, or `UserError` when nobody answers."""
        return self._get(path, query)[0]

    def pages(self, path: str, key: str = "", **query: Any) -> list[Any]:
        """All items of a list, a hundred at a time; with `key` of the list that stands below it."""
        found: list[Any] = []
        page, query = 1, query | {"per_page": 100}
        while True:
            items, more = self._get(path, query | ({"page": page} if page > 1 else {}))
            found += (items[key] if key and items else items) or []
            if not more:
                return found
            page += 1

    def elsewhere(self, path: str) -> str | None:
        """Where GitHub sends whoever asks for `path` (302), or None where there is nothing. Nothing is followed."""
        status, headers, text = self._send("GET", path, {}, None)
        if status == 302:
            return headers["location"]
        if status in (404, 410):
            return None
        raise _unanswered(self.place.api, path, status, text)

    def write(self, verb: str, path: str, body: Any) -> Any:
        """Do it once. Raises `Rejected` when nothing was done, `Unclear` when nobody knows.

        A limit is no failure: what it refuses was not done, and is tried again when the limit allows.
        """
        waited = 0.0
        while True:
            self._pace()
            status, headers, text = self._send(verb, path, {}, body)
            pause = _limited(status, headers, text)
            if pause is None:
                return self._settled(status, text)
            waited = self._wait(pause, waited)

    def ask(self, question: str, **values: Any) -> Any:
        """The answer to a GraphQL question; only for what REST cannot tell."""
        until = self.clock() + PATIENCE
        for attempt in range(READS):
            body = {"query": question, "variables": values}
            status, headers, text = self._send("POST", self._requester.graphql_url, {}, body)
            pause = _limited(status, headers, text)
            if status == 200 and "data" in (found := json.loads(text)) and not found.get("errors"):
                return found["data"]
            if status == 401 or (status == 0 and self.clock() >= until):
                break
            self.sleep(pause or 2.0**attempt)
        raise UserError(f"{self.place.api} does not answer GraphQL: {status} {text[:200]}", "try again later")

    def change(self, question: str, **values: Any) -> bool:
        """A GraphQL mutation, once; whether it was done. Only for what REST cannot do."""
        try:
            found = self.write("POST", self._requester.graphql_url, {"query": question, "variables": values})
        except (Rejected, Unclear):
            return False
        return bool(found) and not found.get("errors")

    def _get(self, path: str, query: dict[str, Any]) -> tuple[Any, bool]:
        """One page, and whether there is a next one. What has not changed costs nothing (ETag)."""
        key = f"{path}?{sorted(query.items())}"
        known = self._tags.get(key)
        waited = 0.0
        until = self.clock() + PATIENCE
        for attempt in range(READS):
            headers_sent = {"If-None-Match": known[0]} if known else {}
            status, headers, text = self._send("GET", path, query, None, headers_sent)
            if status == 304 and known:
                return known[1], 'rel="next"' in known[2]
            if status == 200:
                data = json.loads(text)
                if "etag" in headers:
                    self._tags[key] = (headers["etag"], data, headers.get("link", ""))
                return data, 'rel="next"' in headers.get("link", "")
            if status in (404, 410):  # it is not there, or not any more
                return None, False
            pause = _limited(status, headers, text)
            if pause is not None:
                waited = self._wait(pause, waited)
                until += pause
            elif (status and status < 500) or self.clock() >= until:
                break
            else:
                self.sleep(2.0**attempt)
        raise _unanswered(self.place.api, path, status, text)

    def _settled(self, status: int, text: str) -> Any:
        if status == 0 or status >= 500:
            raise Unclear(text)
        if status >= 300:
            raise Rejected(status, _said(text))
        return json.loads(text) if text else None

    def _send(
        self, verb: str, path: str, query: dict[str, Any], body: Any, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """Status, headers in lower case, text; status 0 where the connection broke."""
        import requests

        sent = {"Authorization": f"Bearer {self.credentials.token()}", **(headers or {})}
        try:
            status, got, text = self._requester.requestJson(verb, path, query, sent, body)
        except (requests.RequestException, OSError) as error:
            return 0, {}, str(error)
        return status, {key.lower(): str(value) for key, value in got.items()}, text or ""

    def _pace(self) -> None:
        """Wait until another write is decent."""
        while self._writes and self.clock() - self._writes[0] >= 3600:
            self._writes.popleft()
        if len(self._writes) >= WRITES_AN_HOUR:
            self.sleep(max(0.0, 3600 - (self.clock() - self._writes[0])))
        if self._writes:
            since = self.clock() - self._writes[-1]
            if since < BETWEEN_WRITES:
                self.sleep(BETWEEN_WRITES - since)
        self._writes.append(self.clock())

    def _wait(self, pause: float, waited: float) -> float:
        if waited + pause > WAIT:
            raise UserError(
                f"GitHub's rate limit is used up for another {pause:.0f} s", "run it again then: nothing is lost"
            )
        self.sleep(pause)
        return waited + pause


def _limited(status: int, headers: dict[str, str], text: str) -> float | None:
    """Pure: for how many seconds a limit asks us to wait; None where it is none.

    GitHub answers 403 or 429, with `retry-after`, or with no requests left until a reset, or with words alone.
    """
    if status not in (403, 429):
        return None
    if headers.get("retry-after", "").isdecimal():
        return float(headers["retry-after"])
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdecimal():
        return max(1.0, float(headers["x-ratelimit-reset"]) - time.time())
    return 60.0 if status == 429 or "rate limit" in text.lower() else None


def _said(text: str) -> str:
    """GitHub's words, with what stands below `errors`."""
    try:
        body = json.loads(text)
    except ValueError:
        return text[:300]
    errors = body.get("errors") or [] if isinstance(body, dict) else []
    below = [error if isinstance(error, str) else error.get("message", json.dumps(error)) for error in errors]
    return ": ".join([str(body.get("message", "") if isinstance(body, dict) else body), *below])


def _unanswered(api: str, path: str, status: int, text: str) -> UserError:
    if status == 401:
        return UserError(f"{api} does not take the token: {_said(text)}", "renew it (docs/github.md, Credentials)")
    if status == 403:
        return UserError(f"the token may not read {path}: {_said(text)}", "see docs/github.md, Permissions")
    return UserError(f"{api} does not answer {path}: {status or ''} {_said(text)}", "try again when it does")
