"""When we run as host root, commands do not: they run as a user of their own who sees root's folders as theirs.

RLIMIT_NPROC does not bind host root, and a hole in a namespace would open onto root. Folders are shown through
id-mapped mounts (Linux 5.12: mount_setattr(2)): what is root's on the disk is the agent's inside, and what the agent
makes is root's on the disk, so that nothing has to be handed back and forth with chown.
"""

import contextlib
import errno
import os
import subprocess
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import msgspec

from runner.sandbox import Mount, kernel, launcher

# systemd leaves 60578-61183 to nobody (UIDs and GIDs of systemd); within the 65536 that containers usually have.
UID = 61000
# Only root can write in /run. Every process covers it with mounts that are its own, so they all share the name.
_FOLDER = Path("/run/pullwright-mounts")


class Demotion:
    """Prepares folders for the user `UID`. All of it happens in the launching thread, which has its own mounts."""

    def __init__(self) -> None:
        """Raises `OSError` where root cannot do this: a container without CAP_SYS_ADMIN, an old kernel."""
        self._process = os.getpid()
        self._users = _user_namespace()
        _FOLDER.mkdir(mode=0o711, exist_ok=True)
        self._names = map(str, count())
        launcher.call(self._set_up)

    def _set_up(self) -> None:
        kernel.private_mounts()
        kernel.mount_tmpfs(str(_FOLDER), "mode=0711,size=1m")

    def stage(self, mounts: Sequence[Mount]) -> "Staged":
        """The same mounts from places that the user `UID` may read. Raises `OSError` if a file system cannot do it."""
        if os.getpid() != self._process:
            raise RuntimeError("a fork has no launching thread with mounts of its own; make a new Bubblewrap in it")
        seen = [mount.source.stat() for mount in mounts]
        return launcher.call(lambda: self._stage(mounts, seen))

    def _stage(self, mounts: Sequence[Mount], seen: Sequence[os.stat_result]) -> "Staged":
        with contextlib.ExitStack() as undo:
            for mount, expected in zip(mounts, seen, strict=True):
                # Where mounts do not propagate, a file system that the host mounts later is not to be seen from here.
                if not os.path.samestat(mount.source.stat(), expected):
                    raise OSError(errno.ESTALE, f"{mount.source} was mounted after the first command; start again")
            moved = tuple(msgspec.structs.replace(m, source=self._show(m.source, undo)) for m in mounts)
            return Staged(moved, undo.pop_all())

    def _show(self, source: Path, undo: contextlib.ExitStack) -> Path:
        place = _FOLDER / next(self._names)
        if source.is_dir():
            place.mkdir()
            undo.callback(place.rmdir)
        else:
            place.touch()
            undo.callback(place.unlink)
        kernel.mount_mapped(str(source), str(place), self._users)
        undo.callback(kernel.detach, str(place))
        return place


class Staged:
    """Mounts that are shown to another user until `close`."""

    def __init__(self, mounts: tuple[Mount, ...], undo: contextlib.ExitStack) -> None:
        self.mounts = mounts
        self._undo = undo

    def close(self) -> None:
        """Take them away."""
        launcher.call(self._undo.close)


def _user_namespace() -> int:
    """A descriptor of a user namespace whose map says: root on the disk is `UID`."""
    words = ["unshare", "--user", "sh", "-c", "echo && read -r _"]
    quiet = subprocess.DEVNULL  # where it is refused, the trial run says why
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, cwd="/") as holder:
        assert holder.stdin and holder.stdout
        if not holder.stdout.readline():
            raise OSError("no user namespace can be made")
        for kind in ("uid_map", "gid_map"):
            Path(f"/proc/{holder.pid}/{kind}").write_text(f"0 {UID} 1")
        return os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
