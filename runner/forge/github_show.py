"""How GitHub shows a task beside its notes: labels, gate verdicts, reviewers, answers in threads.

Everything here looks first and writes only what differs, so that a run which was killed anywhere is made good by the
next one.
"""

from collections.abc import Callable, Collection
from functools import partial
from urllib.parse import quote

from runner.forge import Mark, Remark
from runner.forge.github_client import Client, Rejected, Unclear
from runner.forge.github_talk import LABELS, MARKER
from runner.forge.github_writes import is_ours, once, repeat


class Show:
    """Writes to one repository's issues and pull requests."""

    def __init__(self, client: Client, ours: Callable[[], frozenset[int]]) -> None:
        self.client, self.ours = client, ours
        self.path = client.place.path

    def label(self, number: int, wanted: Collection[str]) -> None:
        """Of the labels that are ours, exactly these; people's labels are left alone."""
        have = {each["name"] for each in self.client.pages(f"{self.path}/issues/{number}/labels")}
        for name in sorted(name for name in have if name.startswith(LABELS) and name not in wanted):
            repeat(self.client, "DELETE", f"{self.path}/issues/{number}/labels/{quote(name, safe='')}", None)
        missing = sorted(set(wanted) - have)
        if missing:
            repeat(self.client, "POST", f"{self.path}/issues/{number}/labels", {"labels": missing})

    def unlabel(self, number: int, name: str) -> None:
        """Take a label off."""
        if name in {each["name"] for each in self.client.pages(f"{self.path}/issues/{number}/labels")}:
            repeat(self.client, "DELETE", f"{self.path}/issues/{number}/labels/{quote(name, safe='')}", None)

    def mark(self, head: str, marks: Collection[Mark], url: str) -> None:
        """A commit status for each gate at this head."""
        there = self.client.get(f"{self.path}/commits/{head}/status", per_page=100)["statuses"]
        have = {each["context"]: (each["state"], each["description"]) for each in there}
        for mark in marks:
            context, state = f"pullwright/{mark.name}", "success" if mark.passed else "failure"
            words = mark.words[:140]
            if have.get(context) != (state, words):
                body = {"state": state, "context": context, "description": words, "target_url": url}
                repeat(self.client, "POST", f"{self.path}/statuses/{head}", body)

    def eyes(self, place: str) -> None:
        """Say that something was seen; GitHub keeps one reaction of a kind by each account."""
        repeat(self.client, "POST", f"{self.path}/{place}/reactions", {"content": "eyes"})

    def refuse(self, place: str) -> None:
        """Say that something was not heard."""
        repeat(self.client, "POST", f"{self.path}/{place}/reactions", {"content": "-1"})

    def reply(self, number: int, remark: Remark, text: str) -> None:
        """Answer in each thread of a review, once: of two hosts that do, the first answer stays."""
        marker = f"{MARKER}reply {remark.id} -->"
        for thread in dict.fromkeys(remark.threads):
            there = partial(self._replies, number, thread, marker)
            if not there():
                path = f"{self.path}/pulls/{number}/comments/{thread}/replies"
                once(self.client, path, {"body": f"{marker}\n{text}"}, there)
            for later in there()[1:]:
                repeat(self.client, "DELETE", f"{self.path}/pulls/comments/{later}", None)

    def _replies(self, number: int, thread: int, marker: str) -> list[int]:
        """The ids of our answers in a thread, oldest first."""
        lines = self.client.pages(f"{self.path}/pulls/{number}/comments")
        own = (each for each in lines if each.get("in_reply_to_id") == thread and is_ours(each, self.ours()))
        return sorted(each["id"] for each in own if each["body"].startswith(marker))

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
            repeat(
                self.client, "PATCH", f"{self.path}/issues/{number}", {"state": "closed", "state_reason": "completed"}
            )
