"""What Git has said of objects that were named by their full ids: true for ever, so that it is asked only once.

Never what a ref is, nor whether an object is there: both change. The memory is small, and gone with the process.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from subprocess import CompletedProcess

from runner.git.process import Repo, execute, failure

ANSWERS = 512
LONGEST = 1 << 14
"""Bytes of a question and its answer that are remembered: of a small repository, and of one task in a large one."""

_FULL = re.compile(r"[0-9a-f]{40}")
_lock = threading.Lock()
_known: OrderedDict[tuple[Path, tuple[str, ...], bytes], CompletedProcess[bytes]] = OrderedDict()

Done = CompletedProcess[bytes]


def succeeded(done: Done) -> bool:
    """Whether Git found everything that it was asked about."""
    return done.returncode == 0


def execute_once(
    repo: Repo, named: Iterable[str], *args: str, stdin: bytes = b"", final: Callable[[Done], bool] = succeeded
) -> Done:
    """As `execute`, for a question whose answer follows from the objects `named` and from nothing else.

    `final` says of an answer whether it is the same for ever.
    """
    if not all(_FULL.fullmatch(name) for name in named):
        return execute(repo, *args, stdin=stdin)
    key = (repo.git_dir, args, stdin)
    with _lock:
        known = _known.get(key)
    if known is None:
        known = execute(repo, *args, stdin=stdin)
        if final(known) and sum(map(len, (*args, stdin, known.stdout))) <= LONGEST:
            _remember(key, known)
    return known


def git_once(repo: Repo, named: Iterable[str], *args: str, stdin: bytes = b"") -> str:
    """As `git`, for such a question. Raises `GitError`."""
    done = execute_once(repo, named, *args, stdin=stdin)
    if done.returncode != 0:
        raise failure(repo, args, done)
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def _remember(key: tuple[Path, tuple[str, ...], bytes], done: Done) -> None:
    with _lock:
        _known[key] = done
        if len(_known) > ANSWERS:
            _known.popitem(last=False)
