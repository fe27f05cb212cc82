"""Git processes that stay open, so that one small look costs microseconds and not the start of a process.

Objects never change, so what was read once may be kept. Used by one thread at a time.
"""

import subprocess
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from io import BufferedReader
from types import TracebackType
from typing import IO, NamedTuple, Self

from runner import git

FAR = 64  # commits after which one process for the whole line is quicker
REMEMBERED = 10_000  # trees of commits
OURS = ("tasks", "agents.yaml")  # what the state of tasks follows from


class Change(NamedTuple):
    """One path that differs between two trees. `blob` is None where the second has it no more."""

    path: str
    mode: str
    blob: str | None
    added: bool


class Commit(NamedTuple):
    """What a commit says; `at` is its committer date (ISO 8601, UTC)."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    at: str
    message: str


class Pipes:
    """`git cat-file --batch` and `git diff-tree --stdin`, started when first needed."""

    def __init__(self, repo: git.Repo) -> None:
        self.repo = repo
        self._cat: subprocess.Popen[bytes] | None = None
        self._diffs: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
        self._ancestors: dict[tuple[str, str], bool] = {}
        self._trees: dict[str, str] = {}
        self._ready: dict[str, bytes] = {}
        self._last: tuple[str, str, list[Change]] = ("", "", [])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for process in self.processes():
            _end(process)
        self._cat = None
        self._diffs.clear()

    def processes(self) -> list[subprocess.Popen[bytes]]:
        """Those that are open."""
        return [*([self._cat] if self._cat else ()), *self._diffs.values()]

    def object(self, name: str) -> tuple[str, bytes] | None:
        """The id and the content of the object that `name` (an id, a full ref, `<commit>^{tree}`) stands for."""
        if self._cat is None or self._cat.poll() is not None:  # it may have been killed meanwhile
            self._cat = _start(self.repo, "cat-file", "--batch")
        stdin, stdout = _ends(self._cat)
        stdin.write(name.encode() + b"\n")
        stdin.flush()
        header = stdout.readline().split()
        if not header:
            self.close()  # the process died; the next look starts another
            raise git.GitError(("cat-file", name), 1, "git cat-file ended")
        if header[-1] in (b"missing", b"ambiguous"):
            return None
        content = stdout.read(int(header[2]) + 1)[:-1]
        return header[0].decode(), content

    def blob(self, oid: str) -> bytes:
        """The content of a blob that must be there."""
        if (ready := self._ready.get(oid)) is not None:
            return ready
        found = self.object(oid)
        if found is None:
            raise git.GitError(("cat-file", oid), 1, "the object is missing")
        return found[1]

    def blobs(self, oids: Iterable[str]) -> dict[str, bytes]:
        """The contents of blobs that must be there."""
        wanted = list(dict.fromkeys(oids))
        return {oid: self.blob(oid) for oid in wanted}

    def make_ready(self, oids: Iterable[str]) -> None:
        """Bring many blobs by one process, until the next call: they will be asked for one by one."""
        self._ready = git.blobs(self.repo, oids)

    def commit(self, name: str) -> Commit | None:
        """The commit that `name` stands for, or None."""
        found = self.object(name)
        return _commit(*found) if found else None

    def tree(self, name: str) -> str:
        """The tree of a commit; that of nothing for an empty name."""
        found = self._trees.get(name)
        if found is None:
            commit = self.commit(name) if name else None
            found = self._know(name, commit.tree if commit else git.EMPTY_TREE)
        return found

    def _know(self, name: str, tree: str) -> str:
        if len(self._trees) > REMEMBERED:
            self._trees.clear()
        self._trees[name] = tree
        return tree

    def difference(self, old: str, new: str) -> list[Change]:
        """What differs between two trees in `tasks/` and `agents.yaml`; renames are both a removal and an addition."""
        if old == new:
            return []
        if self._last[:2] == (old, new):
            return self._last[2]
        self._last = (old, new, [change for change, _ in self._differ(old, new, OURS)])
        return self._last[2]

    def changed(self, old: str, new: str) -> dict[str, str]:
        """Path → `A`, `M`, `D` or `T` for every file that differs between two commits, as `git.changed`."""
        return {change.path: kind for change, kind in self._differ(self.tree(old), self.tree(new), ())}

    def _differ(self, old: str, new: str, paths: tuple[str, ...]) -> list[tuple[Change, str]]:
        if paths not in self._diffs or self._diffs[paths].poll() is not None:
            options = ("--stdin", "-r", "-z", "--no-renames", "--ignore-submodules=none")
            self._diffs[paths] = _start(self.repo, "diff-tree", *options, "--", *paths)
        stdin, stdout = _ends(self._diffs[paths])
        end = f"-{uuid.uuid4().hex}\n".encode()  # what is no object id is echoed: the end of the answer
        stdin.write(f"{old} {new}\n".encode() + end)
        stdin.flush()
        said = bytearray()
        while not said.endswith(end):
            more = stdout.read1(1 << 16)
            if not more:
                self.close()
                raise git.GitError(("diff-tree", old, new), 1, "git diff-tree ended")
            said += more
        return list(_changes(bytes(said[: -len(end)])))

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` holds the whole history of `old`."""
        known = self._ancestors.get((old, new))
        if known is None:
            known = self._ancestors[old, new] = git.is_ancestor(self.repo, old, new)
        return known

    def first_parents(self, new: str, old: str | None = None) -> list[Commit] | None:
        """The commits of a branch's own line after `old` (None: all), oldest first; None where `old` is not on it."""
        if old is None:
            return self._line(new)
        found: list[Commit] = []
        at: str | None = new
        while at is not None and at != old:
            if len(found) == FAR:  # far away, or rewritten
                line = self._line(new)
                places = [place for place, commit in enumerate(line) if commit.oid == old]
                return line[places[0] + 1 :] if places else None
            commit = self.commit(at)
            if commit is None:
                return None
            found.append(commit)
            self._know(commit.oid, commit.tree)
            at = commit.parents[0] if commit.parents else None
        return found[::-1] if at == old else None

    def _line(self, new: str) -> list[Commit]:
        out = git.git(self.repo, "log", "--first-parent", "--reverse", "--format=%H %T %ct", new)
        commits, before = [], ""
        for line in out.splitlines():
            oid, tree, seconds = line.split(" ")
            commits.append(Commit(oid, tree, (before,) if before else (), iso(int(seconds)), ""))
            before = oid
        return commits


def iso(seconds: float) -> str:
    """A moment in seconds since 1970 as records write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _start(repo: git.Repo, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["git", "--no-optional-locks", "-c", "core.quotePath=false", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=git.environment(repo),
        cwd="/",
    )


def _ends(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], BufferedReader]:
    assert process.stdin is not None and isinstance(process.stdout, BufferedReader)
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    stdin, stdout = _ends(process)
    with suppress(BrokenPipeError):
        stdin.close()
    stdout.close()
    process.wait()


def _commit(oid: str, data: bytes) -> Commit | None:
    head, _, message = data.partition(b"\n\n")
    tree, parents, at = "", [], 0
    for line in head.split(b"\n"):
        word, _, rest = line.partition(b" ")
        if word == b"tree":
            tree = rest.decode()
        elif word == b"parent":
            parents.append(rest.decode())
        elif word == b"committer":
            at = int(rest.rsplit(b" ", 2)[1])
            break
    return Commit(oid, tree, tuple(parents), iso(at), message.decode("utf-8", "replace")) if tree else None


def _changes(said: bytes) -> Iterator[tuple[Change, str]]:
    fields = said.partition(b"\n")[2].split(b"\0")
    for head, path in zip(fields[0::2], fields[1::2], strict=False):
        _, mode, _, blob, kind = head.decode().split(" ")
        gone = kind == "D"
        yield Change(path.decode("utf-8", "surrogateescape"), mode, None if gone else blob, kind == "A"), kind
