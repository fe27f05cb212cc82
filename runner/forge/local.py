"""Plain Git: a proposal is its branch; a merge is one push by lease, or `git merge` where the target is checked out."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from runner import git
from runner.errors import ToolError
from runner.forge import Heard, Merged, Proposal, Refused, Shown, Subject, Watched
from runner.git import Identity
from runner.lifecycle import StageRef
from runner.web import Page


class Local:
    """Proposals on a hub that is nothing but a Git repository.

    `own` is that repository's folder where it is the person's own, with branches checked out perhaps.
    """

    name = "local"
    talks = False

    def __init__(self, repo: git.Repo, url: str, own: Path | None) -> None:
        self.repo = repo
        self.url = url
        self.own = own

    def open(self, proposal: Proposal) -> str:
        """The branch is the proposal: there is nothing to do."""
        return proposal.branch

    def closed(self, ref: StageRef, branch: str) -> bool:
        """On plain Git people reject by a command, which is read elsewhere."""
        return False

    def merge(self, proposal: Proposal, message: str, by: Identity | None = None) -> Merged | Refused:
        """Merge the proposal's head with a commit of its own, so that the history shows the stages."""
        target = f"refs/heads/{proposal.target}"
        there = git.remote_refs(self.repo, self.url, target).get(target)
        if there is None:
            return Refused("moved", f"{proposal.target} is not there")
        git.fetch(self.repo, self.url, f"+{target}:refs/remotes/hub/{target.removeprefix('refs/')}")
        if git.is_ancestor(self.repo, proposal.head, there):
            return Merged(there)
        place = self._checked_out(proposal.target)
        if place is not None:
            return self._merge_there(place, proposal, message, by)
        return self._merge_by_push(target, there, proposal, message, by)

    def hear(self, watched: Sequence[Watched], only: frozenset[str] | None = None) -> Heard:
        """Here people speak by commands alone."""
        return Heard()

    def show(self, shown: Shown) -> None:
        """The branches show everything."""

    def turn_away(self, number: int, why: str) -> None:
        """Nobody can propose anything but by a branch."""

    def converse(self, task: str, said: Sequence[tuple[str, str]]) -> None:
        """There are no threads: a discussion is read where it lies."""

    def settle(self) -> None:
        """Nothing is held back."""

    def read(self, subject: Subject, which: str, branch: str) -> Page:
        """There is nothing but Git, which the agent has."""
        raise ToolError("This repository is on no server that could be asked. Look into its files and its log.")

    def comment(self, task: str, key: str, text: str) -> str:
        """There are no issues."""
        raise ToolError("This repository has no issues. Write a note instead.")

    def _merge_by_push(
        self, target: str, there: str, proposal: Proposal, message: str, by: Identity | None
    ) -> Merged | Refused:
        merged = git.merge(self.repo, there, proposal.head)
        if merged.conflicts:
            return Refused("moved", f"{proposal.target} has moved and conflicts in {', '.join(merged.conflicts)}")
        author = by or git.RUNNER
        made = git.commit(self.repo, merged.tree, (there, proposal.head), message, author=author)
        branch = f"refs/heads/{proposal.branch}"  # goes along unchanged: so that it must be as it was seen
        still = git.Push(branch, proposal.head, proposal.head)
        answer = git.push(self.repo, self.url, git.Push(target, made, there), still)
        if answer.flags.get(target) == " ":
            return Merged(made)
        now = git.remote_refs(self.repo, self.url, target, branch)
        if now.get(target) == made:
            return Merged(made)
        if now.get(target) != there:
            return Refused("moved", f"{proposal.target} has moved")
        if now.get(branch) != proposal.head:
            return Refused("moved", f"{proposal.branch} has moved")
        said = _last_words(answer.refusal())
        there_or_here = proposal.branch if self.own else f"origin/{proposal.branch}"
        return Refused(
            "hold",
            f"{proposal.target} does not take direct pushes ({said}); merge it as that "
            f"repository's rules want it: {'' if self.own else 'git fetch && '}git merge --no-ff {there_or_here}",
        )

    def _checked_out(self, branch: str) -> Path | None:
        """The work tree of the person's repository in which `branch` is checked out, if there is one."""
        if self.own is None:
            return None
        listing = self._in(self.own, "worktree", "list", "--porcelain").stdout
        for block in listing.split("\n\n"):
            lines = block.splitlines()
            if f"branch refs/heads/{branch}" in lines:
                return Path(lines[0].removeprefix("worktree "))
        return None

    def _merge_there(self, place: Path, proposal: Proposal, message: str, by: Identity | None) -> Merged | Refused:
        command = f"git -C {place} merge --no-ff {proposal.branch}"
        lock = self._in(place, "rev-parse", "--path-format=absolute", "--git-path", "index.lock").stdout.strip()
        if Path(lock).exists():
            return Refused("hold", _BROKEN_OFF.format(place=place, lock=lock))
        if self._in(place, "status", "--porcelain", "--untracked-files=no").stdout.strip():
            return Refused(
                "hold",
                f"{proposal.target} is checked out in {place} with uncommitted changes: "
                f"commit or stash them, then {command}",
            )
        author = by or git.RUNNER
        names = ("-c", f"user.name={author.name}", "-c", f"user.email={author.email}", "-c", "commit.gpgSign=false")
        done = self._in(place, *names, "merge", "--no-ff", "--no-edit", "-m", message, proposal.head)
        if done.returncode == 0:
            return Merged(self._in(place, "rev-parse", "HEAD").stdout.strip())
        if Path(lock).exists():
            return Refused("hold", _BROKEN_OFF.format(place=place, lock=lock))
        self._in(place, "merge", "--abort")
        said = " ".join((done.stderr or done.stdout).split())[:400]  # it names the files that are in the way
        return Refused("hold", f"git could not merge in {place} ({said}): {command}")

    def _in(self, place: Path, *args: str) -> "subprocess.CompletedProcess[str]":
        """Git in the person's own checkout, under their configuration but without hooks: the files that a hook manager
        runs may be the very ones an agent changed."""
        return subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", *args],
            cwd=place,
            capture_output=True,
            text=True,
            errors="replace",
        )


_BROKEN_OFF = (
    "a git command was ended in the middle of its work in {place}, or still runs there: if none runs, rm {lock}, "
    "see with git status what it left, and take that back (git restore FILE)"
)


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    remote = [line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")]
    return next((line for line in [*remote, *reversed(lines)] if line), "no reason given")
