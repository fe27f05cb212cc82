"""What we write below issues and pull requests: one note each, and what was said elsewhere, each thing once.

Every comment of ours begins with a hidden marker. Two hosts may write the same at the same moment: the first comment
stays, and whoever sees both takes the later one away, so that it does not matter which of them lives on.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from runner.errors import ToolError, UserError
from runner.forge.github_client import Client, Rejected, Unclear
from runner.forge.github_talk import MARKER
from runner.forge.github_writes import GONE, LOOKS, RIGHTS, is_ours, repeat

ASIDE, MOST_ASIDES = "aside ", 5
BETWEEN_NOTES = 30.0  # seconds between two changes of the same note
SAID = "said "
_SAID = re.compile(rf"{re.escape(MARKER)}{SAID}\S+ -->")


class Notes:
    """Our comments in one repository. `ours` are the ids of our accounts."""

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
        found = self._only(number, key)
        if found is not None and found["body"] == body:
            return
        self._changed[number, key] = self.client.clock()
        if found is None:
            self._comment(number, key, body)
            found = self._only(number, key)  # another host may have written one at the same moment
        if found is not None and found["body"] != body:
            repeat(self.client, "PATCH", f"{self.path}/issues/comments/{found['id']}", {"body": body})

    def _only(self, number: int, key: str) -> Any | None:
        """Our first comment with this key, now the only one: what other hosts wrote beside it is taken away."""
        found = sorted(self._all_own(number, f"{MARKER}{key} -->"), key=itemgetter("id"))
        for later in found[1:]:
            repeat(self.client, "DELETE", f"{self.path}/issues/comments/{later['id']}", None)
        return found[0] if found else None

    def aside(self, number: int, key: str, text: str) -> str:
        """A comment of an agent on an issue, made once; returns its address. Raises `ToolError` when there are many."""
        asides = self._all_own(number, f"{MARKER}{ASIDE}")
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
        self._once_each(number)  # also what a host that was killed had no time for

    def _once_each(self, number: int) -> None:
        """Two hosts may have said the same at the same moment: the first comment stays, whoever was later sees both."""
        first: dict[str, int] = {}
        for marker, comment in self._said(number):
            if first.setdefault(marker, comment["id"]) != comment["id"]:
                repeat(self.client, "DELETE", f"{self.path}/issues/comments/{comment['id']}", None)

    def _said(self, number: int) -> Iterator[tuple[str, Any]]:
        """Our comments that tell what was said elsewhere, oldest first, each with its marker."""
        for each in self.client.pages(f"{self.path}/issues/{number}/comments"):
            if is_ours(each, self.ours()) and (found := _SAID.match(each["body"])):
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
                if refused.status in GONE:
                    return
                raise UserError(f"GitHub takes no comment on #{number}: {refused.said}", RIGHTS) from refused
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
        return next(iter(self._all_own(number, marker)), None)

    def _all_own(self, number: int, marker: str) -> list[Any]:
        """Our comments with this marker: the author counts, for anybody can copy the marker."""
        found = self.client.pages(f"{self.path}/issues/{number}/comments")
        return [each for each in found if is_ours(each, self.ours()) and each["body"].startswith(marker)]
