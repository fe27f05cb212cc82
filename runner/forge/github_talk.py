"""What people say and do on GitHub: labels on issues, comments, reviews, closing. Only read here, never written."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from runner.forge import Asked, Heard, Issue, Labelled, Person, Remark, Watched
from runner.forge.github_client import Client
from runner.forge.github_proposals import Proposals
from runner.forge.github_writes import is_ours
from runner.forge.hidden import own_words, seen
from runner.lifecycle import parse_stage_branch

LABELS = "pullwright:"
MARKER = "<!-- pullwright:"
"""Begins every comment of ours: what one of our accounts writes without it is the person's own (rule 6)."""
NOTE = f"{MARKER}task -->"
"""Begins the one note on a task's issue."""
ASKS = f"{MARKER}asks "
"""Ends a note that shows a question, with the moment at which that was asked."""
_ASKS = re.compile(rf"{ASKS}(\S+) -->\s*\Z")
_REPLY = re.compile(r"<!-- pullwright:reply (\S+) -->")
TRUST = 300.0
"""Seconds for which an answer about somebody's permission is believed."""
_EDITED = (
    "query($owner: String!, $name: String!, $number: Int!) "
    "{ repository(owner: $owner, name: $name) { issue(number: $number) { lastEditedAt title body } } }"
)


class Talk:
    """Reads one repository's issues and pull requests. `label` is the one by which an issue becomes a task."""

    def __init__(self, client: Client, proposals: Proposals, ours: Callable[[], frozenset[int]], label: str) -> None:
        self.client, self.proposals, self.ours, self.label = client, proposals, ours, label
        self.path = client.place.path
        self._levels: dict[int, tuple[str, float]] = {}
        self.doubled: set[str] = set()
        """Tasks on whose issue the last look saw a second note: two hosts had the same thought."""
        self.asked: dict[str, Asked] = {}
        """What the notes asked when they were last seen, by task."""

    def hear(self, watched: Sequence[Watched], only: frozenset[str] | None = None) -> Heard:
        """Everything at once: issues with the label, what was said about the watched tasks, strangers' proposals.

        Of the tasks `only` nothing else is asked for: neither the list of issues, nor other people's proposals.
        """
        lately = self._lately() if any(each.done for each in watched) else frozenset()
        watched = [each for each in watched if not each.done or each.task in lately]
        pulls = self.client.pages(f"{self.path}/pulls", state="open")
        issues = list(self._issues(watched) if only is None else self._named(watched, only))
        remarks = [remark for each in watched for remark in self._about(each, pulls)]
        strangers = [
            pull["number"]
            for pull in pulls
            if (ref := parse_stage_branch(pull["head"]["ref"]))
            and (only is None or ref.task in only)
            and not self.proposals.is_ours(pull)
        ]
        asked = {each.task: self.asked[each.task] for each in watched if each.task in self.asked}
        return Heard(tuple(issues), tuple(remarks), tuple(strangers), asked)

    def _lately(self) -> frozenset[str]:
        """The issues below which people wrote the newest hundred comments of the repository: one question for all."""
        newest = self.client.get(f"{self.path}/issues/comments", sort="updated", direction="desc", per_page=100)
        said = [each for each in newest or () if not self._is_mine(each)]
        return frozenset(f"issue-{each['issue_url'].rpartition('/')[2]}" for each in said)

    def person(self, user: Any) -> Person:
        """An account with what it may do here: asked of GitHub, for `author_association` is not to be believed."""
        if user is None:
            return Person("ghost", 0)
        bot = user["type"] != "User"
        return Person(user["login"], user["id"], "none" if bot else self._level(user["login"], user["id"]), bot)  # type: ignore[arg-type]

    def _level(self, login: str, id: int) -> str:
        """What the account with this id may do; GitHub is asked by a name, which may be somebody else's by now."""
        known = self._levels.get(id)
        if known is None or self.client.clock() - known[1] > TRUST:
            found = self.client.get(f"{self.path}/collaborators/{login}/permission")
            level = found["permission"] if found and (found["user"] or {}).get("id") == id else "none"
            known = self._levels[id] = (level if level in ("read", "write", "admin") else "none", self.client.clock())
        return known[0]

    # --- issues ----------------------------------------------------------------------------------------------------

    def _issues(self, watched: Sequence[Watched]) -> Iterator[Issue]:
        tasks = {int(each.task.removeprefix("issue-")): each for each in watched if _is_issue(each.task)}
        labelled = self.client.pages(f"{self.path}/issues", labels=self.label, state="all", direction="asc")
        found = {issue["number"]: issue for issue in labelled if "pull_request" not in issue}
        for number in [*found, *(number for number in tasks if number not in found)]:
            data = found.get(number) or self._one(number)
            known = tasks.get(number)
            if data is not None:
                yield self._issue(data, number in found, known is None or known.withdrawn)

    def _one(self, number: int) -> Any | None:
        """An issue; None for one that is gone, also to another repository, where GitHub sends who asks for it."""
        data = self.client.get(f"{self.path}/issues/{number}")
        return data if data is not None and data["number"] == number else None

    def _named(self, watched: Sequence[Watched], only: frozenset[str]) -> Iterator[Issue]:
        """The issues of some tasks, one by one."""
        tasks = {each.task: each for each in watched}
        for task in sorted(filter(_is_issue, only)):
            data, known = self._one(int(task.removeprefix("issue-"))), tasks.get(task)
            if data is not None and "pull_request" not in data:
                labelled = self.label in {each["name"] for each in data["labels"]}
                yield self._issue(data, labelled, known is None or known.withdrawn)

    def _issue(self, data: Any, labelled: bool, look_up: bool) -> Issue:
        """`look_up`: whether it may be accepted now, so that label and edits have to be known exactly."""
        number, said = data["number"], data["body"] or ""
        stages = [each["name"].removeprefix(LABELS) for each in data["labels"] if each["name"].startswith(LABELS)]
        is_open, stage = data["state"] == "open", (*stages, "")[0]
        plain = Issue(number, data["title"], said, data["html_url"], is_open, None, None, False, stage)
        if not labelled or not look_up or not plain.open:
            return msgspec.structs.replace(plain, labelled=_SOMEBODY if labelled else None)
        events = self.client.pages(f"{self.path}/issues/{plain.number}/events")
        put = [each for each in events if each["event"] == "labeled" and each["label"]["name"] == self.label]
        place = self.client.place
        text = self.client.ask(_EDITED, owner=place.owner, name=place.name, number=plain.number)["repository"]["issue"]
        renamed = [each["created_at"] for each in events if each["event"] == "renamed"]
        edited = max([text["lastEditedAt"] or "", *renamed]) or None
        last = put[-1] if put else None
        act = Labelled(str(last["id"]), self.person(last["actor"]), last["created_at"]) if last else None
        said = text["body"] or ""  # of the same moment as `edited`
        return Issue(number, text["title"], said, plain.url, is_open, act, edited, stage=stage)

    # --- remarks ---------------------------------------------------------------------------------------------------

    def _about(self, each: Watched, pulls: Sequence[Any]) -> Iterator[Remark]:
        if _is_issue(each.task):
            number = int(each.task.removeprefix("issue-"))
            since = {"since": each.accepted} if each.accepted else {}
            yield from self._comments(each, number, below_issue=True, **since)
        if each.ref is None:
            return
        found = next(
            (pull for pull in pulls if pull["head"]["ref"] == each.branch and self.proposals.is_ours(pull)), None
        )
        if found is None:
            found = next(iter(self.proposals.of(each.branch)), None)
        if found is None:
            return
        yield from self._comments(each, found["number"])
        yield from self._reviews(each, found["number"])
        if found["state"] == "closed" and not found["merged_at"]:
            yield self._closing(each, found)

    def _comments(self, each: Watched, number: int, *, below_issue: bool = False, **since: str) -> Iterator[Remark]:
        comments = self.client.pages(f"{self.path}/issues/{number}/comments", **since)
        if below_issue:
            self._note(each.task, comments)
        for comment in comments:
            if not self._is_mine(comment) and comment["created_at"] >= each.accepted:
                text, lost = own_words(comment["body"] or "")
                yield Remark(
                    id=f"github:{comment['id']}", task=each.task, at=comment["created_at"],
                    who=self.person(comment["user"]), text=text, kind="comment", about=each.ref,
                    place=comment["html_url"], below_issue=below_issue, lost=lost,
                )  # fmt: skip

    def _note(self, task: str, comments: Sequence[Any]) -> None:
        """What there is of a task's note, for those who show it and for those who hear what is said below it."""
        notes = [each for each in comments if is_ours(each, self.ours()) and each["body"].startswith(NOTE)]
        (self.doubled.add if len(notes) > 1 else self.doubled.discard)(task)
        before = self.asked.pop(task, None)
        for each in notes[:1]:  # the one that stays
            question = _ASKS.search(each["body"])
            now = Asked(question[1] if question else "", each["updated_at"])
            # the same question was there before something else in the note was changed
            self.asked[task] = before if before is not None and before.since == now.since else now

    def _is_mine(self, comment: Any) -> bool:
        """Ours, or a machine's: neither is anything that a person said."""
        user = comment["user"]
        if user is None or user["type"] != "User":
            return True
        return user["id"] in self.ours() and (comment["body"] or "").startswith(MARKER)

    def _reviews(self, each: Watched, number: int) -> Iterator[Remark]:
        """Each review as one: its verdict, its text, its comments on lines."""
        lines = self.client.pages(f"{self.path}/pulls/{number}/comments")
        replied = {found for line in lines if self._is_mine(line) for found in _REPLY.findall(line["body"] or "")}
        for review in self.client.pages(f"{self.path}/pulls/{number}/reviews"):
            if review["state"] not in ("CHANGES_REQUESTED", "COMMENTED") or self._is_mine(review):
                continue
            own = [line for line in lines if line["pull_request_review_id"] == review["id"] and not self._is_mine(line)]
            said = [seen(each["body"] or "") for each in (review, *own)]
            lost = tuple(dict.fromkeys(what for each in said for what in each.lost))
            parts = [said[0].text, *(_line(line, part.text) for line, part in zip(own, said[1:], strict=True))]
            text = "\n\n".join(filter(None, parts))
            if text or review["state"] == "CHANGES_REQUESTED":
                id = f"github:review-{review['id']}"
                yield Remark(
                    id=id, task=each.task, at=review["submitted_at"], who=self.person(review["user"]),
                    text=text or "Changes are requested.", kind="review", about=each.ref, lost=lost,
                    answered=id in replied,
                    threads=tuple(line.get("in_reply_to_id") or line["id"] for line in own), place=review["html_url"],
                )  # fmt: skip

    def _closing(self, each: Watched, pull: Any) -> Remark:
        number = pull["number"]
        issue = self.client.get(f"{self.path}/issues/{number}")
        return Remark(
            id=f"github:closed-{number}-{pull['closed_at']}", task=each.task, at=pull["closed_at"],
            who=self.person(issue["closed_by"]), text=f"#{number} was closed without a merge", kind="closed",
            about=each.ref, place=pull["html_url"],
        )  # fmt: skip


_SOMEBODY = Labelled("", Person("somebody", 0), "")


def _is_issue(task: str) -> bool:
    return re.fullmatch(r"issue-[0-9]+", task) is not None


def _line(comment: Any, text: str) -> str:
    """A comment on a line, with its place and the lines that it is about."""
    line = comment.get("line") or comment.get("original_line")
    place = f"{comment['path']}:{line}" if line else comment["path"]
    hunk = (comment.get("diff_hunk") or "").splitlines()[-4:]
    quoted = "\n".join(f"> {each}" for each in hunk)
    return f"{place}\n{quoted}\n{text}" if quoted else f"{place}\n{text}"
