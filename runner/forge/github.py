"""GitHub: stages are pull requests, issues are tasks, reviews are work. Start reading at `GitHub`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

from runner.credentials import FOR_LOGS, Credentials
from runner.errors import ToolError, UserError
from runner.forge import Heard, Merged, Proposal, Refused, Shown, Subject, Watched
from runner.forge import github_threads as threads
from runner.forge.github_client import Client
from runner.forge.github_notes import Notes
from runner.forge.github_proposals import ONLY_REBASE, Proposals
from runner.forge.github_read import Reading
from runner.forge.github_show import Show
from runner.forge.github_talk import ASKS, LABELS, Talk
from runner.git import Identity
from runner.lifecycle import StageRef
from runner.web import Page

JOB = 41898282
"""The account `github-actions[bot]` on github.com, as which a job's own token acts: it may not ask who it is."""


TURNED_AN_HOUR = 10
"""Strangers' proposals that get a comment: the writes of an hour are for work."""


class GitHub:
    """One repository. `identities` are the ids of our accounts beside the one whose token this is. `resolves`: threads
    that were answered are resolved as well."""

    name = "github"
    talks = True

    def __init__(
        self,
        credentials: Credentials,
        identities: Sequence[int] = (),
        label: str = "pullwright",
        resolves: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.credentials = credentials
        self.identities = frozenset(identities)
        self.task_label = label
        self.client = Client(credentials, clock, sleep)
        self.proposals = Proposals(self.client, lambda: self.ours)
        self.talk = Talk(self.client, self.proposals, lambda: self.ours, label)
        self.screen = Show(self.client, lambda: self.ours)
        self.notes = Notes(self.client, lambda: self.ours)
        self.resolves = resolves
        self.reading = Reading(
            self.client, Client(replace(credentials, permissions=FOR_LOGS, _minted=None), clock, sleep)
        )
        self._shown: dict[str, Shown] = {}
        self._turned: dict[int, float] = {}
        self._refused: dict[str, str] = {}  # why GitHub did not merge a task's proposal

    @cached_property
    def ours(self) -> frozenset[int]:
        """The ids of our accounts, the present one among them."""
        return self.identities | {self._me()}

    def _me(self) -> int:
        if self.credentials.kind == "job":
            return JOB
        if self.credentials.kind == "app":
            slug = self.credentials.as_app("GET", "/app")["slug"]
            return int(self.client.get(f"/users/{slug}[bot]")["id"])
        return int(self.client.get("/user")["id"])

    def open(self, proposal: Proposal) -> str:
        """The proposal's pull request; returns its address."""
        return str(self.proposals.open(proposal)["html_url"])

    def closed(self, ref: StageRef, branch: str) -> bool:
        """Whether its pull request was closed without a merge."""
        found = self.proposals.of(branch)
        return bool(found) and all(each["state"] == "closed" and not each["merged_at"] for each in found)

    def merge(self, proposal: Proposal, message: str, by: Identity | None = None) -> Merged | Refused:
        """Merge by GitHub, which keeps the branch's rules. A person approves there, with their own account."""
        if by is not None:
            found = self.proposals.of(proposal.branch)
            where = found[0]["html_url"] if found else "its pull request comes with the next run"
            return Refused("hold", f"approve and merge it on GitHub, as yourself: {where}")
        answer = self.proposals.merge(proposal, message)
        held = answer.reason if isinstance(answer, Refused) and answer.kind == "hold" else ""
        self._refused[proposal.ref.task] = held
        self._shown.pop(proposal.ref.task, None)
        return answer

    def hear(self, watched: Sequence[Watched], only: frozenset[str] | None = None) -> Heard:
        """What people said and did."""
        return self.talk.hear(watched, only)

    def show(self, shown: Shown) -> None:
        """Make issue and pull request look like this; nothing is asked where that was shown before."""
        for remark in shown.taken:
            if remark.kind == "comment":
                self.screen.eyes(f"issues/comments/{remark.id.removeprefix('github:')}")
        if self._shown.get(shown.task) == shown and shown.task not in self.talk.doubled:
            return
        number = int(shown.task.removeprefix("issue-")) if shown.task.startswith("issue-") else None
        for branch in shown.gone:
            self.proposals.close(branch)
        where = self._propose(shown, shown.proposal) if shown.proposal is not None else None
        if number is not None:
            self._issue(number, shown, self._link(shown.task, where) if where else "")
        self._shown[shown.task] = shown

    def _propose(self, shown: Shown, proposal: Proposal) -> int | None:
        """Open it, with all that belongs to it; returns its number while it waits."""
        pull = self.proposals.open(proposal)
        if pull["state"] != "open":
            return None
        self.screen.mark(proposal.head, shown.marks, pull["html_url"])
        self.screen.label(pull["number"], [f"{LABELS}{shown.label}"] if shown.label else [])
        have = [each["login"] for each in pull["requested_reviewers"] or []]
        if not have:
            wanted = [name for name in shown.reviewers if name != pull["user"]["login"]]
            self.screen.reviewers(pull["number"], wanted, have)
        for remark, text in shown.replies:
            self.screen.reply(pull["number"], remark, text)
        if self.resolves and shown.replies:
            answered = {thread for remark, _ in shown.replies for thread in remark.threads}
            threads.resolve(self.client, int(pull["number"]), answered)
        return int(pull["number"])

    def _link(self, task: str, where: int) -> str:
        """The proposal that waits, and why it was not merged: in code, where nobody's words do anything."""
        why = " ".join(self._refused.get(task, "").replace("`", "'").split())
        return f"\n\n→ #{where}" + (f": `{why[:1000]}`" if why else "")

    def _issue(self, number: int, shown: Shown, link: str) -> None:
        if shown.note:
            caution = "" if shown.done or shown.refused else self._caution
            end = f"\n\n{ASKS}{shown.asks} -->" if shown.asks else ""
            at_once = shown.done or shown.refused or bool(shown.asks)
            self.notes.note(number, "task", shown.note + link + caution + end, now=at_once)
        if shown.refused:
            self.screen.unlabel(number, self.task_label)
        if shown.accepted:
            self.screen.eyes(f"issues/{number}")
        if shown.label:
            self.screen.label(number, [f"{LABELS}{shown.label}"])
        if shown.done:
            self.screen.close_issue(number)

    @cached_property
    def _caution(self) -> str:
        """What people should mend before it stops a task half-way."""
        return f"\n\n⚠ {ONLY_REBASE[0].upper()}{ONLY_REBASE[1:]}." if self.proposals.methods() == ("rebase",) else ""

    def turn_away(self, number: int, why: str) -> None:
        """One comment on a pull request that is not ours; of many some get theirs later, for anybody can open them."""
        now = self.client.clock()
        if number not in self._turned and sum(now - at < 3600 for at in self._turned.values()) < TURNED_AN_HOUR:
            self._turned[number] = now
            self.notes.note(number, "stranger", why, now=True)

    def converse(self, task: str, said: Sequence[tuple[str, str]]) -> None:
        """A comment below the task's issue for each thing that was said elsewhere."""
        if task.startswith("issue-"):
            self.notes.thread(int(task.removeprefix("issue-")), said)

    def settle(self) -> None:
        """Notes that had to wait."""
        self.notes.settle()

    def read(self, subject: Subject, which: str, branch: str) -> Page:
        """What an agent asks for, of this repository alone."""
        return self.reading.page(subject, which, branch)

    def comment(self, task: str, key: str, text: str) -> str:
        """One comment below the issue, in our name, which is never heard as a person's."""
        if not task.startswith("issue-"):
            raise ToolError("This task is no issue: there is nothing to comment on. Write a note instead.")
        number = int(task.removeprefix("issue-"))
        try:
            return self.notes.aside(number, key, text)
        except UserError as error:
            raise ToolError(f"GitHub does not take it: {error.what}") from error
