"""What GitHub does for the service: issues and pull requests that the API asks for, lost deliveries, workflow runs."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from runner.errors import UserError
from runner.forge import Failed, Hook
from runner.forge.github_client import Client, Rejected, Unclear
from runner.forge.github_proposals import Proposals
from runner.forge.github_talk import MARKER
from runner.forge.github_writes import LOOKS, RIGHTS, is_ours

WORKFLOW = "agents.yml"
"""The workflow that `pullwright init --forge github` installs."""


class GitHubHosting:
    """One repository on GitHub. Used by one thread at a time."""

    def __init__(self, client: Client, proposals: Proposals) -> None:
        self.client, self.proposals = client, proposals
        self.path = client.place.path

    def open_issue(self, title: str, body: str) -> tuple[int, str]:
        """An issue, told from all others by a hidden word in its text that follows from what it says.

        So whoever asks again, because an answer was lost or somebody was killed, gets the one that is open.
        """
        mark = f"{MARKER}asked {sha256(chr(0).join((title, body)).encode()).hexdigest()[:32]} -->"
        sent = {"title": title, "body": f"{body}\n\n{mark}"}
        for look in range(LOOKS):
            if (found := self._marked(mark)) is not None:
                return _place(found)
            try:
                return _place(self.client.write("POST", f"{self.path}/issues", sent))
            except Rejected as refused:
                raise UserError(f"GitHub opens no issue: {refused.said}", RIGHTS) from refused
            except Unclear:
                self.client.sleep(2.0**look)
        raise UserError("GitHub does not say whether it opened the issue", "look at the repository's issues")

    def _marked(self, mark: str) -> Any | None:
        """Our open issue with that word, among the newest hundred: anybody could write it."""
        newest = self.client.get(f"{self.path}/issues", state="open", sort="created", direction="desc", per_page=100)
        ours = self.proposals.ours()
        return next((each for each in newest or () if is_ours(each, ours) and each["body"].endswith(mark)), None)

    def offer(self, branch: str, target: str, title: str, body: str) -> str:
        """A pull request for a branch; the one that is there, if there is one."""
        sent = {"title": title, "body": body, "head": branch, "base": target}
        for look in range(LOOKS):
            found = [each for each in self.proposals.of(branch) if each["state"] == "open"]
            if found:
                return str(found[0]["html_url"])
            try:
                return str(self.client.write("POST", f"{self.path}/pulls", sent)["html_url"])
            except Rejected as refused:
                if "already exists" not in refused.said:
                    raise UserError(f"GitHub opens no pull request for {branch}: {refused.said}", RIGHTS) from refused
            except Unclear:
                self.client.sleep(2.0**look)
        raise UserError(f"GitHub does not say whether it opened a pull request for {branch}", "look at them")

    def review_of(self, branch: str) -> str:
        """The tab with what is changed, where GitHub has *Review changes*."""
        found = [each for each in self.proposals.of(branch) if each["state"] == "open"]
        return f"{found[0]['html_url']}/files" if found else ""

    def branch_of(self, number: int) -> str:
        """Its head branch, where that is in this repository."""
        found = self.client.get(f"{self.path}/pulls/{number}")
        if found is None or found["head"]["repo"] is None or found["head"]["repo"]["id"] != found["base"]["repo"]["id"]:
            return ""
        return str(found["head"]["ref"])

    def failed(self, hook: Hook) -> tuple[Failed, ...]:
        """By GitHub's own list, which goes three days back."""
        if hook.kind == "integration":
            found = self.client.credentials.as_app("GET", "/app/hook/deliveries?status=failure&per_page=100")
        else:
            found = self.client.get(f"{self.path}/hooks/{hook.id}/deliveries", status="failure", per_page=100)
        return tuple(Failed(each["id"], each["guid"]) for each in found or ())

    def redeliver(self, hook: Hook, delivery: int) -> None:
        """It comes with the guid that it had."""
        if hook.kind == "integration":
            self.client.credentials.as_app("POST", f"/app/hook/deliveries/{delivery}/attempts")
            return
        self._send(f"{self.path}/hooks/{hook.id}/deliveries/{delivery}/attempts", None)

    def start_workflow(self, branch: str) -> None:
        """By `workflow_dispatch`; a second run finds what the first has left."""
        client, own = self.client, self.client.credentials
        if own.kind == "app":  # whose tokens may no more than they are asked for
            able = replace(own, permissions={"actions": "write"}, _minted=None)
            client = Client(able, client.clock, client.sleep)
        self._send(f"{self.path}/actions/workflows/{WORKFLOW}/dispatches", {"ref": branch}, client)

    def _send(self, path: str, body: Any, client: Client | None = None) -> None:
        try:
            (client or self.client).write("POST", path, body)
        except Rejected as refused:
            raise UserError(f"GitHub refuses {path}: {refused.said}", RIGHTS) from refused
        except Unclear:
            return  # it was done, or the next look asks again


def _place(issue: Any) -> tuple[int, str]:
    return int(issue["number"]), str(issue["html_url"])
