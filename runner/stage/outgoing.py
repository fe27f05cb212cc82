"""What is looked at before an agent's files become a commit that leaves this host: no change may bring a secret."""

from runner import git, workspace
from runner.claims.lease import Lease
from runner.errors import ToolError
from runner.secrets import Redactor, new_secret
from runner.workspace import Workspace

REMEDY = "take it out; programs read such values from the environment"


def collect(lease: Lease, space: Workspace) -> str:
    """The workspace's files as a tree that may be pushed.

    Raises `ToolError`, which names the file and never the value, for a file that brings a secret, and as
    `workspace.collect` does.
    """
    repo, redactor = lease.host.repo, lease.host.redactor
    tree = workspace.collect(space, repo)
    there = [rev for rev in (lease.head, lease.pending, lease.entry.base) if rev]
    found = secret_in(repo, redactor, there, tree)
    if found is not None:
        raise ToolError(f"{found}: {REMEDY}")
    return tree


def secret_in(repo: git.Repo, redactor: Redactor, there: list[str], tree: str) -> str | None:
    """The first file of `tree` that holds a secret which it has at none of the commits `there`, with the kind of it."""
    paths = git.changed(repo, there[0], tree).keys()
    after = {file.path: file.blob for file in git.files(repo, tree) if file.path in paths} if paths else {}
    before = [file for rev in there for file in git.files(repo, rev) if file.path in paths] if paths else []
    known = {file.blob for file in before}
    new = {path: blob for path, blob in after.items() if blob not in known}
    texts = git.blobs(repo, {*new.values(), *(file.blob for file in before if file.path in new)})
    for path, blob in new.items():
        old = b"\n".join(texts[file.blob] for file in before if file.path == path)
        found = new_secret(redactor, path, old, texts[blob])
        if found is not None:
            return found
    return None
