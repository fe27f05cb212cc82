"""System calls that Python has no name for. Numbers are the same on all architectures (asm-generic, since Linux 5)."""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Callable
from functools import cache

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_CLONE_NEWNS = 0x00020000
_PR_SET_PDEATHSIG = 1
_MS_REC, _MS_SLAVE = 1 << 14, 1 << 19
_MNT_DETACH = 2
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_IDMAP = 0x00100000


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def tied() -> Callable[[], None]:
    """What a child does between fork and exec, so as to be killed when the thread dies that starts it (prctl(2)).

    One whose parent died before it asked for that is never told, and ends itself.
    """
    libc, parent = _libc(), os.getpid()

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return tie


def private_mounts() -> None:
    """Give the calling thread mounts of its own; what the host mounts later still shows, nothing goes back."""
    _checked(_libc().unshare(_CLONE_NEWNS))
    _checked(_libc().mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_SLAVE), None))


def mount_tmpfs(place: str, options: str) -> None:
    """A tmpfs on `place`."""
    _checked(_libc().mount(b"tmpfs", os.fsencode(place), b"tmpfs", ctypes.c_ulong(0), options.encode()))


def detach(place: str) -> None:
    """Take away the mount on `place`, as soon as nobody uses it."""
    _checked(_libc().umount2(os.fsencode(place), _MNT_DETACH))


def mount_mapped(source: str, place: str, user_namespace: int) -> None:
    """Show `source` on `place` with the owners that the map of `user_namespace` says (mount_setattr(2)).

    Raises `OSError`, with EINVAL for a file system that cannot do it.
    """
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
    tree = _checked(_libc().syscall(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), flags))
    try:
        attributes = struct.pack("=QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, user_namespace)
        _checked(_libc().syscall(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, attributes, len(attributes)))
        _checked(_libc().syscall(_MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(place), _MOVE_MOUNT_F_EMPTY_PATH))
    finally:
        os.close(tree)


def is_unsupported(error: OSError) -> bool:
    """Whether the kernel or a file system cannot do what was asked, rather than something being wrong with it."""
    return error.errno in {errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP}
