"""The person's own checkout: Git as they would run it there, with their identity, their configuration, their hooks."""

import subprocess
from pathlib import Path

from runner.errors import UserError


def ask(folder: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    """Run git in `folder`, whatever comes of it."""
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, errors="replace")


def must(folder: Path, *args: str) -> str:
    """Run git in `folder` and return its output. Raises `UserError` with what Git said."""
    done = ask(folder, *args)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise UserError(f"git {args[0]} failed in {folder}: {said}", "mend that, then run the same command again")
    return done.stdout.strip()


def commit(folder: Path, message: str, *paths: str) -> None:
    """Commit just `paths`, whatever else is staged. Raises `UserError`; the files stay as they are."""
    for step in (("add", "--", *paths), ("commit", "--quiet", "-m", message, "--", *paths)):
        done = ask(folder, *step)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise UserError(
                f"git {step[0]} failed: {said}", f"the files are written; mend that and commit {' '.join(paths)}"
            )


def branch(folder: Path) -> str:
    """The branch that is checked out, also one without a commit; empty on a detached HEAD."""
    return ask(folder, "symbolic-ref", "--short", "-q", "HEAD").stdout.strip()


def require_identity(folder: Path) -> None:
    """Raises `UserError` where Git does not know who commits."""
    if ask(folder, "var", "GIT_COMMITTER_IDENT").returncode != 0:
        raise UserError(
            "Git does not know your name and address: user.name and user.email are not set",
            'git config --global user.name "Your Name" && git config --global user.email you@example.com',
        )
