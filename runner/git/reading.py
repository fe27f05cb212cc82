"""What a repository holds: commits, refs, files, differences. Nothing is written."""

from collections.abc import Iterable
from typing import NamedTuple

from runner.git.process import Repo, execute, git


class File(NamedTuple):
    """One entry of a tree: `mode` as Git writes it (`100644`, `120000` …), `blob` its object id."""

    mode: str
    blob: str
    path: str


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


def sizes(repo: Repo, oids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """The kind (`blob`, `tree` …) and the bytes of those objects that are there, by one git process."""
    wanted = list(dict.fromkeys(oids))
    if not wanted:
        return {}
    lines = git(repo, "cat-file", "--batch-check", stdin="".join(f"{oid}\n" for oid in wanted).encode()).splitlines()
    known = (line.split() for line in lines if not line.endswith(" missing"))
    return {oid: (kind, int(size)) for oid, kind, size in known}


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
