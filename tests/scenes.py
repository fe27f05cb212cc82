"""A scene: one clone with its runner in this process, whose verbs are the user's verbs."""

import shutil
from pathlib import Path

from repositories import Story, as_replies, commit, git

from runner import acting, commands, wiring, worker
from runner.claims import taking
from runner.claims.lease import Lease
from runner.decide import Hold, Nothing
from runner.errors import UserError
from runner.forge import Refused
from runner.git import Identity
from runner.host import Host, site_at
from runner.lifecycle import Stage
from runner.observe import View, observe
from runner.people.orders import compose
from runner.state import TaskState

PAT = Identity("Pat", "pat@example.invalid")


class Scene:
    """One person's repository with a runner beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.site = site_at(folder)

    def look(self) -> View:
        return observe(self.site)

    def state(self, task: str = "greet") -> TaskState:
        return self.look().state(task)

    def host(self) -> Host:
        return wiring.host(self.site, self.look().settings, self.said.append)

    def run(self, *, task: str | None = None, turns: int | None = None) -> list[str]:
        """Take turns until nothing can be done, or `turns` of them; the names of the actions."""
        taken = []
        for step in worker.run(self.host(), task=task):
            taken.append(f"{step.state.task.id} {step.state.current} {type(step.action).__name__}")
            if turns is not None and len(taken) > turns:
                return taken[:-1]
        return taken

    def say(self, verb: str, task: str = "greet", **args: object) -> None:
        view = self.look()
        command = compose(
            view.state(task), view.settings, verb, "Pat <pat@example.invalid>", "2026-01-01T00:00:00Z", **args
        )
        commands.append(self.site.repo, self.site.hub.url, commands.ref_of(task), command)

    def approve(self, task: str = "greet") -> str:
        view = self.look()
        answer = acting.merge(self.host(), view, view.state(task), by=PAT)
        if isinstance(answer, Refused):
            raise UserError(answer.reason)
        return answer

    def hold(self, task: str = "greet") -> str:
        """The reason why nothing is done now."""
        view = self.look()
        step = next(step for step in worker.plan(view) if step.state.task.id == task)
        assert isinstance(step.action, Hold | Nothing), step.action
        return step.action.reason

    def replies(self, told: Story) -> None:
        """Give the scripted agent other words, which it reads when it next speaks."""
        (self.folder / ".pullwright" / "replies.yaml").write_text(as_replies(told))

    def to(self, stage: str) -> None:
        """Run, approving all that waits, until the task stands at `stage` with a proposal that waits."""
        for _ in range(12):
            self.run()
            state = self.state()
            if state.current == stage and state.open is not None:
                return
            self.approve()
        raise AssertionError(f"never came to {stage}: {self.said}")

    def finish(self, task: str = "greet") -> None:
        """Run and approve until the task is complete."""
        for _ in range(12):
            self.run()
            if self.state(task).current is None:
                return
            self.approve(task)
        raise AssertionError(f"never complete: {self.said}")

    def fetch(self) -> None:
        git(self.folder, "fetch", "-q", "--prune", "origin")

    def push_onto(self, branch: str, files: dict[str, str], message: str = "A person's own commit") -> None:
        """A person pushes a commit of their own onto a branch of the hub."""
        self.fetch()
        git(self.folder, "checkout", "-q", "-B", "own", f"origin/{branch}")
        commit(self.folder, message, files)
        git(self.folder, "push", "-q", "origin", f"own:{branch}")
        git(self.folder, "checkout", "-q", "main")

    def on_main(self) -> None:
        """Bring the person's main up to date."""
        git(self.folder, "checkout", "-q", "main")
        git(self.folder, "pull", "-q", "--ff-only", "origin", "main")


def copied(source: Path, place: Path) -> Scene:
    """A scene of its own that stands as the one below `source`, which is `clone`, a clone of `hub.git`."""
    for name in ("hub.git", "clone"):
        shutil.copytree(source / name, place / name, symlinks=True)
    git(place / "clone", "remote", "set-url", "origin", str(place / "hub.git"))
    return Scene(place / "clone")


def owned(scene: Scene) -> Lease:
    """A claim of the build, with nothing done yet."""
    view = scene.look()
    taken = taking.claim(
        scene.host(), view.settings, view.state("greet"), view.settings.agents[0], Stage.BUILD, 1, view.refs
    )
    assert isinstance(taken, Lease)
    return taken
