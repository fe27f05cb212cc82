"""Small functions over Git, each taking the repository it works on: `git.push(repo, …)`.

The trusted repository is a bare mirror: its git dir, its work trees and its index files lie apart, and no hook, filter,
fsmonitor or configuration of a user or of an agent is in force (docs/sandbox.md, "the trusted side afterwards").
Refs move by `git push` and `git update-ref` alone: both compare and swap, which library calls do not.
"""

from runner.git.hub import LOCKED, Push, Pushed, Silent, Unreachable, fetch, head_branch, push, remote_refs
from runner.git.mirror import AS_COMMITTED, UNWANTED, init_bare
from runner.git.objects import RUNNER, Identity, Merge, check_out, commit, merge, put, tree_from, tree_of, tree_with
from runner.git.process import (
    MIN_VERSION,
    GitError,
    Repo,
    TooLong,
    beginning,
    environment,
    execute,
    git,
    public,
    require_git,
)
from runner.git.reading import File, blobs, changed, files, is_ancestor, log, read, refs, resolve, sizes

__all__ = [
    "AS_COMMITTED",
    "LOCKED",
    "MIN_VERSION",
    "RUNNER",
    "UNWANTED",
    "File",
    "GitError",
    "Identity",
    "Merge",
    "Push",
    "Pushed",
    "Repo",
    "Silent",
    "TooLong",
    "Unreachable",
    "beginning",
    "blobs",
    "changed",
    "check_out",
    "commit",
    "environment",
    "execute",
    "fetch",
    "files",
    "git",
    "head_branch",
    "init_bare",
    "is_ancestor",
    "log",
    "merge",
    "public",
    "push",
    "put",
    "read",
    "refs",
    "remote_refs",
    "require_git",
    "resolve",
    "sizes",
    "tree_from",
    "tree_of",
    "tree_with",
]
