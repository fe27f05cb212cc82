"""Files of a workspace, read and received without ever following what an agent may have planted there.

Every step on the way is opened by descriptor with O_NOFOLLOW, from a folder that is ours; only regular files are read.
"""

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from runner.sight.pipes import iso

MOST_ENTRIES = 5_000
MOST_BYTES = 64 << 20
PLACES = ("src", "output", "research")
"""Where files are received: what else is in a workspace is the runner's own."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Refused(Exception):
    """Why a path is not served: an HTTP status and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Entry(NamedTuple):
    """A file, folder, link or other thing below a workspace."""

    path: str
    kind: str
    size: int
    modified: str


class Open(NamedTuple):
    """A regular file that is open for reading, and what is known of it."""

    descriptor: int
    size: int
    tag: str


def parts_of(path: str) -> tuple[str, ...]:
    """The steps of a relative path. Raises `Refused` for one that leads elsewhere or cannot be one."""
    parts = tuple(path.split("/"))
    if not path or len(path) > 4000 or len(parts) > 64 or "\0" in path or "\\" in path:
        raise Refused(400, "this is no path below a workspace")
    if any(part in ("", ".", "..") or len(part.encode("utf-8", "replace")) > 255 for part in parts):
        raise Refused(400, "a path goes down step by step, without . and ..")
    if any(part.lower() == ".git" for part in parts):
        raise Refused(403, "what Git keeps for itself is not served")
    return parts


def read(root: Path, path: str) -> Open:
    """Open a file for reading. Raises `Refused`."""
    parts = parts_of(path)
    with _folder(root, parts[:-1]) as folder:
        try:
            descriptor = os.open(parts[-1], _FILE, dir_fd=folder)
        except OSError as error:
            raise _not_there(path, error) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise Refused(404, f"{path} is no regular file")
    return Open(descriptor, found.st_size, f"{found.st_ino:x}-{found.st_size:x}-{found.st_mtime_ns:x}")


@contextmanager
def _folder(root: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """A folder below `root` by descriptor, step by step."""
    try:
        here = os.open(root, _FOLDER)
    except OSError as error:
        raise Refused(404, "the workspace is not on this host's disk") from error
    try:
        for part in parts:
            try:
                if make and not _exists(part, here):
                    os.mkdir(part, 0o755, dir_fd=here)
                following = os.open(part, _FOLDER, dir_fd=here)
            except OSError as error:
                raise _not_there("/".join(parts), error) from error
            os.close(here)
            here = following
        yield here
    finally:
        os.close(here)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _not_there(path: str, error: OSError) -> Refused:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Refused(404, f"there is no file {path}")
    return Refused(404, f"{path} is no regular file, or lies behind a link")


def receive(root: Path, path: str) -> "Receiver":
    """Begin to receive a file. Raises `Refused`."""
    parts = parts_of(path)
    if len(parts) < 2 or parts[0] not in PLACES:
        raise Refused(403, f"files go below {', '.join(PLACES)}")
    with _folder(root, parts[:-1], make=True) as folder:
        return Receiver(os.dup(folder), parts[-1])


class Receiver:
    """A file on its way: it takes its place at once and whole, also that of a link, which is not followed."""

    def __init__(self, folder: int, name: str) -> None:
        self.folder = folder
        self.name = name
        self.size = 0
        self.scratch = f".pullwright-{uuid.uuid4().hex}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self.file = os.open(self.scratch, flags, 0o644, dir_fd=folder)
        except OSError as error:
            os.close(folder)
            raise Refused(409, f"{name} cannot be written there: {error.strerror}") from error

    def take(self, data: bytes) -> None:
        """More of it. Raises `Refused` once it is too large."""
        self.size += len(data)
        if self.size > MOST_BYTES:
            raise Refused(413, f"the file has more than {MOST_BYTES} bytes")
        view = memoryview(data)
        while view:
            view = view[os.write(self.file, view) :]

    def finish(self) -> None:
        """It is whole. Raises `Refused` where a folder has its name."""
        os.close(self.file)
        self.file = -1
        try:
            os.rename(self.scratch, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        except OSError as error:
            raise Refused(409, f"a folder has the name {self.name}") from error
        self.scratch = ""

    def close(self) -> None:
        """Let go; what did not become whole leaves nothing."""
        if self.file >= 0:
            os.close(self.file)
        if self.scratch:
            os.unlink(self.scratch, dir_fd=self.folder)
        os.close(self.folder)


def entries(root: Path) -> tuple[list[Entry], bool]:
    """What is in a workspace, folders before their content, and whether there is more than is listed."""
    found: list[Entry] = []
    try:
        start = os.open(root, _FOLDER)
    except OSError:
        return [], False
    try:
        cut = _walk(start, "", found)
    finally:
        os.close(start)
    return found, cut


def _walk(folder: int, prefix: str, found: list[Entry]) -> bool:
    """Add the entries below an open folder; True once there are too many."""
    with os.scandir(folder) as scan:
        here = sorted(islice(scan, MOST_ENTRIES + 1), key=lambda one: one.name)
    for one in here:
        path = prefix + os.fsencode(one.name).decode("utf-8", "replace")
        if len(found) >= MOST_ENTRIES:
            return True
        try:
            known = one.stat(follow_symlinks=False)
        except OSError:
            continue  # gone since it was listed
        kind = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}.get(
            stat.S_IFMT(known.st_mode), "other"
        )
        if one.name.lower() == ".git" or (prefix == "" and one.name == "venv"):
            continue
        found.append(Entry(path, kind, known.st_size, moment(known.st_mtime)))
        if kind == "folder" and path.count("/") < 64 and _below(folder, one.name, path, found):
            return True
    return False


def moment(seconds: float) -> str:
    """A file's time (ISO 8601, UTC). An agent may have set it to any number, of which the calendar has but some."""
    return iso(min(max(seconds, 0), datetime.max.replace(tzinfo=UTC).timestamp() - 1))


def _below(folder: int, name: str, path: str, found: list[Entry]) -> bool:
    try:
        inner = os.open(name, _FOLDER, dir_fd=folder)
    except OSError:
        return False  # gone, or made a link, since it was listed
    try:
        return _walk(inner, f"{path}/", found)
    finally:
        os.close(inner)
