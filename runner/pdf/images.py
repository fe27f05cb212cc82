"""Images that a document may show: regular files below one folder, of known kinds, bounded in bytes and pixels."""

import os
import stat
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path

from runner.errors import ToolError
from runner.pdf import Images

MOST_BYTES = 20 << 20
MOST_PIXELS = 40_000_000
SHOWN_PIXELS = 2000  # on the longer side: 300 dots an inch over the width of a page
KINDS = ("PNG", "JPEG", "GIF", "WEBP")


def below(folder: Path) -> Images:
    """The files below `folder`, no link followed on the way."""
    return partial(_read, folder)


def _read(folder: Path, path: str) -> bytes:
    parts = path.split("/")
    if not path or path.startswith("/") or any(part in ("", ".", "..") for part in parts) or "\0" in path:
        raise ToolError("name an image by its path below the folder, as plots/one.png")
    try:
        return _regular(folder, parts)
    except (OSError, UnicodeEncodeError) as error:
        why = getattr(error, "strerror", None) or "its name is no text"
        raise ToolError(f"it cannot be read ({why}); links are not followed") from error


def _regular(folder: Path, parts: list[str]) -> bytes:
    """A regular file's bytes, each folder on the way opened from the one above: nobody can swap one for a link."""
    with ExitStack() as opened:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, at)
        for part in parts[:-1]:
            at = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            opened.callback(os.close, at)
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        opened.callback(os.close, file)
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise ToolError("it is not a regular file")
        return _bounded(file, about.st_size)


def _bounded(file: int, size: int) -> bytes:
    if size > MOST_BYTES:
        raise ToolError(f"it has {size:,} bytes, more than {MOST_BYTES:,}")
    with os.fdopen(os.dup(file), "rb") as handle:
        return handle.read(MOST_BYTES)


def prepared(data: bytes) -> tuple[bytes, int, int]:
    """An image as PNG without transparency, and its width and height in pixels.

    Only the decoders for `KINDS` are tried. Raises `ToolError` for what is none of them or too large.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(BytesIO(data), formats=KINDS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ToolError(f"it has {width:,} × {height:,} pixels, more than {MOST_PIXELS:,}")
            small = ImageOps.exif_transpose(image.convert("RGBA"))
            small.thumbnail((SHOWN_PIXELS, SHOWN_PIXELS))
            flat = Image.new("RGB", small.size, "white")
            flat.paste(small, mask=small.getchannel("A"))
    except ToolError:
        raise
    except Exception as error:  # decoders raise anything on hostile files
        raise ToolError(f"it is no readable image of the kinds {', '.join(KINDS)}") from error
    out = BytesIO()
    flat.save(out, "PNG")
    return out.getvalue(), *flat.size
