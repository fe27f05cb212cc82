"""Stages as pull requests: found, opened once, merged at exactly one head."""

from collections.abc import Callable
from typing import Any

from runner.errors import UserError
from runner.forge import Merged, Proposal, Refused
from runner.forge.github_client import Client, Rejected, Unclear

LOOKS = 6
"""Times that GitHub is asked about something it still computes, or may not show yet."""
GOOD = ("success", "neutral", "skipped")
ONLY_REBASE = (
    "only rebase merges are allowed here, and GitHub can rebase no branch into which a base that has moved was merged; "
    "allow merge commits or squash in the repository's settings"
)


class Proposals:
    """The pull requests of one repository. `ours` are the ids of the accounts whose pull requests count (rule 6)."""

    def __init__(self, client: Client, ours: Callable[[], frozenset[int]], name: str = "") -> None:
        self.client = client
        self.ours = ours
        self.path = f"{client.place.path}/pulls"

    def of(self, branch: str) -> list[Any]:
        """Our pull requests for a branch, the newest first, whatever became of them."""
        owner = self.client.place.owner
        found = self.client.pages(self.path, head=f"{owner}:{branch}", state="all")
        return [each for each in found if self.is_ours(each) and each["head"]["ref"] == branch]

    def is_ours(self, pull: Any) -> bool:
        """Whether head and base are in one repository, and one of our accounts opened it. A name proves nothing."""
        head, base = pull["head"]["repo"], pull["base"]["repo"]
        return head is not None and head["id"] == base["id"] and pull["user"]["id"] in self.ours()

    def open(self, proposal: Proposal) -> Any:
        """The proposal's pull request, made if it is not there; one that a person closed stays closed."""
        found = self._present(proposal)
        if found is not None:
            return self._with_text(found, proposal)
        body = {"title": proposal.title, "body": proposal.body, "head": proposal.branch, "base": proposal.target}
        for look in range(LOOKS):
            try:
                return self.client.write("POST", self.path, body)
            except Unclear:
                pass  # it may be there all the same: the look below says
            except Rejected as refused:
                _refuse_for_good(refused, proposal)
            if (found := self._seen_late(proposal, look)) is not None:
                return found
        raise UserError(
            f"GitHub opens no pull request for {proposal.branch}", "look at its pull requests; then run it again"
        )

    def _present(self, proposal: Proposal) -> Any | None:
        found = self.of(proposal.branch)
        still = [each for each in found if each["state"] == "open"]
        return (still or found or [None])[0]

    def _seen_late(self, proposal: Proposal, look: int) -> Any | None:
        """A list may lag behind a write: look, wait, look."""
        found = self._present(proposal)
        if found is None:
            self.client.sleep(2.0 ** min(look, 4))
            found = self._present(proposal)
        return found

    def _with_text(self, pull: Any, proposal: Proposal) -> Any:
        wanted = {"title": proposal.title, "body": proposal.body}
        if pull["state"] != "open" or all((pull[key] or "") == text for key, text in wanted.items()):
            return pull
        self._repeatable("PATCH", f"{self.path}/{pull['number']}", wanted)
        return pull

    def close(self, branch: str) -> None:
        """Close what is open for a branch that is given up."""
        for pull in self.of(branch):
            if pull["state"] == "open":
                self._repeatable("PATCH", f"{self.path}/{pull['number']}", {"state": "closed"})

    def _repeatable(self, verb: str, path: str, body: Any) -> None:
        """A write that may be done twice without harm."""
        for _ in range(3):
            try:
                self.client.write(verb, path, body)
                return
            except Unclear:
                self.client.sleep(2.0)
            except Rejected as refused:
                if refused.status not in (404, 422):
                    raise UserError(f"GitHub refuses {path}: {refused.said}", "see docs/github.md") from refused
                return

    # --- merging ---------------------------------------------------------------------------------------------------

    def merge(self, proposal: Proposal, message: str) -> Merged | Refused:
        """Merge exactly the proposal's head, where checks are green; or say why not."""
        found = self._present(proposal)
        if found is None:
            return Refused("moved", f"{proposal.branch} has no pull request yet")
        pull = self._computed(found["number"])
        why_not = self._why_not(pull, proposal)
        if why_not is not None:
            return why_not
        title, _, body = message.partition("\n")
        method = self.methods()[0]
        wanted = {"sha": proposal.head, "merge_method": method, "commit_title": title, "commit_message": body}
        try:
            self.client.write("PUT", f"{self.path}/{pull['number']}/merge", wanted)
        except Unclear:
            return self._after_all(pull["number"], proposal)
        except Rejected as refused:
            kind = "moved" if refused.status == 409 or "Base branch was modified" in refused.said else "hold"
            why = f": {ONLY_REBASE}" if method == "rebase" else ""
            return Refused("moved" if kind == "moved" else "hold", f"GitHub does not merge it: {refused.said}{why}")
        return self._after_all(pull["number"], proposal)

    def _computed(self, number: int) -> Any:
        """The pull request, once GitHub knows whether it can be merged."""
        pull = self.client.get(f"{self.path}/{number}")
        for look in range(LOOKS):
            if pull["merged"] or pull["state"] != "open" or pull["mergeable"] is not None:
                break
            self.client.sleep(2.0 ** min(look, 4))
            pull = self.client.get(f"{self.path}/{number}")
        return pull

    def _why_not(self, pull: Any, proposal: Proposal) -> Merged | Refused | None:
        where = pull["html_url"]
        if pull["merged"]:
            return Merged(proposal.head)
        if pull["state"] != "open":
            return Refused("hold", f"{where} is closed")
        if pull["head"]["sha"] != proposal.head or pull["base"]["ref"] != proposal.target:
            return Refused("moved", f"{where} is not at what was looked at")
        if pull["mergeable"] is None:
            return Refused("moved", f"GitHub does not know yet whether {where} can be merged")
        if not pull["mergeable"]:
            return Refused("hold", f"{where} conflicts with {proposal.target}")
        return self._checks(proposal.head, where)

    def _checks(self, head: str, where: str) -> Refused | None:
        """Green is: something looked at this head, and nothing of it is red or still running."""
        commit = f"{self.client.place.path}/commits/{head}"
        statuses = self.client.pages(f"{commit}/status", "statuses")
        runs = self.client.pages(f"{commit}/check-runs", "check_runs")
        red = [each["context"] for each in statuses if each["state"] in ("failure", "error")]
        red += [run["name"] for run in runs if run["status"] == "completed" and run["conclusion"] not in GOOD]
        waits = [each["context"] for each in statuses if each["state"] == "pending"]
        waits += [run["name"] for run in runs if run["status"] != "completed"]
        if red:
            return Refused("hold", f"check failed: {', '.join(red)} ({where})")
        if waits or not (statuses or runs):
            return Refused("moved", f"waits for checks: {', '.join(waits) or 'none has looked at it'} ({where})")
        return None

    def methods(self) -> tuple[str, ...]:
        """The ways to merge that the repository allows, the best first: a merge commit keeps most of the history."""
        allowed = self.client.get(self.client.place.path) or {}
        ways = (("allow_merge_commit", "merge"), ("allow_squash_merge", "squash"), ("allow_rebase_merge", "rebase"))
        return tuple(way for key, way in ways if allowed.get(key, True)) or ("merge",)

    def _after_all(self, number: int, proposal: Proposal) -> Merged | Refused:
        """What came of a merge, looked up."""
        for look in range(LOOKS):
            if self.client.get(f"{self.path}/{number}")["merged"]:
                return Merged(proposal.head)
            self.client.sleep(2.0 ** min(look, 4))
        return Refused("moved", "GitHub did not say whether it merged; it is looked up again")


def _refuse_for_good(refused: Rejected, proposal: Proposal) -> None:
    """Raises `UserError` for what another try would not change."""
    if refused.status == 422 and "already exists" in refused.said:
        return
    if refused.status == 403:
        remedy = "give the token pull_requests: write; for GITHUB_TOKEN allow Actions to create pull requests"
    elif "No commits between" in refused.said:
        remedy = f"{proposal.target} has all of it already: run it again"
    else:
        remedy = "see docs/github.md"
    raise UserError(f"GitHub opens no pull request for {proposal.branch}: {refused.said}", remedy)
