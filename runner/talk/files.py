"""Files of a discussion: which names and contents are taken, and what kind a file is. By its content alone. Pure."""

import re
import unicodedata
from collections.abc import Mapping

MOST_FILE = 10 << 20
MOST_ALL = 50 << 20
"""Bytes of one file, and of all of a discussion."""
MOST_NUMBER = 200
"""Files of a discussion: each is looked at for every answer, however little is in it."""
LONGEST_NAME = 120
"""Bytes of a name in UTF-8; less than any file system's limit, with room for a number."""

_PICTURES = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
}
_TEXTS = {".md": "text/markdown", ".markdown": "text/markdown", ".csv": "text/csv", ".json": "application/json"}
SHOWN = frozenset({*_PICTURES, *_TEXTS.values(), "text/plain"})
"""The kinds there are. SVG and HTML are text here: shown as anything else they would run."""

_FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


class Refused(Exception):
    """Why a file is not taken, as a sentence. `large`: there is too much of it."""

    def __init__(self, reason: str, *, large: bool = False) -> None:
        super().__init__(reason)
        self.large = large


def name_of(given: str) -> str:
    """A name as it is stored. Raises `Refused` for one that leads elsewhere, hides something or is no name anywhere."""
    name = unicodedata.normalize("NFC", given)
    if not name.isprintable() or _FORBIDDEN.search(name):  # direction overrides and what is not seen among it
        raise Refused("a name has no folders in it, and no character that is not seen or that a file system refuses")
    if not name or name[0] in ".- " or name[-1] in ". " or len(name.encode()) > LONGEST_NAME:
        raise Refused(f"a name begins with a letter or digit and has at most {LONGEST_NAME} bytes, such as plot.png")
    if name.lower().startswith("git~") or _DEVICES.fullmatch(name):  # as Git's own core.protectNTFS
        raise Refused("this name means something else on some systems")
    return name


def is_name(name: str) -> bool:
    """Whether a name in a discussion's tree is one that we would store: whoever pushes can write any into a tree, also
    `../x`, `/etc/x` and what lies in folders."""
    try:
        return name_of(name) == name
    except Refused:
        return False


def another(name: str, number: int) -> str:
    """The name for one more file that is called so: `plot.png` → `plot-2.png`."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem}-{number}.{ending}" if dot else f"{name}-{number}"


def media_type(name: str, data: bytes) -> str:
    """The kind of a file by what is in it. Raises `Refused` for one that is neither picture, PDF nor text.

    A name that promises a picture or a PDF has to keep it.
    """
    found = _by_signature(data)
    promised = next((kind for kind, endings in _PICTURES.items() if name.lower().endswith(endings)), None)
    if promised is not None and found != promised:
        raise Refused(f"{name} is no {promised.partition('/')[2].upper()}")
    if found is not None:
        return found
    if not _is_text(data):
        raise Refused(f"{name} is neither a picture (PNG, JPEG, GIF, WebP), a PDF nor text in UTF-8")
    return next((kind for ending, kind in _TEXTS.items() if name.lower().endswith(ending)), "text/plain")


def room(there: Mapping[str, int], more: Mapping[str, int]) -> None:
    """Raises `Refused` where files of these sizes (bytes by name) have no room beside those that are there."""
    files = {**there, **more}
    if sum(files.values()) > MOST_ALL:
        raise Refused(f"the files of a discussion have at most {MOST_ALL >> 20} MB together", large=True)
    if len(files) > MOST_NUMBER:
        raise Refused(f"a discussion has at most {MOST_NUMBER} files: begin another one", large=True)


def is_text(media: str) -> bool:
    """Whether a file of this kind can be read as text."""
    return media in SHOWN and media not in _PICTURES


def _by_signature(data: bytes) -> str | None:
    """https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern"""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:14] == b"WEBPVP":
        return "image/webp"
    return "application/pdf" if data.startswith(b"%PDF-") else None


def _is_text(data: bytes) -> bool:
    if b"\0" in data:
        return False
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
