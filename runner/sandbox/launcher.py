"""Starts programs from one thread that lives as long as we do.

Its children die with it (PR_SET_PDEATHSIG), and for that the parent is the *thread* that started the child (prctl(2)):
a sandbox started from a pool's thread would be killed when the pool shrinks, which looks like a crash of the command.
bwrap's own `--die-with-parent` comes some milliseconds too late. A runner that is killed before it closes its status
pipe, of which bwrap dies just before it would tell the process inside to go on; that one waits for ever.
"""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from runner.sandbox import kernel

T = TypeVar("T")


@cache
def _thread(_pid: int) -> ThreadPoolExecutor:
    """The one launching thread of this process; a fork gets its own."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-launcher")


def call(function: Callable[[], T]) -> T:
    """The answer of `function`, called in the launching thread."""
    return _thread(os.getpid()).submit(function).result()


def start(
    argv: list[str],
    *,
    stdin: int,
    output: int,
    fds: tuple[int, ...] = (),
    env: dict[str, str] | None = None,
    cwd: str = "/",
    user: int | None = None,
) -> "subprocess.Popen[bytes]":
    """Start `argv` in `cwd` with `env` (nothing by default), stdout and stderr into the descriptor `output`.

    In a session of its own, so that a Ctrl-C at our terminal reaches us and not the command; as `user` and the group
    of the same number if one is given. Raises `OSError`.
    """

    tie = kernel.tied()

    def spawn() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=output,
            stderr=output,
            pass_fds=fds,
            env=env or {},
            cwd=cwd,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else (),
            preexec_fn=tie,
        )

    return call(spawn)
