"""Tables: as wide as the text, columns by what is in them, rows broken over pages where they must be."""

from itertools import zip_longest

from markdown_it.tree import SyntaxTreeNode
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import Paragraph, Table, TableStyle

from runner.pdf import styles
from runner.pdf.inline import markup, plain, words

MOST_ROWS = 500
MOST_COLUMNS = 12
MOST_IN_CELL = 3000  # characters
_WORD, _LINE = 16, 60  # characters: the longest word that keeps a column wide, and the widest wish of a column
_ROOM = 4  # characters that the padding of a cell takes, and bold letters more

_LOOK = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.9, styles.ACCENT),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, styles.LINE),
        ("TOPPADDING", (0, 0), (-1, -1), 3.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4.5),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
    ]
)


def table(node: SyntaxTreeNode, width: float) -> Table:
    """A Markdown table. The first row is its head and stands again on each page."""
    rows = [row.children[:MOST_COLUMNS] for part in node.children for row in part.children]
    dropped = len(rows) - 1 - MOST_ROWS
    head, body = rows[0], rows[1 : 1 + MOST_ROWS]
    cells = [[_head(cell) for cell in head], *([_cell(cell) for cell in row] for row in body)]
    if dropped > 0:
        cells.append(
            [Paragraph(plain(f"… {dropped:,} rows left out"), styles.CELL)]
            + [Paragraph("", styles.CELL)] * (len(head) - 1)
        )
    texts = [[words(cell) for cell in row] for row in [head, *body]]
    return Table(
        cells,
        column_widths(texts, width),
        repeatRows=1,
        splitInRow=1,
        style=_LOOK,
        hAlign="LEFT",
        spaceBefore=4,
        spaceAfter=12,
    )


def _head(cell: SyntaxTreeNode) -> Paragraph:
    """A cell of the first row, which cannot be broken over pages and so has a small bound."""
    return Paragraph(f"<b>{_bounded(cell, 120)}</b>", _style(cell))


def _cell(cell: SyntaxTreeNode) -> Paragraph:
    return Paragraph(_bounded(cell, MOST_IN_CELL), _style(cell))


def _bounded(cell: SyntaxTreeNode, most: int) -> str:
    """The cell's markup, or the beginning of its text where that is too long."""
    text = words(cell)
    return "".join(map(markup, cell.children)) if len(text) <= most else plain(text[: most - 1] + "…")


def _style(cell: SyntaxTreeNode) -> ParagraphStyle:
    """By the alignment that the line under the head gives."""
    side = str(cell.attrs.get("style", "")).removeprefix("text-align:")
    return {"right": styles.CELL_RIGHT, "center": styles.CELL_CENTRE}.get(side, styles.CELL)


def column_widths(texts: list[list[str]], width: float) -> list[float]:
    """`width` divided among the columns: each gets its longest word, and of the rest what its longest line asks for.

    Pure; the bounds on both keep one long cell from taking all.
    """
    columns = list(zip_longest(*texts, fillvalue=""))
    least = [max(min(_WORD, max(map(len, text.split()), default=1)) for text in column) + _ROOM for column in columns]
    wish = [max(min(_LINE, max(map(len, column))) + _ROOM, low) for column, low in zip(columns, least, strict=True)]
    room = width / (styles.CELL.fontSize * 0.55)  # in characters of a usual width
    spare = max(0.0, room - sum(least))
    asked = sum(wish) - sum(least)
    shares = [low + (spare * (high - low) / asked if asked else 0) for low, high in zip(least, wish, strict=True)]
    return [width * share / sum(shares) for share in shares]
