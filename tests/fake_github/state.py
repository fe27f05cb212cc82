"""One repository on the fake GitHub: its Git, its people, its clock, and all that it holds."""

import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fake_github.hooks import Hook
from fake_github.values import Comment, Issue, Pull, Review, Token, User


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
        self.locked: set[int] = set()  # issues that take no comment
        self.gone: dict[int, str] = {}  # issues that were deleted (`gone`) or went to another repository (`moved`)
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
        ask = ["git", "rev-parse", "-q", "--verify", f"refs/heads/{branch}"]
        found = subprocess.run(ask, cwd=self.git_dir, capture_output=True, text=True)
        return found.stdout.strip() or None

    def refs(self) -> dict[str, str]:
        """Every branch with its head."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
        return dict(line.split(" ") for line in lines)

    def latest(self, sha: str) -> list[dict[str, Any]]:
        """The newest status of each context at a commit."""
        found: dict[str, dict[str, Any]] = {}
        for each in self.statuses.get(sha, []):
            found[each["context"]] = each
        return list(found.values())

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
