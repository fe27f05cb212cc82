"""What a repository holds: commits, refs, files, differences. Nothing is written."""

from collections.abc import Iterable
from typing import NamedTuple

from runner.git.memory import Done, execute_once, git_once
from runner.git.process import Repo, execute, git


class File(NamedTuple):
    """One entry of a tree: `mode` as Git writes it (`100644`, `120000` …), `blob` its object id."""

    mode: str
    blob: str
    path: str


class Difference(NamedTuple):
    """A file that came (kind `A`), went (`D`), or is another one (`M`, `T`): its object ids on the two sides."""

    path: str
    kind: str
    old: str | None
    new: str | None


def resolve(repo: Repo, rev: str) -> str | None:
    """The commit id of `rev`, or None where there is none."""
    done = execute(repo, "rev-parse", "--verify", "--quiet", "--end-of-options", rev + "^{commit}")
    return done.stdout.decode().strip() or None


def refs(repo: Repo, *prefixes: str) -> dict[str, str]:
    """Every ref that is, or lies below, one of `prefixes` → its object id."""
    out = git(repo, "for-each-ref", "--format=%(objectname) %(refname)", *prefixes)
    return {name: oid for oid, _, name in (line.partition(" ") for line in out.splitlines())}


def files(repo: Repo, rev: str, *paths: str) -> tuple[File, ...]:
    """Every file of a commit or tree, below `paths` if any are given."""
    out = git_once(repo, [rev], "ls-tree", "-r", "-z", "--full-tree", rev, "--", *paths)
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
    stdin = "".join(f"{oid}\n" for oid in wanted).encode()
    done = execute_once(repo, wanted, "cat-file", "--batch", stdin=stdin, final=_all_there)
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


def _all_there(done: Done) -> bool:
    return done.returncode == 0 and b" missing\n" not in done.stdout


def read(repo: Repo, rev: str, path: str) -> bytes | None:
    """The content of a regular file at a commit, or None. A symlink is not a regular file."""
    return texts(repo, rev, path).get(path)


def texts(repo: Repo, rev: str, *paths: str) -> dict[str, bytes]:
    """Path → content of those of `paths` that are regular files at a commit."""
    found = {file.path: file.blob for file in files(repo, rev, *paths) if file.mode.startswith("100")} if paths else {}
    contents = blobs(repo, [found[path] for path in paths if path in found])
    return {path: contents[found[path]] for path in paths if path in found}


def is_ancestor(repo: Repo, old: str, new: str) -> bool:
    """Whether `new` holds the whole history of `old`."""
    if old == new:
        return True
    return execute_once(repo, [old, new], "merge-base", "--is-ancestor", old, new, final=_answered).returncode == 0


def _answered(done: Done) -> bool:
    return done.returncode in (0, 1)


def differences(repo: Repo, old: str, new: str) -> tuple[Difference, ...]:
    """Every file that differs between two commits or trees; renames count as a removal and an addition.

    Submodules (mode 160000) count as files: the guard that keeps Git from looking into them is not for `diff-tree`.
    """
    out = git_once(repo, [old, new], "diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev", old, new)
    fields = [field for field in out.split("\0") if field]
    heads = (head.split(" ") for head in fields[0::2])
    pairs = zip(heads, fields[1::2], strict=True)
    return tuple(Difference(path, kind, _there(before), _there(after)) for (_, _, before, after, kind), path in pairs)


def _there(oid: str) -> str | None:
    return oid if oid.strip("0") else None


def changed(repo: Repo, old: str, new: str) -> dict[str, str]:
    """Path → `A`, `M`, `D` or `T` for every file that differs between two commits or trees."""
    return {each.path: each.kind for each in differences(repo, old, new)}


def log(repo: Repo, rev: str, form: str, *options: str) -> list[str]:
    """One formatted string for each commit of `rev`, newest first."""
    out = git_once(repo, [rev], "log", "-z", f"--format={form}", *options, rev, "--")
    return [entry for entry in out.split("\0") if entry]
