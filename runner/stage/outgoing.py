"""What is looked at before an agent's files become a commit that leaves this host: no change may bring a secret."""

from collections.abc import Iterator
from itertools import chain

from runner import git, workspace
from runner.claims.lease import Lease
from runner.errors import ToolError
from runner.secrets import Redactor, as_text, new_secret
from runner.workspace import Workspace

REMEDY = "take it out; programs read such values from the environment"
LARGEST = 1 << 20
"""Bytes of a file in which pieces of a secret are looked for; whole ones are found in any."""


def collect(lease: Lease, space: Workspace) -> str:
    """The workspace's files as a tree that may be pushed.

    Raises `ToolError`, which names the file and never the value, for a file that brings a secret, and as
    `workspace.collect` does.
    """
    repo, redactor = lease.host.repo, lease.host.redactor
    tree = workspace.collect(space, repo)
    there = [rev for rev in (lease.head, lease.pending, lease.entry.base) if rev]
    found = secret_in(repo, redactor, there, tree) or pieces_in(repo, redactor, there, tree)
    if found is not None:
        raise ToolError(f"{found}: {REMEDY}")
    return tree


def secret_in(repo: git.Repo, redactor: Redactor, there: list[str], tree: str) -> str | None:
    """The first file of `tree` that holds a secret which it has at none of the commits `there`, with the kind of it."""
    if not git.differences(repo, there[0], tree):
        return None
    sides = [{each.path: each for each in git.differences(repo, rev, tree)} for rev in there]
    new = {path: each.new for path, each in sides[0].items() if each.new and all(_is_new(path, side) for side in sides)}
    before = {path: [blob for side in sides if (blob := side[path].old)] for path in new}
    texts = git.blobs(repo, {*new.values(), *chain.from_iterable(before.values())})
    for path, blob in new.items():
        old = b"\n".join(texts[blob] for blob in before[path])
        found = new_secret(redactor, path, old, texts[blob])
        if found is not None:
            return found
    return None


def _is_new(path: str, side: dict[str, git.Difference]) -> bool:
    return path in side and side[path].old != side[path].new


def pieces_in(repo: git.Repo, redactor: Redactor, there: list[str], tree: str) -> str | None:
    """Why `tree` may not follow what the branch has pushed (`there[0]`, since the other commits): together they would
    hold a secret in pieces. Names the files that bring some of it."""
    (head, *others), pieces = there, redactor.pieces
    brought = _brought(repo, head, tree) if pieces else {}
    new = [f"{path}\n{text}" for path, text in brought.items()]
    if not pieces.in_text("".join(new)) or not pieces.adds(new, pushed(repo, head, others), _public(repo, others)):
        return None
    named = [path for path, text in zip(brought, new, strict=True) if pieces.in_text(text)] or list(brought)
    what = "hold" if len(named) > 1 else "holds"
    return f"{redactor.clean(', '.join(named[:5]))} {what} a secret of this host in pieces, with what was pushed before"


def _brought(repo: git.Repo, head: str, tree: str) -> dict[str, str]:
    """Path → text of every file in `tree` that differs from `head`, in the order of their names."""
    files = {each.path: each.new for each in git.differences(repo, head, tree) if each.new}
    texts = _texts(repo, list(files.values()))
    return {path: texts.get(blob, "") for path, blob in sorted(files.items())}


def pushed(repo: git.Repo, head: str, since: list[str]) -> Iterator[str]:
    """All that the commits of `head` brought which are not in `since`: their messages, names and texts of files."""
    words = (head, *(f"^{rev}" for rev in since))
    yield git.git(repo, "log", "--format=%B", "--name-only", "--no-renames", *words, "--")
    listed = git.git(repo, "rev-list", "--objects", f"--filter=blob:limit={LARGEST}", *words, "--")
    objects = [line.partition(" ")[::2] for line in listed.splitlines()]
    yield from _texts(repo, [oid for oid, path in objects if path]).values()


def _public(repo: git.Repo, revs: list[str]) -> Iterator[str]:
    """What everybody who sees the repository sees anyway."""
    for rev in revs:
        yield from _texts(repo, [file.blob for file in git.files(repo, rev)]).values()


def _texts(repo: git.Repo, oids: list[str]) -> dict[str, str]:
    """The blobs among some objects that are not too large, as texts."""
    kinds = git.sizes(repo, oids)
    small = [oid for oid in oids if kinds.get(oid, ("", 0))[0] == "blob" and kinds[oid][1] <= LARGEST]
    return {oid: as_text(data) for oid, data in git.blobs(repo, small).items()}
