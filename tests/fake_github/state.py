"""What the fake GitHub holds, and what GitHub does with it: the rules whose neglect made accidents elsewhere."""

import re
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fake_github.hooks import Hook

LEVELS = ("none", "read", "triage", "write", "maintain", "admin")
CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:[\w.-]+/[\w.-]+)?#(\d+)", re.IGNORECASE)


class Refusal(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        } | more


def unprocessable(message: str, *errors: dict[str, Any]) -> Refusal:
    """422 as GitHub words it: `Validation Failed` with what is wrong below `errors`."""
    return Refusal(422, message, errors=list(errors)) if errors else Refusal(422, message)


@dataclass
class User:
    """An account; `level` is what it may do in the repository."""

    login: str
    id: int
    level: str = "none"
    type: str = "User"

    def may(self, level: str) -> bool:
        return LEVELS.index(self.level) >= LEVELS.index(level)


@dataclass
class Token:
    """A credential. `app`: made for an installation. `workflows`: may push workflow files. `actions`: may read logs."""

    user: User
    app: bool = False
    workflows: bool = False
    actions: bool = True
    expires: float | None = None


@dataclass
class Comment:
    """A comment on an issue or pull request; with `path` one on a line, of the review `review`."""

    id: int
    user: User
    body: str
    created: str
    updated: str
    number: int
    path: str = ""
    line: int | None = None
    hunk: str = ""
    review: int | None = None
    reply_to: int | None = None
    commit: str = ""
    reactions: list[tuple[str, int]] = field(default_factory=list)
    resolved: bool = False


@dataclass
class Review:
    """A review: APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED, of the head `commit`."""

    id: int
    user: User
    state: str
    body: str
    commit: str
    submitted: str
    number: int


@dataclass
class Issue:
    """An issue, or the issue's side of a pull request."""

    number: int
    id: int
    user: User
    title: str
    body: str
    created: str
    state: str = "open"
    reason: str | None = None
    labels: list[str] = field(default_factory=list)
    edited: str | None = None
    closed_by: User | None = None
    closed: str | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    reactions: list[tuple[str, int]] = field(default_factory=list)


@dataclass
class Pull:
    """What a pull request has beyond its issue. `fork`: its head is in another repository, at `fork_head`."""

    number: int
    head: str
    base: str
    fork: bool = False
    last_head: str = ""
    merged: bool = False
    merged_by: User | None = None
    merged_at: str | None = None
    merge_commit: str | None = None
    reviewers: list[str] = field(default_factory=list)
    known: tuple[str, str] | None = None


class World:
    """One repository on one server, with its people. All methods are called under `lock`."""

    def __init__(self, folder: Path, owner: str = "acme", name: str = "shop") -> None:
        self.owner, self.name, self.git_dir = owner, name, folder / owner / f"{name}.git"
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.tokens: dict[str, Token] = {}
        self.issues: dict[int, Issue] = {}
        self.pulls: dict[int, Pull] = {}
        self.comments: dict[int, Comment] = {}
        self.reviews: dict[int, Review] = {}
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.checks: dict[str, list[dict[str, Any]]] = {}
        self.runs: list[dict[str, Any]] = []
        self.tell: Callable[[str, dict[str, Any]], None] = lambda event, given: None
        self.hook: Hook | None = None
        self.dispatched: list[dict[str, Any]] = []
        self.on_dispatch: Callable[[dict[str, Any]], None] = lambda given: None
        self.mentioned: list[str] = []
        self.methods = {"merge", "squash", "rebase"}
        self.required: set[str] = set()
        self.approvals = 0
        self.rules: list[dict[str, Any]] = []
        self.delete_merged = False
        self.private = True
        self.resolvable = True
        self.app: dict[str, Any] | None = None
        self.minutes = 0
        self._ids = 1000
        self.git_dir.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", "main", ".")
        self.git("config", "http.receivepack", "true")

    def git(self, *args: str, stdin: str = "") -> str:
        done = subprocess.run(["git", *args], cwd=self.git_dir, capture_output=True, text=True, input=stdin)
        if done.returncode != 0:
            raise RuntimeError(f"git {args}: {done.stderr}{done.stdout}")
        return done.stdout.strip()

    def asks(self, *args: str) -> bool:
        return subprocess.run(["git", *args], cwd=self.git_dir, capture_output=True).returncode == 0

    def tip(self, branch: str) -> str | None:
        found = subprocess.run(
            ["git", "rev-parse", "-q", "--verify", f"refs/heads/{branch}"],
            cwd=self.git_dir,
            capture_output=True,
            text=True,
        )
        return found.stdout.strip() or None

    def id(self) -> int:
        self._ids += 1
        return self._ids

    def now(self) -> str:
        """The server's clock goes on by a second whenever it is looked at: no two things happen at once."""
        self.minutes += 1
        return (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=self.minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def user(self, login: str, level: str = "none", *, id: int | None = None, type: str = "User") -> User:
        return self.users.setdefault(login, User(login, id or self.id(), level, type))

    def fire(self, event: str, **payload: Any) -> None:
        """Something that a webhook hears of."""
        self.tell(event, payload)

    # --- issues and comments ---------------------------------------------------------------------------------------

    def issue(self, number: int) -> Issue:
        if number not in self.issues:
            raise Refusal(404, "Not Found")
        return self.issues[number]

    def open_issue(self, user: User, title: str, body: str) -> Issue:
        made = Issue(len(self.issues) + 1, self.id(), user, title, body, self.now())
        self.issues[made.number] = made
        self._mention(body)
        self.fire("issues", action="opened", issue=made, sender=user)
        return made

    def edit_issue(self, user: User, number: int, title: str | None = None, body: str | None = None) -> None:
        found = self.issue(number)
        if title is not None and title != found.title:
            self._event(found, user, "renamed", rename={"from": found.title, "to": title})
            found.title = title
        if body is not None and body != found.body:
            found.body, found.edited = body, self.now()
        self.fire("issues", action="edited", issue=found, sender=user)

    def label(self, user: User, number: int, label: str) -> None:
        if not user.may("triage"):
            raise Refusal(403, "Must have triage rights to add labels.")
        found = self.issue(number)
        if label not in found.labels:
            found.labels.append(label)
            self._event(found, user, "labeled", label={"name": label, "color": "ededed"})
            self.fire("issues", action="labeled", issue=found, sender=user, label={"name": label})

    def unlabel(self, user: User, number: int, label: str) -> None:
        found = self.issue(number)
        if label not in found.labels:
            raise Refusal(404, "Label does not exist")
        found.labels.remove(label)
        self._event(found, user, "unlabeled", label={"name": label, "color": "ededed"})
        self.fire("issues", action="unlabeled", issue=found, sender=user, label={"name": label})

    def set_state(self, user: User | None, number: int, state: str) -> None:
        found = self.issue(number)
        if found.state == state:
            return
        found.state, found.closed_by = state, user if state == "closed" else None
        found.closed = self.now() if state == "closed" else None
        self._event(found, user or found.user, "closed" if state == "closed" else "reopened")
        action = "closed" if state == "closed" else "reopened"
        if number in self.pulls:
            self.fire("pull_request", action=action, pull=self.pulls[number], sender=user)
        else:
            self.fire("issues", action=action, issue=found, sender=user)

    def _event(self, issue: Issue, user: User, event: str, **more: Any) -> None:
        issue.events.append({"id": self.id(), "event": event, "actor": user, "created_at": self.now()} | more)

    def comment(self, user: User, number: int, body: str) -> Comment:
        self.issue(number)
        if len(body) > 65536:
            raise unprocessable("Validation Failed", {"code": "custom", "message": "body is too long"})
        now = self.now()
        made = Comment(self.id(), user, body, now, now, number)
        self.comments[made.id] = made
        self._mention(body)
        self.fire("issue_comment", action="created", issue=self.issues[number], comment=made, sender=user)
        return made

    def edit_comment(self, user: User, id: int, body: str) -> Comment:
        found = self.comments.get(id)
        if found is None:
            raise Refusal(404, "Not Found")
        if found.user is not user and not user.may("write"):
            raise Refusal(403, "Must have admin rights to Repository.")
        found.body, found.updated = body, self.now()
        return found

    def delete_comment(self, user: User, id: int) -> None:
        found = self.comments.get(id)
        if found is None:
            raise Refusal(404, "Not Found")
        if found.user is not user and not user.may("admin"):
            raise Refusal(403, "Must have admin rights to Repository.")
        del self.comments[id]
        self.fire("issue_comment", action="deleted", issue=self.issues[found.number], comment=found, sender=user)

    def _mention(self, text: str) -> None:
        """Who is notified: names outside of code."""
        plain = re.sub(r"(?ms)^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1|\Z)|`[^`\n]*`|<!--.*?-->", "", text)
        self.mentioned += re.findall(r"(?<![\w`/])@([A-Za-z0-9-]+)", plain)

    # --- pull requests ---------------------------------------------------------------------------------------------

    def pull(self, number: int) -> Pull:
        if number not in self.pulls:
            raise Refusal(404, "Not Found")
        return self.pulls[number]

    def head_of(self, pull: Pull) -> str:
        """The head follows pushes while the pull request is open."""
        now = self.tip(pull.head) if not pull.fork else pull.last_head
        if now is not None and self.issues[pull.number].state == "open":
            pull.last_head = now
        return pull.last_head

    def open_pull(self, user: User, title: str, body: str, head: str, base: str, *, fork: str = "") -> Pull:
        branch = head.partition(":")[2] or head
        tip = fork or self.tip(branch)
        if tip is None:
            raise unprocessable("Validation Failed", {"resource": "PullRequest", "field": "head", "code": "invalid"})
        onto = self.tip(base)
        if onto is None:
            raise unprocessable("Validation Failed", {"resource": "PullRequest", "field": "base", "code": "invalid"})
        for other in self.pulls.values():
            if (other.head, other.base, other.fork) == (branch, base, bool(fork)) and self._is_open(other):
                said = f"A pull request already exists for {self.owner}:{branch}."
                raise unprocessable("Validation Failed", {"resource": "PullRequest", "code": "custom", "message": said})
        if self.asks("merge-base", "--is-ancestor", tip, onto):
            said = f"No commits between {base} and {branch}"
            raise unprocessable("Validation Failed", {"resource": "PullRequest", "code": "custom", "message": said})
        issue = Issue(len(self.issues) + 1, self.id(), user, title, body, self.now())
        self.issues[issue.number] = issue
        made = Pull(issue.number, branch, base, bool(fork), tip)
        self.pulls[made.number] = made
        self._mention(body)
        self.fire("pull_request", action="opened", pull=made, sender=user)
        return made

    def _is_open(self, pull: Pull) -> bool:
        return self.issues[pull.number].state == "open"

    def edit_pull(self, user: User, number: int, given: dict[str, Any]) -> Pull:
        pull, issue = self.pull(number), self.issues[number]
        issue.title, issue.body = given.get("title", issue.title), given.get("body", issue.body)
        if given.get("state", issue.state) != issue.state:
            if given["state"] == "open" and self.tip(pull.head) is None:
                raise unprocessable("Validation Failed", {"code": "custom", "message": "head branch was deleted"})
            self.set_state(user, number, given["state"])
        return pull

    def mergeable(self, pull: Pull) -> bool | None:
        """Computed late: the first look after something moved says that nobody knows yet."""
        now = (self.head_of(pull), self.tip(pull.base) or "")
        if pull.known != now:
            pull.known = now
            return None
        return self.asks("merge-tree", "--write-tree", now[1], now[0])

    def review(self, user: User, number: int, state: str, body: str, comments: list[dict[str, Any]]) -> Review:
        pull, issue = self.pull(number), self.issues[number]
        if issue.user is user and state != "COMMENTED":
            what = "approve" if state == "APPROVED" else "request changes on"
            raise unprocessable("Unprocessable Entity", {"message": f"Review Can not {what} your own pull request"})
        head = self.head_of(pull)
        made = Review(self.id(), user, state, body, head, self.now(), number)
        self.reviews[made.id] = made
        for each in comments:
            now = self.now()
            one = Comment(
                self.id(), user, each["body"], now, now, number, each["path"], each["line"], each["hunk"], made.id
            )
            self.comments[one.id] = one
        self.fire("pull_request_review", action="submitted", pull=pull, review=made, sender=user)
        return made

    def reply(self, user: User, number: int, to: int, body: str) -> Comment:
        above = self.comments.get(to)
        if above is None or not above.path or above.number != number:
            raise Refusal(404, "Not Found")
        now = self.now()
        review = Review(self.id(), user, "COMMENTED", "", self.head_of(self.pull(number)), now, number)
        self.reviews[review.id] = review
        made = Comment(
            self.id(),
            user,
            body,
            now,
            now,
            number,
            above.path,
            above.line,
            above.hunk,
            review.id,
            above.reply_to or above.id,
        )
        self.comments[made.id] = made
        return made

    def merge(
        self, user: User, number: int, method: str, sha: str | None, title: str | None, message: str | None
    ) -> str:
        pull, issue = self.pull(number), self.issues[number]
        if not user.may("write"):
            raise Refusal(403, "Resource not accessible by integration")
        if pull.merged or issue.state == "closed":
            raise Refusal(405, "Pull Request is not mergeable")
        head, onto = self.head_of(pull), self.tip(pull.base)
        assert onto is not None
        if sha is not None and sha != head:
            raise Refusal(409, "Head branch was modified. Review and try the merge again.")
        if method not in self.methods:
            raise Refusal(405, f"{method.capitalize()} merges are not allowed on this repository.")
        self._rules(pull, head)
        if not self.asks("merge-tree", "--write-tree", onto, head):
            raise Refusal(405, "Pull Request is not mergeable")
        before = self.refs()
        made, messages = self._merged(pull, issue, method, onto, head, title, message)
        self.git("update-ref", f"refs/heads/{pull.base}", made, onto)
        pull.merged, pull.merged_by, pull.merge_commit = True, user, made
        issue.state, issue.closed, pull.merged_at = "closed", self.now(), self.now()
        self._close_by_words(pull, "\n".join([issue.body or "", messages]))
        if self.delete_merged and not pull.fork:
            self.git("update-ref", "-d", f"refs/heads/{pull.head}")
        self.fire("pull_request", action="closed", pull=pull, sender=user)
        self.after_push(user, before)
        return made

    def _rules(self, pull: Pull, head: str) -> None:
        if pull.base != "main":
            return
        green = {each["context"] for each in self.latest(head) if each["state"] == "success"}
        green |= {each["name"] for each in self.checks.get(head, []) if each.get("conclusion") == "success"}
        for name in sorted(self.required - green):
            raise Refusal(405, f'Required status check "{name}" is expected.')
        approved = {
            r.user.login
            for r in self.reviews.values()
            if r.number == pull.number and r.state == "APPROVED" and r.commit == head
        }
        if len(approved) < self.approvals:
            raise Refusal(
                405, f"At least {self.approvals} approving review is required by reviewers with write access."
            )

    def latest(self, sha: str) -> list[dict[str, Any]]:
        """The newest status of each context."""
        found: dict[str, dict[str, Any]] = {}
        for each in self.statuses.get(sha, []):
            found[each["context"]] = each
        return list(found.values())

    def _merged(
        self, pull: Pull, issue: Issue, method: str, onto: str, head: str, title: str | None, message: str | None
    ) -> tuple[str, str]:
        commits = self.git("log", "--reverse", "--format=%B%x00", f"{onto}..{head}").replace("\0", "")
        if method == "rebase":
            return self._rebased(onto, head), commits
        tree = self.git("merge-tree", "--write-tree", onto, head).splitlines()[0]
        if method == "squash":
            text = f"{title or f'{issue.title} (#{pull.number})'}\n\n{message if message is not None else commits}"
            return self._commit(tree, [onto], text), text
        text = (
            f"{title or f'Merge pull request #{pull.number} from {self.owner}/{pull.head}'}\n\n{message or issue.title}"
        )
        return self._commit(tree, [onto, head], text), text + commits

    def _commit(self, tree: str, parents: list[str], message: str) -> str:
        above = [word for parent in parents for word in ("-p", parent)]
        names = ("-c", "user.name=GitHub", "-c", "user.email=noreply@github.invalid")
        return self.git(*names, "commit-tree", tree, *above, stdin=message)

    def _rebased(self, onto: str, head: str) -> str:
        """As GitHub does it: every commit but merges, one after another, with new ids; the result must be the same."""
        commits = self.git("rev-list", "--reverse", "--no-merges", "--topo-order", f"{onto}..{head}").split()
        names = ("-c", "user.name=GitHub", "-c", "user.email=noreply@github.invalid")
        with tempfile.TemporaryDirectory() as scratch:
            self.git("worktree", "add", "-q", "--detach", f"{scratch}/tree", onto)
            try:
                self.git(
                    "-C",
                    f"{scratch}/tree",
                    *names,
                    "cherry-pick",
                    "--keep-redundant-commits",
                    "--allow-empty",
                    *commits,
                )
            except RuntimeError as error:
                raise Refusal(405, "This branch can't be rebased") from error
            finally:
                now = self.git("-C", f"{scratch}/tree", "rev-parse", "HEAD")
                self.git("worktree", "remove", "--force", f"{scratch}/tree")
        if (
            self.git("rev-parse", f"{now}^{{tree}}")
            != self.git("merge-tree", "--write-tree", onto, head).splitlines()[0]
        ):
            raise Refusal(405, "This branch can't be rebased")
        return now

    def _close_by_words(self, pull: Pull, text: str) -> None:
        if pull.base != "main":
            return
        for number in CLOSES.findall(text):
            if int(number) in self.issues and int(number) not in self.pulls:
                self.set_state(pull.merged_by, int(number), "closed")

    def refs(self) -> dict[str, str]:
        """Every branch with its head."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
        return dict(line.split(" ") for line in lines)

    def after_push(self, user: User | None, before: dict[str, str]) -> None:
        """What GitHub notices when refs have moved: a head that is in its base is merged, one that is gone closes."""
        self._tell_refs(user, before)
        for pull in self.open_pulls():
            tip = None if pull.fork else self.tip(pull.head)
            if tip is None and not pull.fork:
                self.set_state(user, pull.number, "closed")
            elif tip is not None and self.asks("merge-base", "--is-ancestor", tip, pull.base):
                pull.last_head, pull.merged, pull.merged_by = tip, True, user
                pull.merged_at, self.issues[pull.number].state = self.now(), "closed"

    def _tell_refs(self, user: User | None, before: dict[str, str]) -> None:
        """Webhooks hear of branches alone, never of our own refs."""
        now, heads = self.refs(), {pull.head: pull for pull in self.open_pulls() if not pull.fork}
        for ref in sorted({*before, *now}):
            old, new = before.get(ref, "0" * 40), now.get(ref, "0" * 40)
            if old == new:
                continue
            name, given = ref.removeprefix("refs/heads/"), {"ref": ref, "before": old, "after": new, "commits": []}
            if ref not in before or ref not in now:
                kind = {"ref": name, "ref_type": "branch"}
                self.fire("create" if ref not in before else "delete", sender=user, plain=kind)
            elif self.asks("merge-base", "--is-ancestor", old, new):
                given["commits"] = self._commits(old, new)
            self.fire("push", sender=user, plain=given | {"created": ref not in before, "deleted": ref not in now})
            if ref in now and name in heads:
                self.fire("pull_request", action="synchronize", pull=heads[name], sender=user)

    def _commits(self, old: str, new: str) -> list[dict[str, Any]]:
        """What each commit touched, as a push tells it."""
        out = self.git("log", "--reverse", "-m", "--first-parent", "--name-status", "--format=%x01%H", f"{old}..{new}")
        found = []
        for block in out.split("\x01")[1:]:
            oid, *lines = [line for line in block.splitlines() if line]
            names = {"A": "added", "M": "modified", "D": "removed"}
            touched: dict[str, list[str]] = {"added": [], "modified": [], "removed": []}
            for line in lines:
                touched[names.get(line[0], "modified")].append(line.split("\t")[-1])
            found.append({"id": oid} | touched)
        return found

    def open_pulls(self) -> Iterator[Pull]:
        yield from [pull for pull in self.pulls.values() if self._is_open(pull)]
