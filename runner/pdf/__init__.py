"""Markdown → PDF: headings, paragraphs, lists, tables, code, images, a table of contents, page numbers, metadata.

All text may come from an agent or a stranger. It is escaped piece by piece, nothing is fetched, no folder is read but
the one for images that the caller names, and every size has a bound (`blocks.py`, `images.py`).
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from runner.errors import ToolError

Images = Callable[[str], bytes]
"""The path in a Markdown image → the file's bytes. Raises `ToolError` with the reason why there are none."""


def no_images(path: str) -> bytes:
    """The `Images` of a document that may have none."""
    raise ToolError("this document has no images")


class Part(msgspec.Struct, frozen=True):
    """Some Markdown, read by itself: nothing that is left open or defined in one part reaches the next.

    `demote` lowers its headings by so many levels; `images` finds its images.
    """

    text: str
    demote: int = 0
    new_page: bool = False
    images: Images = no_images


class Document(msgspec.Struct, frozen=True):
    """What is to be printed. `kicker` stands small above the title, `facts` are name and value in a table below it.

    All but the parts is plain text. With `contents`, headings of the first two levels are listed before the first part.
    """

    title: str
    parts: tuple[Part, ...]
    kicker: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    author: str = "Pullwright"
    subject: str = ""
    keywords: tuple[str, ...] = ()
    contents: bool = True


class Pdf(NamedTuple):
    """The file's bytes, how many pages it has, and what could not be shown, a sentence each."""

    data: bytes
    pages: int
    left_out: tuple[str, ...]


def render(document: Document) -> Pdf:
    """Print a document on A4 pages. Whatever the text is, there is a PDF of it."""
    from runner.pdf.pages import build  # reportlab is heavy: only who prints waits for it

    return build(document)
