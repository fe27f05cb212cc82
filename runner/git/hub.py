"""The hub: what its refs are, its objects brought here, and refs moved there by compare-and-swap."""

import contextlib
import time
from collections.abc import Iterator
from typing import NamedTuple

from runner.errors import UserError
from runner.git import waiting
from runner.git.process import GitError, NoRoom, Repo, TooLong, execute, git, public

LOCKED = 5.0  # seconds after which nobody holds a lock on our refs any more


class Unreachable(GitError, UserError):
    """The hub gave no answer: it is away, the way there is broken, or it does not let us in."""

    WAY_OUT = "run it again when it can: git ls-remote"

    def __init__(self, url: str, error: GitError, *more: str) -> None:
        said = "; ".join((error.stderr.strip(), *more))
        UserError.__init__(self, f"the hub {public(url)} cannot be reached: {said}", self.WAY_OUT)
        self.status, self.stderr = error.status, error.stderr


class Silent(Unreachable):
    """The hub took the connection and then said nothing. To ask it again at once is to wait as long again."""

    WAY_OUT = "see whether it answers: git ls-remote; PULLWRIGHT_HUB_SILENCE=SECONDS gives a slow one longer"


def _unreachable(url: str, error: GitError) -> Unreachable:
    return Silent(url, error) if isinstance(error, TooLong) else Unreachable(url, error)


def remote_refs(repo: Repo, url: str, *patterns: str) -> dict[str, str]:
    """What the hub's refs are now, asked for and not remembered. Raises `Unreachable`."""
    out = _asked(repo, url, "--refs", url, *patterns)
    return {name: oid for oid, _, name in (line.partition("\t") for line in out.splitlines())}


def head_branch(repo: Repo, url: str) -> str | None:
    """The branch that the hub calls its own, if it names one. Raises `Unreachable`."""
    head = _asked(repo, url, "--symref", url, "HEAD")
    return head.removeprefix("ref: refs/heads/").partition("\t")[0] if head.startswith("ref: ") else None


def _asked(repo: Repo, url: str, *words: str) -> str:
    """What ls-remote says. However slowly refs drip, there is an end to it."""
    try:
        return git(repo, "ls-remote", *words, network=True, seconds=5 * waiting.silence())
    except GitError as error:
        raise _unreachable(url, error) from error


def fetch(repo: Repo, url: str, *refspecs: str) -> None:
    """Bring the hub's objects. Pruning concerns only refs below the refspecs' targets. Raises `Unreachable`."""
    still = ("--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--no-auto-maintenance")
    while True:
        try:
            git(repo, "fetch", *still, url, *refspecs, network=True)
            return
        except NoRoom:
            raise
        except GitError as error:
            if isinstance(error, TooLong) or not _unlock_refs(repo):
                raise _unreachable(url, error) from error


def _unlock_refs(repo: Repo) -> bool:
    """Remove what a git that was killed has left locked; whether there was anything.

    A lock on refs is held for an instant: one that gets older has nobody any more, and would stay for ever.
    """
    locks = [*repo.git_dir.glob("packed-refs.lock"), *repo.git_dir.glob("refs/remotes/**/*.lock")]
    for lock in locks:
        with contextlib.suppress(FileNotFoundError):
            made = lock.stat().st_mtime
            time.sleep(min(LOCKED, max(0.0, made + LOCKED - time.time())))
            if lock.stat().st_mtime == made:
                lock.unlink()
    return bool(locks)


class Push(NamedTuple):
    """One ref to move on the hub: to `new` (empty: delete it) if it is at `old` now (empty: if it is not there)."""

    ref: str
    new: str
    old: str


class Pushed(NamedTuple):
    """What the hub answered: ref → porcelain flag, and what it `said` to a person (a hook's words among it)."""

    flags: dict[str, str]
    said: str
    silent: Silent | None = None

    def refusal(self) -> str:
        """What was said to a push that has not landed so far, as the hub was asked since.

        Raises `Silent` where it was given up: it may land yet, and no other push should go after it.
        """
        if self.silent is not None:
            raise self.silent
        return self.said


def push(repo: Repo, url: str, *moves: Push) -> Pushed:
    """Move all refs or none, each by compare-and-swap.

    The flags: `*` new, ` ` fast-forward, `+` forced, `-` deleted, `=` was so already, `!` refused. A ref that is
    missing was not answered for. The flag alone is to be believed, never an exit status or a text:
    https://git-scm.com/docs/git-push#_output
    """
    leases = [f"--force-with-lease={move.ref}:{move.old}" for move in moves]
    specs = [f"{move.new}:{move.ref}" for move in moves]
    atomic = ["--atomic"] if len(moves) > 1 else []
    words = ("push", "--porcelain", "--no-verify", *atomic, *leases, url, *specs)
    try:
        done = execute(repo, *words, network=True)
    except TooLong as error:
        return Pushed({}, error.stderr, Silent(url, error, "what was pushed may arrive there all the same"))
    return Pushed(
        dict(_flags(done.stdout.decode("utf-8", "replace"))), public(done.stderr.decode("utf-8", "replace").strip())
    )


def _flags(porcelain: str) -> Iterator[tuple[str, str]]:
    for line in porcelain.splitlines():
        fields = line.split("\t")
        if len(fields) >= 2 and len(fields[0]) == 1:
            yield fields[1].rpartition(":")[2], fields[0]
