"""Small functions over Git, each taking the repository it works on.

The trusted repository is a bare mirror: its git dir, its work trees and its index files lie apart, and no hook, filter,
fsmonitor or configuration of a user or of an agent is in force (docs/sandbox.md, "the trusted side afterwards").
Refs move by `git push` and `git update-ref` alone: both compare and swap, which library calls do not.
"""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from runner.errors import UserError

MIN_VERSION = (2, 38)  # `git merge-tree --write-tree`
LOCKED = 5.0  # seconds after which nobody holds a lock on our refs any more

_GUARDS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.quotePath=false",
    "core.autocrlf=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "diff.ignoreSubmodules=all",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "protocol.ext.allow=never",
)


UNWANTED = """\
__pycache__/
*.pyc
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.venv/
venv/
node_modules/
*.egg-info/
"""
"""What tools leave behind: never collected, whether or not the repository ignores it."""

AS_COMMITTED = "* -text -ident !filter !working-tree-encoding\n"
"""Attributes that win over every `.gitattributes` (https://git-scm.com/docs/gitattributes: info/attributes is first).

Agents write `.gitattributes`. Without this, what a gate tries is not what people read in the commit, and an untouched
file is not collected as it was. So agents and gates see files as they are committed: with no line ends converted, no
`$Id$` filled in, no encoding changed, and a pointer where Git LFS has a file.
"""


class GitError(Exception):
    """A git command failed. Carries what was run and what it said."""

    def __init__(self, args: tuple[str, ...], status: int, stderr: str) -> None:
        super().__init__(public(f"git {' '.join(args)}: exit {status}: {stderr.strip()}"))
        self.status = status
        self.stderr = public(stderr)


def public(text: str) -> str:
    """Without the names and passwords that addresses may hold: errors are pasted into issues."""
    return re.sub(r"//[^/@\s]*@", "//", text)


class Unreachable(GitError, UserError):
    """The hub gave no answer: it is away, the way there is broken, or it does not let us in."""

    def __init__(self, url: str, error: GitError) -> None:
        said = error.stderr.strip()
        UserError.__init__(self, f"the hub {url} cannot be reached: {said}", "run it again when it can: git ls-remote")
        self.status, self.stderr = error.status, error.stderr


class Identity(NamedTuple):
    """A name and an address as they stand in a commit."""

    name: str
    email: str


RUNNER = Identity("Pullwright", "runner@pullwright.invalid")


class Repo(NamedTuple):
    """A git dir; `index_file` and `work_tree` where a command needs an index file or a work tree of its own.

    `credentials` gives what a command that talks to the hub needs in its environment, made anew for each.
    """

    git_dir: Path
    index_file: Path | None = None
    work_tree: Path | None = None
    credentials: Callable[[], Mapping[str, str]] | None = None


class File(NamedTuple):
    """One entry of a tree: `mode` as Git writes it (`100644`, `120000` …), `blob` its object id."""

    mode: str
    blob: str
    path: str


def environment(repo: Repo | None, *, network: bool = False) -> dict[str, str]:
    """The whole environment of a git command.

    Only commands that talk to the hub (`network`) see the user's own configuration, because credentials and ssh
    settings live there; they touch no work tree.
    """
    kept: tuple[str, ...] = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ")
    if network:
        kept += (
            "SSH_AUTH_SOCK",
            "SSH_ASKPASS",
            "GIT_ASKPASS",
            "GIT_SSH_COMMAND",
            "XDG_CONFIG_HOME",
            "GIT_CONFIG_GLOBAL",
        )
        kept += ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "no_proxy", "SSL_CERT_FILE")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
    env["GIT_LITERAL_PATHSPECS"] = "1"  # a path is a path, and no pattern, whatever an agent calls its files
    if not network:
        env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1"}
    if network and repo is not None and repo.credentials is not None:
        env |= repo.credentials()
    if repo is not None:
        env["GIT_DIR"] = str(repo.git_dir)
        if repo.index_file is not None:
            env["GIT_INDEX_FILE"] = str(repo.index_file)
        if repo.work_tree is not None:
            env["GIT_WORK_TREE"] = str(repo.work_tree)
    return env


def execute(
    repo: Repo | None,
    *args: str,
    stdin: bytes = b"",
    network: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git and return what came of it, whatever its exit status."""
    guards = [word for guard in _GUARDS for word in ("-c", guard)]
    return subprocess.run(
        ["git", *guards, *args],
        input=stdin,
        capture_output=True,
        env=environment(repo, network=network) | dict(env or {}),
        cwd=cwd or (repo.work_tree if repo is not None and repo.work_tree is not None else Path("/")),
    )


def git(
    repo: Repo | None,
    *args: str,
    stdin: bytes = b"",
    network: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run git and return its output without the last newline. Raises `GitError`."""
    done = execute(repo, *args, stdin=stdin, network=network, env=env, cwd=cwd)
    if done.returncode != 0:
        raise GitError(args, done.returncode, done.stderr.decode("utf-8", "replace"))
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def beginning(repo: Repo, most: int, *args: str) -> bytes:
    """The first `most` bytes of what a command says that only reads; it is ended when there is more.

    Agents and those who push decide how much there is of a difference, or of lines that are found.
    """
    guards = [word for guard in _GUARDS for word in ("-c", guard)]
    with subprocess.Popen(
        ["git", *guards, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(repo), cwd="/"
    ) as run:
        assert run.stdout is not None
        found = run.stdout.read(most)
        run.kill()
    return found


def require_git() -> None:
    """Raises `UserError` where git is missing or too old."""
    try:
        found = subprocess.run(["git", "version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise UserError("git is not installed", "install it: apt-get install git") from None
    match = re.search(r"(\d+)\.(\d+)", found)
    if match is None or (int(match[1]), int(match[2])) < MIN_VERSION:
        raise UserError(f"git {found.strip()} is too old", "install git 2.38 or newer")


def init_bare(path: Path) -> Repo:
    """The bare repository at `path`, made if it is not there: as a whole, whoever else makes it or is killed at it."""
    if not (path / "HEAD").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent) as scratch:
            git(None, "init", "--quiet", "--bare", "--template=", f"{scratch}/repo")
            with contextlib.suppress(OSError):  # somebody else's is there: a folder that is not empty stays
                Path(scratch, "repo").rename(path)
    (path / "info").mkdir(exist_ok=True)
    _write(path / "info" / "exclude", UNWANTED)
    _write(path / "info" / "attributes", AS_COMMITTED)
    return Repo(path)


def _write(path: Path, text: str) -> None:
    """Write a file that other processes read, unless it says that already."""
    if not path.exists() or path.read_text() != text:
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        scratch.write_text(text)
        scratch.replace(path)


# --- reading -------------------------------------------------------------------------------------------------------


def resolve(repo: Repo, rev: str) -> str | None:
    """The commit id of `rev`, or None where there is none."""
    done = execute(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", rev + "^{commit}")
    return done.stdout.decode().strip() or None


def refs(repo: Repo, prefix: str) -> dict[str, str]:
    """Every ref below `prefix` → its object id."""
    out = git(repo, "for-each-ref", "--format=%(objectname) %(refname)", prefix)
    return {name: oid for oid, _, name in (line.partition(" ") for line in out.splitlines())}


def files(repo: Repo, rev: str, *paths: str) -> tuple[File, ...]:
    """Every file of a commit or tree, below `paths` if any are given."""
    out = git(repo, "ls-tree", "-r", "-z", "--full-tree", rev, "--", *paths)
    entries = []
    for entry in filter(None, out.split("\0")):
        head, _, path = entry.partition("\t")
        mode, _, blob = head.split(" ")
        entries.append(File(mode, blob, path))
    return tuple(entries)


def blobs(repo: Repo, oids: Iterable[str]) -> dict[str, bytes]:
    """The content of many objects, by one git process."""
    wanted = list(dict.fromkeys(oids))
    if not wanted:
        return {}
    done = execute(repo, "cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in wanted).encode())
    found, at, data = {}, 0, done.stdout
    for oid in wanted:
        end = data.index(b"\n", at)
        header = data[at:end].split()
        if header[-1] == b"missing":
            at = end + 1
            continue
        size = int(header[2])
        found[oid] = data[end + 1 : end + 1 + size]
        at = end + 1 + size + 1
    return found


def read(repo: Repo, rev: str, path: str) -> bytes | None:
    """The content of a regular file at a commit, or None. A symlink is not a regular file."""
    found = [file for file in files(repo, rev, path) if file.path == path and file.mode.startswith("100")]
    return blobs(repo, [found[0].blob])[found[0].blob] if found else None


def is_ancestor(repo: Repo, old: str, new: str) -> bool:
    """Whether `new` holds the whole history of `old`."""
    return old == new or execute(repo, "merge-base", "--is-ancestor", old, new).returncode == 0


def changed(repo: Repo, old: str, new: str) -> dict[str, str]:
    """Path → `A`, `M`, `D` or `T` for every file that differs between two commits or trees; renames count as both.

    Submodules (mode 160000) count as files: the guard that keeps Git from looking into them is not for `diff-tree`.
    """
    out = git(repo, "diff-tree", "-r", "-z", "--no-renames", "--name-status", old, new)
    fields = [field for field in out.split("\0") if field]
    return dict(zip(fields[1::2], fields[0::2], strict=True))


def log(repo: Repo, rev: str, form: str, *options: str) -> list[str]:
    """One formatted string for each commit of `rev`, newest first."""
    out = git(repo, "log", "-z", f"--format={form}", *options, rev, "--")
    return [entry for entry in out.split("\0") if entry]


# --- writing objects -----------------------------------------------------------------------------------------------


def tree_of(repo: Repo, rev: str) -> str:
    """The tree id of a commit."""
    return git(repo, "rev-parse", "--verify", "--quiet", rev + "^{tree}")


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
    said = message.encode("utf-8", "replace").replace(b"\0", b"")  # neither half characters nor NUL can be in one
    return git(repo, "commit-tree", tree, *above, stdin=said, env=env)


class Merge(NamedTuple):
    """What merging two commits gives: a tree, and the paths that conflict in it (none: it is clean)."""

    tree: str
    conflicts: tuple[str, ...]


def merge(repo: Repo, ours: str, theirs: str) -> Merge:
    """Merge two commits in memory. Raises `GitError` where they have no common history."""
    done = execute(repo, "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", ours, theirs)
    if done.returncode not in (0, 1):
        raise GitError(("merge-tree", ours, theirs), done.returncode, done.stderr.decode("utf-8", "replace"))
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


# --- the hub -------------------------------------------------------------------------------------------------------


def remote_refs(repo: Repo, url: str, *patterns: str) -> dict[str, str]:
    """What the hub's refs are now, asked for and not remembered. Raises `Unreachable`."""
    try:
        out = git(repo, "ls-remote", "--refs", url, *patterns, network=True)
    except GitError as error:
        raise Unreachable(url, error) from error
    return {name: oid for oid, _, name in (line.partition("\t") for line in out.splitlines())}


def fetch(repo: Repo, url: str, *refspecs: str) -> None:
    """Bring the hub's objects. Pruning concerns only refs below the refspecs' targets. Raises `Unreachable`."""
    still = ("--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--no-auto-maintenance")
    while True:
        try:
            git(repo, "fetch", *still, url, *refspecs, network=True)
            return
        except GitError as error:
            if not _unlock_refs(repo):
                raise Unreachable(url, error) from error


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


def push(repo: Repo, url: str, *moves: Push) -> Pushed:
    """Move all refs or none, each by compare-and-swap.

    The flags: `*` new, ` ` fast-forward, `+` forced, `-` deleted, `=` was so already, `!` refused. A ref that is
    missing was not answered for. The flag alone is to be believed, never an exit status or a text:
    https://git-scm.com/docs/git-push#_output
    """
    leases = [f"--force-with-lease={move.ref}:{move.old}" for move in moves]
    specs = [f"{move.new}:{move.ref}" for move in moves]
    atomic = ["--atomic"] if len(moves) > 1 else []
    done = execute(repo, "push", "--porcelain", "--no-verify", *atomic, *leases, url, *specs, network=True)
    return Pushed(
        dict(_flags(done.stdout.decode("utf-8", "replace"))), public(done.stderr.decode("utf-8", "replace").strip())
    )


def _flags(porcelain: str) -> Iterator[tuple[str, str]]:
    for line in porcelain.splitlines():
        fields = line.split("\t")
        if len(fields) >= 2 and len(fields[0]) == 1:
            yield fields[1].rpartition(":")[2], fields[0]
