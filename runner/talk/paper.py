"""A PDF that somebody sent: its pages as pictures and its words, made in the sandbox.

A PDF is a program for whoever shows it, and here anybody's: no byte of it is read outside of the sandbox. What comes
back is checked for being what it shall be (so many bytes of colour, so many lines), and becomes a picture only here.
"""

import base64
import importlib.util
import json
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from runner.errors import UserError
from runner.sandbox import Command, Limits, Mount, Sandbox
from runner.talk.files import MOST_FILE

KIND = "application/pdf"
PAGES, WIDE = 20, 1000
"""Pages of which there are pictures, and pixels across one; down it has at most twice as many."""
WORDS = 200_000
"""Characters of a PDF's words that are kept."""
BYTES = 8 << 20
"""Of all its pictures, as they come out of the sandbox in base64."""
SECONDS = 20.0
LIMITS = Limits(seconds=SECONDS, memory=1 << 30, processes=16, file_size=1, output=BYTES + (8 << 20), open_files=64)
INSIDE = "/opt/pullwright"
PACKAGES = ("pypdfium2", "pypdfium2_cfg", "pypdfium2_raw")


class Size(msgspec.Struct, frozen=True, array_like=True):
    """How large a page's picture is, in pixels."""

    width: int
    height: int


class Paper(msgspec.Struct, frozen=True):
    """What there is of a PDF: the sizes of its pages' pictures, how many pages it has, and its words.

    `why` says in a sentence what is missing of it (nothing: nothing is).
    """

    pictures: tuple[Size, ...] = ()
    pages: int = 0
    text: str = ""
    why: str = ""


def look(sandbox: Sandbox, data: bytes, most: int = PAGES) -> tuple[Paper, tuple[bytes, ...]]:
    """A PDF's pages and words, and the pictures of `most` pages as PNG.

    Raises `UserError` where the sandbox cannot be had.
    """
    if len(data) > MOST_FILE:  # whoever pushes can store any amount
        return Paper(why=f"This PDF has more than {MOST_FILE >> 20} MB, and is not shown."), ()
    mounts = _mounts()
    if not mounts:
        raise UserError("the package pypdfium2 is missing", "install Pullwright anew, with what it needs")
    folder = str(Path(sandbox.locate(mounts, f"{INSIDE}/{PACKAGES[0]}")).parent)
    bounds = map(str, (most, WIDE, WORDS, BYTES))
    argv = ("python3", "-I", "-S", "-W", "ignore", "-c", _script(), folder, *bounds)
    result = sandbox.run(Command(argv, mounts, cwd="/", stdin=data, limits=LIMITS))
    if result.ending in ("failed", "disk"):  # this host's fault, and not the PDF's
        raise UserError(f"the sandbox could not start: {result.text.strip()[-300:]}", "run `pullwright doctor`")
    return told(result.output, ended=result.ok)


def _mounts() -> tuple[Mount, ...]:
    found = [(name, importlib.util.find_spec(name)) for name in PACKAGES]
    return tuple(Mount(Path(spec.origin).parent, f"{INSIDE}/{name}") for name, spec in found if spec and spec.origin)


@cache
def _script() -> str:
    return Path(__file__).with_name("paper_inside.py").read_text("utf-8")


def told(output: bytes, *, ended: bool) -> tuple[Paper, tuple[bytes, ...]]:
    """Pure: what the sandbox said, as far as it is what it shall be. `ended`: it came to its end."""
    pages, fault = 0, ""
    words: list[str] = []
    pictures: list[tuple[Size, bytes]] = []
    for line in _lines(output):
        match line:
            case {"pages": int(number)}:
                pages = max(0, min(number, 1 << 20))
            case {"fault": str(what)}:
                fault = what
            case {"page": int(), "text": str(text)}:
                words.append(text)
                made = _picture(line) if len(pictures) == len(words) - 1 < PAGES else None
                pictures += [made] if made else []
    sizes, files = tuple(size for size, _ in pictures), tuple(png for _, png in pictures)
    text = "\n\n".join(filter(None, (text.replace("\r\n", "\n").strip() for text in words)))[:WORDS]
    whole = ended and not fault
    return Paper(sizes, pages, text.encode("utf-8", "replace").decode(), _why(len(sizes), pages, whole)), files


def _why(drawn: int, pages: int, whole: bool) -> str:
    if not drawn:
        return "This PDF cannot be shown: it is broken, locked with a password, or takes too long."
    if drawn == pages:
        return ""
    return f"{'The first page' if drawn == 1 else f'The first {drawn} pages'} of {pages}" + (
        "." if whole else ": the next one takes too long, or is broken."
    )


def _lines(output: bytes) -> Iterator[Any]:
    """The whole lines of what was said; the last may have been cut off."""
    for line in output.split(b"\n")[:-1]:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            return


def _picture(line: dict[str, Any]) -> tuple[Size, bytes] | None:
    """A page's picture, or None where the pixels are not as many as it says."""
    match line:
        case {"width": int(width), "height": int(height), "pixels": str(pixels)}:
            if 0 < width <= WIDE + 1 and 0 < height <= 2 * WIDE + 1:
                rows = _inflated(pixels, height * (1 + 3 * width))
                return (Size(width, height), png(width, height, rows)) if rows else None
    return None


def _inflated(pixels: str, size: int) -> bytes | None:
    """Exactly `size` bytes; never more of them are made."""
    try:
        opener = zlib.decompressobj()
        found = opener.decompress(base64.b64decode(pixels, validate=True), size)
    except (ValueError, zlib.error):
        return None
    return found if len(found) == size and not opener.decompress(opener.unconsumed_tail, 1) else None


def png(width: int, height: int, rows: bytes) -> bytes:
    """Rows of red, green and blue, each after a zero, as a picture (https://www.w3.org/TR/png-3/#5DataRep). Pure."""
    plain = bytearray(rows)
    plain[:: 1 + 3 * width] = bytes(height)  # how the row is filtered: not at all
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(plain, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
