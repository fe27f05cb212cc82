"""A commit with its files, written by one process. No ref moves."""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from runner.git.objects import RUNNER, Identity, readable
from runner.git.process import Repo, git

# As loose objects are: a pack that is taken apart again need not wait for the disk.
_OPTIONS = ("-c", "core.fsync=none", "fast-import", "--quiet", "--done", "--date-format=raw")


def commit_with(
    repo: Repo,
    tree: str | None,
    changes: Mapping[str, bytes | None],
    parents: Iterable[str],
    message: str,
    *,
    author: Identity = RUNNER,
    when: str | None = None,
) -> str:
    """Write a commit of `tree` (None: the empty one) in which each path has the given content, or is gone (None).

    It is the one that `commit` makes of `tree_with`, in a third of the time; only that names, of people and of files,
    are taken as they are: they have to be our own. Returns its id. https://git-scm.com/docs/git-fast-import
    """
    return git(repo, *_OPTIONS, stdin=b"".join(_stream(tree, changes, parents, message, author, when)))


def _stream(
    tree: str | None,
    changes: Mapping[str, bytes | None],
    parents: Iterable[str],
    message: str,
    author: Identity,
    when: str | None,
) -> Iterator[bytes]:
    seconds = int(datetime.fromisoformat(when).timestamp() if when else time.time())
    yield b"commit refs/pullwright/new\nmark :1\n"
    yield f"author {author.name} <{author.email}> {seconds} +0000\n".encode()
    yield f"committer {RUNNER.name} <{RUNNER.email}> {seconds} +0000\n".encode()
    yield _data(readable(message))
    for number, parent in enumerate(dict.fromkeys(parents)):
        yield f"{'merge' if number else 'from'} {parent}\n".encode()
    yield b"deleteall\n" + (f'M 040000 {tree} ""\n'.encode() if tree else b"")
    for path, content in changes.items():
        name = _quoted(path)
        yield b"D %b\n" % name if content is None else b"M 100644 inline %b\n%b" % (name, _data(content))
    yield b"get-mark :1\nreset refs/pullwright/new\n\ndone\n"  # a branch that is reset to nothing moves no ref


def _data(content: bytes) -> bytes:
    return b"data %d\n%b\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n")):
        path = path.replace(plain, escaped)
    return b'"%b"' % path.encode("utf-8", "surrogateescape")
