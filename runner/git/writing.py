"""A commit with its files, written by one process. No ref moves."""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from runner.git.objects import EMPTY_TREE, RUNNER, Identity, readable
from runner.git.process import Repo, git

# As loose objects are: a pack that is taken apart again need not wait for the disk.
_OPTIONS = ("-c", "core.fsync=none", "fast-import", "--quiet", "--done", "--date-format=raw")


def commit_with(
    repo: Repo,
    changes: Mapping[str, bytes | None],
    parents: Iterable[str],
    message: str,
    *,
    tree: str | None = None,
    author: Identity = RUNNER,
    when: str | None = None,
) -> str:
    """Write a commit in which each path has the given content, or is gone (None); returns its id.

    The rest is as in `tree`, or as in the first of the parents, if there is one. It is the commit that `commit` makes
    of `tree_with`, in a third of the time; only that names, of the author and of files, are taken as they are: they
    have to be our own. https://git-scm.com/docs/git-fast-import
    """
    return git(repo, *_OPTIONS, stdin=b"".join(_stream(changes, parents, message, tree, author, when)))


def _stream(
    changes: Mapping[str, bytes | None],
    parents: Iterable[str],
    message: str,
    tree: str | None,
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
    if tree is not None:
        yield b"deleteall\n" if tree == EMPTY_TREE else f'M 040000 {tree} ""\n'.encode()
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
