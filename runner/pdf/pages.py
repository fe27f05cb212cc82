"""Pages around the text: title, facts, contents, header and footer, the outline that readers show, metadata."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    LayoutError,
    PageBreak,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.doctemplate import IndexingFlowable
from reportlab.platypus.tableofcontents import TableOfContents

from runner.pdf import Document, Part, Pdf, fonts, styles
from runner.pdf.blocks import blocks
from runner.pdf.code import code
from runner.pdf.inline import plain

LISTED = styles.HEADINGS[: len(styles.TOC)]  # which headings stand in the contents and the outline
FEW = 4  # headings that need no table of contents
MOST_LISTED = 200

_FACTS = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEABOVE", (0, 0), (-1, 0), 0.9, styles.ACCENT),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, styles.LINE),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 4),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
    ]
)

_CONTENTS = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 1),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]
)


def build(document: Document) -> Pdf:
    """A document's pages. What cannot be laid out as Markdown is set as it was written."""
    fonts.load()
    try:
        return _built(document, blocks)
    except (LayoutError, ValueError, IndexError, RecursionError):  # as an unbreakable thing that is larger than a page
        return _built(document, _as_written)


def _as_written(part: Part, left_out: list[str]) -> list[Flowable]:
    left_out.append("the layout of a text that could not be laid out")
    return [code(part.text[:100_000], styles.WIDTH), PageBreak()]


def _built(document: Document, laid_out: Callable[[Part, list[str]], Any]) -> Pdf:
    left_out: list[str] = []
    body: list[Flowable] = []
    for part in document.parts:
        body += laid_out(part, left_out)
    out = BytesIO()
    template = _Template(out, document)
    template.multiBuild([*_front(document, body), *body, template.count])
    return Pdf(out.getvalue(), template.count.pages, tuple(left_out))


def _front(document: Document, body: list[Flowable]) -> list[Flowable]:
    """Title, facts, and the contents where there are enough headings for them."""
    front: list[Flowable] = [Paragraph(plain(document.kicker), styles.KICKER)] if document.kicker else []
    front.append(Paragraph(plain(document.title[:300]), styles.TITLE))
    if document.facts:
        rows = [
            [Paragraph(plain(name), styles.LABEL), Paragraph(plain(value[:1000]), styles.CELL)]
            for name, value in document.facts
        ]
        front.append(Table(rows, [0.22 * styles.WIDTH, 0.78 * styles.WIDTH], style=_FACTS, splitInRow=1))
    listed = [one for one in body if isinstance(one, Paragraph) and one.style in LISTED]
    if document.contents and len(listed) >= FEW:
        contents = TableOfContents(levelStyles=list(styles.TOC), tableStyle=_CONTENTS, dotsMinLevel=-1)
        return [*front, Paragraph("Contents", styles.CONTENTS), contents, Spacer(1, 14), CondPageBreak(styles.ROOM)]
    return [*front, Spacer(1, 14)]


class _Count(IndexingFlowable):
    """How many pages there are: known at the end of one pass, printed in the next."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = 0
        self.before = -1

    def beforeBuild(self) -> None:
        self.before = self.pages

    def isSatisfied(self) -> bool:
        return self.pages == self.before

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        return 0, 0

    def draw(self) -> None:
        self.pages = self.canv.getPageNumber()


class _Template(BaseDocTemplate):
    """The pages, which note where each heading came to stand."""

    def __init__(self, out: BytesIO, document: Document) -> None:
        self.document = document
        self.count = _Count()
        self.headings = 0
        self.above: list[int] = []
        super().__init__(
            out,
            pagesize=styles.PAGE,
            title=_line(document.title),
            author=_line(document.author),
            subject=_line(document.subject),
            keywords=[_line(word) for word in document.keywords],
            creator="Pullwright",
            lang="en",
            displayDocTitle=True,
        )
        frame = Frame(
            styles.SIDE, styles.BOTTOM, styles.WIDTH, styles.HEIGHT, leftPadding=0, rightPadding=0, topPadding=0
        )
        self.addPageTemplates(PageTemplate("page", [frame], onPage=self._around))

    def beforeDocument(self) -> None:
        self.headings, self.above = 0, []

    def afterFlowable(self, flowable: Flowable) -> None:
        """A heading was set: it becomes a place that contents and outline lead to."""
        if not isinstance(flowable, Paragraph) or flowable.style not in LISTED:
            return
        level = LISTED.index(flowable.style)
        text = flowable.getPlainText()
        key = f"h{self.headings}"
        self.headings += 1
        top = self.frame._y + flowable.height + 6  # type: ignore[attr-defined] # reportlab has no other way to ask
        self.canv.bookmarkPage(key, fit="XYZ", left=0, top=top)
        self.above = [higher for higher in self.above if higher < level]
        self.canv.addOutlineEntry(text, key, len(self.above), closed=level > 0)  # it cannot skip a level
        self.above.append(level)
        if self.headings <= MOST_LISTED:
            self.notify("TOCEntry", (level, plain(text), self.page, key))

    def _around(self, canvas: Canvas, template: BaseDocTemplate) -> None:
        """Header and footer; the first page has its title already."""
        canvas.saveState()
        canvas.setFillColor(styles.QUIET)
        canvas.setStrokeColor(styles.LINE)
        canvas.setLineWidth(0.4)
        right = styles.PAGE[0] - styles.SIDE
        if template.page > 1:
            high = styles.PAGE[1] - styles.TOP + 22
            _small(canvas, self.document.title, styles.SIDE, high)
            canvas.line(styles.SIDE, high - 6, right, high - 6)
        _small(canvas, self.document.kicker or self.document.author, styles.SIDE, styles.BOTTOM - 24)
        pages = f"{template.page} / {self.count.pages}" if self.count.pages else str(template.page)
        canvas.setFont(fonts.TEXT, 7.6)
        canvas.drawRightString(right, styles.BOTTOM - 24, pages)
        canvas.restoreState()


def _small(canvas: Canvas, text: str, x: float, y: float) -> None:
    """One line of small text, cut where it would be too long, each character in a font that has it."""
    line = text if len(text) <= 100 else text[:99] + "…"
    writer = canvas.beginText(x, y)
    for name, piece in fonts.runs(_line(line), fonts.TEXT):
        writer.setFont(name, 7.6)
        writer.textOut(piece)
    canvas.drawText(writer)


def _line(text: str) -> str:
    """Plain text of one line, as metadata has it."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
