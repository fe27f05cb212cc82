"""Objects made: trees, commits, merges. No ref moves."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from runner.git.memory import git_once
from runner.git.process import Repo, execute, failure, git


class Identity(NamedTuple):
    """A name and an address as they stand in a commit."""

    name: str
    email: str


RUNNER = Identity("Pullwright", "runner@pullwright.invalid")

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The tree of nothing, which every Git knows without having it: `git hash-object -t tree /dev/null`."""


def tree_of(repo: Repo, rev: str) -> str:
    """The tree id of a commit."""
    return git_once(repo, [rev], "rev-parse", "--verify", "--quiet", rev + "^{tree}")


def tree_with(repo: Repo, tree: str | None, changes: Mapping[str, bytes | None]) -> str:
    """A copy of `tree` (None: the empty one) in which each path has the given content, or is gone (None)."""
    lines = []
    for path, content in changes.items():
        if content is None:
            lines.append(f"0 {'0' * 40}\t{path}")
        else:
            blob = git(repo, "hash-object", "-w", "--stdin", stdin=content)
            lines.append(f"100644 {blob}\t{path}")
    return tree_from(repo, tree, lines)


def tree_from(repo: Repo, tree: str | None, lines: Iterable[str]) -> str:
    """A copy of `tree` changed by `update-index --index-info` lines."""
    with tempfile.TemporaryDirectory(prefix="pullwright-index-") as folder:
        scratch = repo._replace(index_file=Path(folder) / "index", work_tree=None)
        if tree is not None:
            git(scratch, "read-tree", tree)
        put(scratch, lines)
        return git(scratch, "write-tree")


def put(view: Repo, lines: Iterable[str]) -> None:
    """Enter `update-index --index-info` lines (`mode SP object TAB path`) into the index file of `view`.

    A file takes the place of a folder and the other way round.
    """
    stdin = "".join(f"{line}\0" for line in lines).encode("utf-8", "surrogateescape")
    git(view, "update-index", "--replace", "-z", "--index-info", stdin=stdin)


def commit(
    repo: Repo, tree: str, parents: Iterable[str], message: str, *, author: Identity = RUNNER, when: str | None = None
) -> str:
    """Write a commit and return its id. No ref moves. `when` is ISO 8601."""
    env = {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_COMMITTER_NAME": RUNNER.name,
        "GIT_COMMITTER_EMAIL": RUNNER.email,
    }
    if when is not None:
        env |= {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    above = [word for parent in dict.fromkeys(parents) for word in ("-p", parent)]
    return git(repo, "commit-tree", tree, *above, stdin=readable(message), env=env)


def readable(message: str) -> bytes:
    """A message as it can stand in a commit, in which neither half characters nor NUL can be."""
    return message.encode("utf-8", "replace").replace(b"\0", b"")


class Merge(NamedTuple):
    """What merging two commits gives: a tree, and the paths that conflict in it (none: it is clean)."""

    tree: str
    conflicts: tuple[str, ...]


def merge(repo: Repo, ours: str, theirs: str) -> Merge:
    """Merge two commits in memory. Raises `GitError` where they have no common history."""
    done = execute(repo, "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", ours, theirs)
    if done.returncode not in (0, 1):
        raise failure(repo, ("merge-tree", ours, theirs), done)
    tree, *conflicts = done.stdout.decode("utf-8", "surrogateescape").split("\0")
    return Merge(tree, tuple(path for path in conflicts if path) if done.returncode else ())


def check_out(repo: Repo, rev: str, folder: Path) -> None:
    """Lay the files of a commit or tree into an empty folder, byte for byte as they are committed.

    By an index of its own, or by `repo.index_file`, which is kept and knows the files then. A submodule is an empty
    folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pullwright-index-") as scratch:
        view = repo._replace(index_file=repo.index_file or Path(scratch) / "index", work_tree=folder)
        git(view, "read-tree", rev)
        git(view, "checkout-index", "--all", "--force", "--quiet", "--index")
