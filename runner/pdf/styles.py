"""How a document looks: sizes in points, colours, one style for each kind of paragraph."""

from typing import Any

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm

from runner.pdf.fonts import CODE, TEXT

PAGE = A4
SIDE, TOP, BOTTOM = 24 * mm, 24 * mm, 22 * mm
WIDTH = PAGE[0] - 2 * SIDE
HEIGHT = PAGE[1] - TOP - BOTTOM
INDENT = 14.0
"""How far a list or a quotation is moved to the right."""

INK = HexColor("#1f2933")
STRONG = HexColor("#102a43")
QUIET = HexColor("#627d98")
ACCENT = HexColor("#2b6cb0")
LINE = HexColor("#d9e2ec")
SHADE = HexColor("#f5f7fa")

CODE_SIZE = 7.8
CODE_WIDTH = 1200 / 2048 * CODE_SIZE
"""The width of one character of code: all of Cascadia Mono advance by 1,200 of 2,048 units."""
CODE_PADDING = 6.0


def _style(name: str, parent: ParagraphStyle | None = None, **more: Any) -> ParagraphStyle:
    return ParagraphStyle(name, parent, **more)


BODY = _style(
    "body", fontName=TEXT, fontSize=9.6, leading=14.2, textColor=INK, spaceBefore=6.5, spaceAfter=6.5, splitLongWords=1
)
IN_ITEM = _style("in-item", BODY, spaceBefore=0, spaceAfter=3)
ITEM = _style("item", IN_ITEM, leftIndent=INDENT, bulletIndent=1, bulletFontName=TEXT, bulletFontSize=9.6)
QUOTE = _style("quote", BODY, textColor=QUIET)
CAPTION = _style("caption", BODY, fontSize=8.4, leading=11.5, textColor=QUIET, spaceBefore=3, spaceAfter=10)
CELL = _style("cell", BODY, fontSize=8.4, leading=11.6, spaceBefore=0, spaceAfter=0)
CELL_CENTRE = _style("cell-centre", CELL, alignment=TA_CENTER)
CELL_RIGHT = _style("cell-right", CELL, alignment=TA_RIGHT)
PRE = _style(
    "pre",
    fontName=CODE,
    fontSize=CODE_SIZE,
    leading=11.2,
    textColor=INK,
    backColor=SHADE,
    borderPadding=CODE_PADDING,
    leftIndent=CODE_PADDING,
    rightIndent=CODE_PADDING,
    spaceBefore=CODE_PADDING + 3,
    spaceAfter=CODE_PADDING + 9,
)
KICKER = _style("kicker", fontName=TEXT, fontSize=8.6, leading=12, textColor=ACCENT, spaceAfter=4)
TITLE = _style("title", fontName=f"{TEXT}-Bold", fontSize=22, leading=28, textColor=STRONG, spaceAfter=14)
LABEL = _style("label", CELL, textColor=QUIET)
CONTENTS = _style(
    "contents", fontName=f"{TEXT}-Bold", fontSize=11, leading=16, textColor=STRONG, spaceBefore=18, spaceAfter=4
)


def _heading(level: int, size: float, before: float, after: float, colour: Color = STRONG) -> ParagraphStyle:
    return _style(
        f"heading{level}",
        fontName=f"{TEXT}-Bold",
        fontSize=size,
        leading=size * 1.3,
        textColor=colour,
        spaceBefore=before,
        spaceAfter=after,
    )


HEADINGS = (
    _heading(1, 15.5, 22, 7),
    _heading(2, 12, 15, 5),
    _heading(3, 10.4, 11, 4),
    _heading(4, 9.6, 9, 3, INK),
)
"""By level; what is deeper looks as the last."""

ROOM = 150
"""Points below the contents in which it is worth to begin; with less the text begins on the next page."""
TOC = (
    _style("toc1", BODY, spaceBefore=0, spaceAfter=0, textColor=STRONG),
    _style("toc2", BODY, fontSize=8.8, leading=12.6, leftIndent=INDENT, spaceBefore=0, spaceAfter=0, textColor=QUIET),
)
"""By level of the headings that are listed."""
