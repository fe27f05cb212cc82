"""What PDFs hold, kept on this host so that each is looked at once: pictures of the pages, and the words for agents."""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from runner.errors import UserError
from runner.host import lock
from runner.sandbox import Sandbox
from runner.talk.paper import Paper, look

KEPT = 256 << 20
"""Bytes of all that is kept; what was made first goes first."""

Words = Callable[[bytes], str]
"""The words of a PDF; nothing where it has none, or cannot be read here."""


def kept(state: Path, blob: str) -> Paper | None:
    """What is kept of the PDF whose Git blob that is; None where nobody has looked at it here."""
    try:
        return msgspec.json.decode((_folder(state, blob) / "paper.json").read_bytes(), type=Paper)
    except (OSError, msgspec.DecodeError):
        return None


def picture(state: Path, blob: str, number: int) -> bytes | None:
    """The PNG of a page, from 1 on; None where there is none."""
    try:
        return (_folder(state, blob) / f"{number}.png").read_bytes()
    except OSError:
        return None


def read(state: Path, sandbox: Sandbox, blob: str, data: bytes) -> Paper:
    """What there is of a PDF, made now unless it is kept; one at a time on a host.

    Raises `UserError` where the sandbox cannot be had.
    """
    with lock(state, "papers"):
        found = kept(state, blob)
        if found is None:
            found, pictures = look(sandbox, data)
            keep(state, blob, found, pictures)
        return found


def reader(state: Path, sandbox: Callable[[], Sandbox], clean: Callable[[str], str] = str) -> Words:
    """What reads PDFs for agents. `sandbox` gives the one in which it is done, or raises `UserError`.

    `clean` takes secrets out.
    """

    def words(data: bytes) -> str:
        try:
            return clean(read(state, sandbox(), blob_of(data), data).text)
        except UserError:
            return ""

    return words


def wordless(data: bytes) -> str:
    """Where nothing reads PDFs."""
    return ""


def blob_of(data: bytes) -> str:
    """The id that Git gives to these bytes (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects)."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _folder(state: Path, blob: str) -> Path:
    return state / "papers" / "".join(char for char in blob if char in "0123456789abcdef")


def keep(state: Path, blob: str, found: Paper, pictures: Iterable[bytes], most: int = KEPT) -> None:
    """Put it in its place, whole or not at all, and make room: at most so many bytes of all are kept."""
    place = _folder(state, blob)
    fresh = place.with_name(f"{place.name}.new")  # nobody else makes one: we hold the lock
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for number, data in enumerate(pictures, 1):
        (fresh / f"{number}.png").write_bytes(data)
    (fresh / "paper.json").write_bytes(msgspec.json.encode(found))
    shutil.rmtree(place, ignore_errors=True)
    fresh.replace(place)
    _make_room(place, most)


def _make_room(newest: Path, most: int) -> None:
    """Forget what was made first, until the rest is not too much; never what was made just now."""
    there = sorted(newest.parent.iterdir(), key=lambda place: place.stat().st_mtime)
    sizes = {place: sum(file.stat().st_size for file in place.iterdir()) for place in there}
    for place in there:
        if sum(sizes.values()) <= most:
            return
        if place != newest:
            del sizes[place]
            shutil.rmtree(place, ignore_errors=True)
