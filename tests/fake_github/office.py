"""A repository on the fake GitHub with its people and a runner beside it: what a story needs to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import repositories

from fake_github import issues, merging, pulls
from fake_github.server import FakeGitHub
from fake_github.values import Issue, Pull
from runner import credentials, wiring, worker
from runner.forge.github import GitHub
from runner.host import Host, site_at
from runner.observe import View, observe
from runner.people.issues import AFTER, COMPLEXITY, PRIORITY, STAGES_FIELD, TRUE_IN_THE_END, WANTED
from runner.state import TaskState
from runner.worker import Step

LABEL = "pullwright"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def form(wanted: str = "The greeting should say goodbye too.", **given: str) -> str:
    """An issue's text as GitHub writes it from the form."""
    fields = {
        WANTED: wanted,
        TRUE_IN_THE_END: "greeting.txt says goodbye",
        COMPLEXITY: "2",
        PRIORITY: "normal",
        STAGES_FIELD: "_No response_",
        AFTER: "_No response_",
    }
    return "\n\n".join(f"### {name}\n\n{text}" for name, text in (fields | given).items())


def told_twice(task: str) -> repositories.Story:
    """The competent agent's calls, with another design for when changes are requested."""
    told = repositories.story(task)
    told["design"] = [*told["design"], *told["design"]]
    told["test"][1][1]["content"] += "\n- greeting.txt says goodbye: `sh tests/goodbye.sh` passes with exit 0\n"
    return told


def host_at(clone: Path, time: Time) -> Host:
    """What `pullwright run` works with in a clone, with another clock for GitHub's sake."""
    site = site_at(clone)
    settings = observe(site).settings
    found = credentials.from_environment(site.hub.url)
    assert found is not None
    policy = settings.policy
    forge = GitHub(found, policy.identities, policy.label, policy.resolve_threads, clock=time, sleep=time.sleep)
    return replace(wiring.host(site, settings, say=lambda line: None), forge=forge)


class Office:
    """Mona maintains, Rita may read, Wim may write; the runner has an account or an App of its own."""

    def __init__(
        self,
        fake: FakeGitHub,
        folder: Path,
        review: Mapping[str, str] | None = None,
        replies: repositories.Story | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> None:
        self.fake, self.world, self.folder = fake, fake.world, folder
        for login, level in (("mona", "maintain"), ("rita", "read"), ("wim", "write"), ("stranger", "none")):
            self.world.user(login, level)
        values = {"review": dict(review or {}), **(policy or {})}
        text = repositories.settings(forge="github", policy=values)
        self.clone = repositories.project(folder / "clone", agents=text, replies=replies or told_twice("issue-1"))
        repositories.git(self.clone, "push", "-q", str(self.world.git_dir), "main")
        repositories.git(self.clone, "remote", "add", "origin", fake.clone_url)
        self.time = Time()

    def host(self) -> Host:
        """A runner that has just been started, with real time taken out."""
        return host_at(self.clone, self.time)

    def run(self, host: Host | None = None) -> list[Step]:
        """`pullwright run`."""
        return list(worker.run(host or self.host()))

    def view(self) -> View:
        return observe(site_at(self.clone))

    def task(self, name: str = "issue-1") -> TaskState:
        return self.view().state(name)

    # --- what people do --------------------------------------------------------------------------------------------

    def person(self, login: str) -> Any:
        return self.world.users[login]

    def issue(self, title: str = "Say goodbye", body: str | None = None, by: str = "rita") -> Issue:
        with self.world.lock:
            return issues.open_issue(self.world, self.person(by), title, form() if body is None else body)

    def label(self, number: int, by: str = "mona", name: str = LABEL) -> None:
        with self.world.lock:
            issues.label(self.world, self.person(by), number, name)

    def comment(self, number: int, text: str, by: str = "mona") -> int:
        with self.world.lock:
            return issues.comment(self.world, self.person(by), number, text).id

    def review(
        self, number: int, state: str, body: str = "", by: str = "mona", lines: Sequence[dict[str, Any]] = ()
    ) -> int:
        with self.world.lock:
            return pulls.review(self.world, self.person(by), number, state, body, list(lines)).id

    def merge(self, number: int, method: str = "merge", by: str = "mona") -> None:
        with self.world.lock:
            merging.merge(self.world, self.person(by), number, method, None, None, None)

    def close(self, number: int, by: str = "mona") -> None:
        with self.world.lock:
            issues.set_state(self.world, self.person(by), number, "closed")

    # --- what they see ---------------------------------------------------------------------------------------------

    def pulls(self, state: str = "open") -> list[Pull]:
        found = self.world.pulls.values()
        return [pull for pull in found if state in ("all", self.world.issues[pull.number].state)]

    def pull(self) -> Pull:
        """The one open pull request."""
        (found,) = self.pulls()
        return found

    def notes(self, number: int) -> list[str]:
        """What our accounts wrote below an issue or pull request."""
        return [c.body for c in self.world.comments.values() if c.number == number and "<!-- pullwright:" in c.body]
