"""`pdf_write`: a document that one can hand on."""

import base64
import posixpath
from typing import Annotated

from msgspec import Meta

from runner.errors import ToolError
from runner.pdf import Document, Part, render
from runner.tools.files import absolute, ask_inside
from runner.tools.text import plain
from runner.tools.work import Body, Observation, Work

MOST_IMAGE = 8 << 20
MOST_TEXT = 1 << 20


def pdf_write(
    work: Work,
    path: str,
    title: Annotated[str, Meta(min_length=1, max_length=200)],
    markdown: Annotated[str, Body],
) -> Observation:
    """Write a PDF from Markdown: headings, lists, tables, code, images of the workspace, contents, page numbers.

    path: the file, such as /workspace/output/report.pdf
    title: what stands above it, such as Sales of the year
    markdown: the text; images as ![caption](plots/one.png), found from the folder of the PDF
    """
    if not path.lower().endswith(".pdf"):
        raise ToolError("Give a path that ends in .pdf, such as /workspace/output/report.pdf.")
    if len(markdown) > MOST_TEXT:
        raise ToolError("The text is too long for one document. Write several.")
    folder = posixpath.dirname(absolute(path))

    def image(name: str) -> bytes:
        return base64.b64decode(ask_inside(work, "take", posixpath.join(folder, name), most=MOST_IMAGE))

    made = render(Document(title=title, parts=(Part(markdown, images=image),), contents=markdown.count("\n#") >= 4))
    ask_inside(work, "put", path, data=base64.b64encode(made.data).decode())
    missing = "".join(f"\nLeft out: {plain(reason)}" for reason in made.left_out[:5])
    pages = "1 page" if made.pages == 1 else f"{made.pages} pages"
    return Observation(f"Wrote {path}: {pages}, {len(made.data) >> 10} kB.{missing}")
