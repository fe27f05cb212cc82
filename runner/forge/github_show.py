"""How GitHub shows a task: one comment on its issue, labels, gate verdicts, answers in threads.

Everything here looks first and writes only what differs, so that a run which was killed anywhere is made good by the
next one.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from runner.errors import ToolError, UserError
from runner.forge import Mark, Remark
from runner.forge.github_client import Client, Rejected, Unclear
from runner.forge.github_talk import LABELS, MARKER

ASIDE, MOST_ASIDES = "aside ", 5
BETWEEN_NOTES = 30.0  # seconds between two changes of the same note
LOOKS = 3
SAID = "said "
_SAID = re.compile(rf"{re.escape(MARKER)}{SAID}\S+ -->")


class Show:
    """Writes to one repository's issues and pull requests."""

    def __init__(self, client: Client, ours: Callable[[], frozenset[int]]) -> None:
        self.client, self.ours = client, ours
        self.path = client.place.path
        self.held: dict[tuple[int, str], str] = {}
        self._changed: dict[tuple[int, str], float] = {}

    def note(self, number: int, key: str, text: str, *, now: bool = False) -> None:
        """The one comment `key` of ours on an issue or pull request, with this text; changed every 30 s at most."""
        last = self._changed.get((number, key))
        if not now and last is not None and self.client.clock() - last < BETWEEN_NOTES:
            self.held[number, key] = text
            return
        self.held.pop((number, key), None)
        body = f"{MARKER}{key} -->\n{text}"
        found = self._own(number, f"{MARKER}{key} -->")
        if found is not None and found["body"] == body:
            return
        self._changed[number, key] = self.client.clock()
        if found is not None:
            self._repeatable("PATCH", f"{self.path}/issues/comments/{found['id']}", {"body": body})
        else:
            self._comment(number, key, body)

    def aside(self, number: int, key: str, text: str) -> str:
        """A comment of an agent on an issue, made once; returns its address. Raises `ToolError` when there are many."""
        mine = [each for each in self.client.pages(f"{self.path}/issues/{number}/comments") if self._is_ours(each)]
        asides = [each for each in mine if each["body"].startswith(f"{MARKER}{ASIDE}")]
        if not any(each["body"].startswith(f"{MARKER}{ASIDE}{key} -->") for each in asides):
            if len(asides) >= MOST_ASIDES:
                raise ToolError(f"Agents have commented {MOST_ASIDES} times here: no more. Write a note instead.")
            self.note(number, f"{ASIDE}{key}", text, now=True)
        found = self._own(number, f"{MARKER}{ASIDE}{key} -->")
        return str(found["html_url"]) if found is not None else f"#{number}"

    def thread(self, number: int, said: Sequence[tuple[str, str]]) -> None:
        """A comment for each key, in this order; those that are there are left alone."""
        there = {marker for marker, _ in self._said(number)}
        missing = [(key, text) for key, text in said if f"{MARKER}{SAID}{key} -->" not in there]
        for key, text in missing:
            self._comment(number, f"{SAID}{key}", f"{MARKER}{SAID}{key} -->\n{text}")
        if missing:
            self._once_each(number)

    def _once_each(self, number: int) -> None:
        """Two hosts may have said the same at the same moment: the first comment stays, whoever was later sees both."""
        first: dict[str, int] = {}
        for marker, comment in self._said(number):
            if first.setdefault(marker, comment["id"]) != comment["id"]:
                self._repeatable("DELETE", f"{self.path}/issues/comments/{comment['id']}", None)

    def _said(self, number: int) -> Iterator[tuple[str, Any]]:
        """Our comments that tell what was said elsewhere, oldest first, each with its marker."""
        for each in self.client.pages(f"{self.path}/issues/{number}/comments"):
            if self._is_ours(each) and (found := _SAID.match(each["body"])):
                yield found[0], each

    def settle(self) -> None:
        """Write the notes that were held back, when they may be written."""
        for (number, key), text in list(self.held.items()):
            since = self.client.clock() - self._changed[number, key]
            if since < BETWEEN_NOTES:
                self.client.sleep(BETWEEN_NOTES - since)
            self.note(number, key, text, now=True)

    def _comment(self, number: int, key: str, body: str) -> None:
        for look in range(LOOKS):
            try:
                self.client.write("POST", f"{self.path}/issues/{number}/comments", {"body": body})
                return
            except Rejected as refused:
                raise UserError(f"GitHub takes no comment on #{number}: {refused.said}", _RIGHTS) from refused
            except Unclear:
                if self._seen_late(number, f"{MARKER}{key} -->", look):
                    return

    def _seen_late(self, number: int, marker: str, look: int) -> bool:
        """Whether a comment is there after all; a list may lag behind a write."""
        if self._own(number, marker) is not None:
            return True
        self.client.sleep(2.0**look)
        return self._own(number, marker) is not None

    def _own(self, number: int, marker: str) -> Any | None:
        """Our comment with this marker: the author counts, for anybody can copy the marker."""
        found = self.client.pages(f"{self.path}/issues/{number}/comments")
        return next((each for each in found if self._is_ours(each) and each["body"].startswith(marker)), None)

    def _is_ours(self, comment: Any) -> bool:
        return comment["user"] is not None and comment["user"]["id"] in self.ours() and bool(comment["body"])

    def label(self, number: int, wanted: Collection[str]) -> None:
        """Of the labels that are ours, exactly these; people's labels are left alone."""
        have = {each["name"] for each in self.client.pages(f"{self.path}/issues/{number}/labels")}
        for name in sorted(name for name in have if name.startswith(LABELS) and name not in wanted):
            self._repeatable("DELETE", f"{self.path}/issues/{number}/labels/{quote(name, safe='')}", None)
        missing = sorted(set(wanted) - have)
        if missing:
            self._repeatable("POST", f"{self.path}/issues/{number}/labels", {"labels": missing})

    def unlabel(self, number: int, name: str) -> None:
        """Take a label off."""
        if name in {each["name"] for each in self.client.pages(f"{self.path}/issues/{number}/labels")}:
            self._repeatable("DELETE", f"{self.path}/issues/{number}/labels/{quote(name, safe='')}", None)

    def mark(self, head: str, marks: Collection[Mark], url: str) -> None:
        """A commit status for each gate at this head."""
        there = self.client.get(f"{self.path}/commits/{head}/status", per_page=100)["statuses"]
        have = {each["context"]: (each["state"], each["description"]) for each in there}
        for mark in marks:
            context, state = f"pullwright/{mark.name}", "success" if mark.passed else "failure"
            words = mark.words[:140]
            if have.get(context) != (state, words):
                body = {"state": state, "context": context, "description": words, "target_url": url}
                self._repeatable("POST", f"{self.path}/statuses/{head}", body)

    def eyes(self, place: str) -> None:
        """Say that something was seen; GitHub keeps one reaction of a kind by each account."""
        self._repeatable("POST", f"{self.path}/{place}/reactions", {"content": "eyes"})

    def refuse(self, place: str) -> None:
        """Say that something was not heard."""
        self._repeatable("POST", f"{self.path}/{place}/reactions", {"content": "-1"})

    def reply(self, number: int, remark: Remark, text: str) -> None:
        """Answer in each thread of a review, once."""
        marker = f"{MARKER}reply {remark.id} -->"
        for thread in dict.fromkeys(remark.threads):
            if not self._replied(number, thread, marker):
                path = f"{self.path}/pulls/{number}/comments/{thread}/replies"
                self._once(path, {"body": f"{marker}\n{text}"}, partial(self._replied, number, thread, marker))

    def _replied(self, number: int, thread: int, marker: str) -> bool:
        lines = self.client.pages(f"{self.path}/pulls/{number}/comments")
        return any(
            line.get("in_reply_to_id") == thread and self._is_ours(line) and line["body"].startswith(marker)
            for line in lines
        )

    def reviewers(self, number: int, wanted: Collection[str], have: Collection[str]) -> str:
        """Ask people to review; returns why not, where GitHub refuses (an author cannot be asked)."""
        missing = sorted(set(wanted) - set(have))
        if not missing:
            return ""
        try:
            self.client.write("POST", f"{self.path}/pulls/{number}/requested_reviewers", {"reviewers": missing})
        except Rejected as refused:
            return refused.said
        except Unclear:
            return ""  # the next look asks again
        return ""

    def close_issue(self, number: int) -> None:
        """Close an issue whose task is complete, where GitHub has not done so by itself."""
        issue = self.client.get(f"{self.path}/issues/{number}")
        if issue is not None and issue["state"] == "open":
            self._repeatable("PATCH", f"{self.path}/issues/{number}", {"state": "closed", "state_reason": "completed"})

    def _once(self, path: str, body: Any, done: Callable[[], bool]) -> None:
        for look in range(LOOKS):
            try:
                self.client.write("POST", path, body)
                return
            except Rejected:
                return  # the thread is gone
            except Unclear:
                if not done():
                    self.client.sleep(2.0**look)
                if done():
                    return

    def _repeatable(self, verb: str, path: str, body: Any) -> None:
        """A write that may be done twice without harm. What is gone meanwhile needs nothing."""
        for look in range(LOOKS):
            try:
                self.client.write(verb, path, body)
                return
            except Unclear:
                self.client.sleep(2.0**look)
            except Rejected as refused:
                if refused.status in (403, 401):
                    raise UserError(f"GitHub refuses {verb} {path}: {refused.said}", _RIGHTS) from refused
                return


_RIGHTS = "give the token what docs/github.md lists under Permissions"
