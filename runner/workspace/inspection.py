"""What an agent's files may be, looked at before any Git does. Nothing is opened, no link is followed.

What the repository ignores may be anything that cannot harm: it is not collected. Rules and attacks: docs/sandbox.md.
"""

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from runner import git
from runner.errors import ToolError
from runner.parsing.characters import shown
from runner.policy import folded

FILE_CAP = 50 << 20  # bytes
TOTAL_CAP = 500 << 20  # bytes
COUNT_CAP = 100_000

BARE = frozenset({"head", "objects", "refs"})
"""What makes a folder a repository to any Git that is started there (git(1), `safe.bareRepository`)."""
GIT_READS = (".gitignore", ".gitattributes", ".gitmodules")


class Trouble(NamedTuple):
    """Something that cannot be collected. `always`: Git may not even be asked whether the repository ignores it.

    Where the repository has the file `excuse` already, it is none.
    """

    path: str
    fault: str
    always: bool = False
    excuse: str = ""


class Survey(NamedTuple):
    """All that lies in a folder: how much, and what is wrong with it."""

    files: int
    size: int
    troubles: tuple[Trouble, ...]


def inspect(view: git.Repo, patience: float) -> None:
    """Refuse what must not reach the trusted repository; `view` has the folder as its work tree.

    Raises `ToolError` that names the path: for a repository inside the repository, a fifo, socket or device, a folder
    that cannot be read, a file or a whole that is too large; `git.TooLong` after `patience` seconds.
    """
    assert view.work_tree is not None
    found = survey(os.fspath(view.work_tree))
    for trouble in _serious(view, found.troubles, patience):
        raise ToolError(f"{shown(trouble.path, 200)} {trouble.fault}")
    count, size = found.files, found.size
    if count > COUNT_CAP or size > TOTAL_CAP:
        count, size = _collected(view, patience)
    if count > COUNT_CAP:
        raise ToolError(f"there are {count} files: more than {COUNT_CAP} are not collected")
    if size > TOTAL_CAP:
        raise ToolError(f"the files have {size >> 20} MiB together: more than {TOTAL_CAP >> 20} is not collected")


def survey(folder: str) -> Survey:
    """Look at everything below `folder` but the content of its own `.git`."""
    count = size = 0
    troubles: list[Trouble] = []
    parts: dict[str, set[str]] = {}
    for path, info in _walk(folder):
        if isinstance(info, OSError):
            troubles.append(Trouble(path, f"cannot be read ({info.strerror}): remove it, or make it readable"))
            continue
        count += not stat.S_ISDIR(info.st_mode)
        size += info.st_size if stat.S_ISREG(info.st_mode) else 0
        troubles += _faults(path, info)
        holder, _, name = path.rpartition("/")
        if name.lower() in BARE:
            parts.setdefault(holder, set()).add(name.lower())
    troubles += (_bare(holder) for holder, names in parts.items() if names >= BARE and not _is_said(folder, holder))
    return Survey(count, size, tuple(troubles))


def _bare(holder: str) -> Trouble:
    fault = "is laid out like a Git repository, so that Git would do what its configuration says: remove it"
    return Trouble(holder or ".", fault, excuse=f"{holder}/HEAD")


def _is_said(folder: str, holder: str) -> bool:
    """Whether Git looks at a `.git` there first (the top of the repository), or it is refused for its name anyway."""
    return is_git_dir(holder.rpartition("/")[2]) or (not holder and os.path.lexists(f"{folder}/.git"))


def _faults(path: str, info: os.stat_result) -> Iterator[Trouble]:
    holder, _, name = path.rpartition("/")
    if is_git_dir(name) and path != ".git":
        yield Trouble(holder or path, "is a Git repository inside the repository: remove it", not holder)
    if stat.S_ISREG(info.st_mode):
        if info.st_size > FILE_CAP:
            what = f"has {info.st_size >> 20} MiB: more than {FILE_CAP >> 20} is not collected"
            yield Trouble(path, what, name in GIT_READS)
    elif not stat.S_ISDIR(info.st_mode) and not stat.S_ISLNK(info.st_mode):
        yield Trouble(path, "is neither a file nor a folder nor a link: remove it", True)  # opening a fifo waits


def is_git_dir(name: str) -> bool:
    """Names that some file system or some Git takes for `.git`: other case, ignorable characters, the short name."""
    return not {".git", "git~1"}.isdisjoint(folded(name).split("/"))


def _walk(folder: str) -> Iterator[tuple[str, os.stat_result | OSError]]:
    """Everything below `folder` by its path in it, with what it is or why that cannot be found out."""
    waiting = [""]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(f"{folder}/{here}") as listed:
                seen = [(f"{here}/{entry.name}" if here else entry.name, _look(entry)) for entry in listed]
        except OSError as error:  # no permission, or deeper than a path may be long
            yield here, error
            continue
        yield from seen
        waiting += [path for path, info in seen if _is_folder(info) and path != ".git"]


def _look(entry: "os.DirEntry[str]") -> os.stat_result | OSError:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError as error:
        return error


def _is_folder(info: os.stat_result | OSError) -> bool:
    return not isinstance(info, OSError) and stat.S_ISDIR(info.st_mode)


def _serious(view: git.Repo, troubles: tuple[Trouble, ...], patience: float) -> Iterator[Trouble]:
    """Those that the repository does not ignore; what it ignores, and has not in its index, Git never looks into."""
    yield from (trouble for trouble in troubles if trouble.always)
    if not troubles:
        return
    asked = {b"./" + os.fsencode(trouble.path): trouble for trouble in troubles}  # `./:x` is no magic word
    literal = {"GIT_LITERAL_PATHSPECS": "0"}  # check-ignore takes no patterns, and does not know the setting
    done = git.execute(view, "check-ignore", "-z", "--stdin", stdin=b"\0".join(asked), env=literal, seconds=patience)
    ignored = set(done.stdout.split(b"\0")) if done.returncode == 0 else set()
    left = [trouble for path, trouble in asked.items() if path not in ignored]
    excuses = [trouble.excuse for trouble in left if trouble.excuse]
    known = git.git(view, "ls-files", "-z", "--cached", "--", *excuses).split("\0") if excuses else ()
    yield from (trouble for trouble in left if trouble.excuse not in known)


def _collected(view: git.Repo, patience: float) -> tuple[int, int]:
    """How many files Git would take, and their bytes."""
    listed = git.git(view, "ls-files", "-z", "--cached", "--others", "--exclude-standard", seconds=patience)
    sizes = [_size(f"{view.work_tree}/{path}") for path in set(listed.split("\0")) if path]
    return len(sizes), sum(sizes)


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
