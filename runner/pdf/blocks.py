"""Markdown's blocks → what is laid onto pages."""

from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import CondPageBreak, Flowable, HRFlowable, Image, Indenter, PageBreak, Paragraph, Spacer

from runner.errors import ToolError
from runner.pdf import Part, styles
from runner.pdf.code import code
from runner.pdf.images import prepared
from runner.pdf.inline import images, markup, plain, words
from runner.pdf.tables import table

MOST_TEXT = 400_000  # characters of one part
MOST_BLOCKS = 5_000  # paragraphs, items, tables … of one part
MOST_SET = 3_000  # characters of a paragraph that is set with its markup: the time for one grows with their square
MOST_IMAGES = 40  # in one part
MOST_DEPTH = 8  # lists and quotations within each other that are moved to the right
POINTS_A_PIXEL = 0.6
ROOM_BELOW_HEADING = 90.0  # points: a heading with less below it goes to the next page
TALLEST = 0.6 * styles.HEIGHT


class Place(NamedTuple):
    """Where a block stands: in which part, how deep, in which style; `left_out` hears what could not be shown, `asked`
    which images were wanted so far."""

    part: Part
    left_out: list[str]
    asked: list[str]
    style: ParagraphStyle = styles.BODY
    depth: int = 0

    @property
    def width(self) -> float:
        """What is left of the page's width, in points."""
        return styles.WIDTH - self.depth * styles.INDENT


def blocks(part: Part, left_out: list[str]) -> Iterator[Flowable]:
    """All that one part lays onto pages; adds to `left_out` a sentence for each thing that is not shown."""
    if part.new_page:
        yield PageBreak()
    text = part.text
    if len(text) > MOST_TEXT:
        left_out.append(f"text beyond the first {MOST_TEXT:,} characters")
        text = text[:MOST_TEXT] + "\n\n*The rest of this text is left out.*"
    reader = MarkdownIt("commonmark", {"html": False}).disable("html_block").disable("html_inline")
    tree = SyntaxTreeNode(reader.enable(["table", "strikethrough"]).parse(text))
    place = Place(part, left_out, [])
    for number, block in enumerate(_all(tree, place)):
        if number == MOST_BLOCKS:
            left_out.append(f"what comes after the first {MOST_BLOCKS:,} blocks of a text")
            yield Paragraph("The rest of this text is left out.", styles.CAPTION)
            return
        yield block


def _all(node: SyntaxTreeNode, place: Place) -> Iterator[Flowable]:
    for child in node.children:
        yield from _block(child, place)


def _block(node: SyntaxTreeNode, place: Place) -> Iterator[Flowable]:
    match node.type:
        case "heading":
            yield CondPageBreak(ROOM_BELOW_HEADING)
            yield _heading(node, place)
        case "paragraph":
            yield from _paragraph(node, place, place.style)
        case "bullet_list" | "ordered_list":
            yield from _list(node, place)
        case "blockquote":
            yield from _moved(_all(node, place._replace(style=styles.QUOTE, depth=place.depth + 1)), place)
        case "fence" | "code_block":
            yield code(node.content, place.width)
        case "table":
            yield table(node, place.width)
        case "hr":
            yield HRFlowable(width="100%", thickness=0.6, color=styles.LINE, spaceBefore=6, spaceAfter=10)
        case _:
            yield from _all(node, place)


def _moved(inside: Iterator[Flowable], place: Place) -> Iterator[Flowable]:
    """What stands deeper is moved to the right, until there is no room for that."""
    step = styles.INDENT if place.depth < MOST_DEPTH else 0
    yield Indenter(left=step)
    yield from inside
    yield Indenter(left=-step)


def _heading(node: SyntaxTreeNode, place: Place) -> Paragraph:
    level = min(int(node.tag[1]) + place.part.demote, len(styles.HEADINGS))
    inside = node.children[0]
    text = words(inside)
    return Paragraph(markup(inside) if len(text) <= 200 else plain(text[:199] + "…"), styles.HEADINGS[level - 1])


def _paragraph(node: SyntaxTreeNode, place: Place, style: ParagraphStyle, bullet: str | None = None) -> list[Flowable]:
    """The text, then its images below it."""
    inside = node.children[0]
    if len(inside.content) > MOST_SET:
        return _endless(words(inside), style, bullet)
    text = markup(inside)
    found: list[Flowable] = [Paragraph(text, style, bulletText=bullet)] if text.strip() or bullet else []
    for image in images(inside):
        found += _image(image, place)
    return found


def _endless(text: str, style: ParagraphStyle, bullet: str | None) -> list[Flowable]:
    """A paragraph that no person wrote, as plain text in pieces."""
    pieces = [text[at : at + MOST_SET] for at in range(0, len(text), MOST_SET)]
    return [Paragraph(plain(piece), style, bulletText=None if at else bullet) for at, piece in enumerate(pieces)]


def _list(node: SyntaxTreeNode, place: Place) -> Iterator[Flowable]:
    first = int(node.attrs.get("start", 1))
    for number, item in enumerate(node.children, first):
        yield from _item(item, place, f"{number}." if node.type == "ordered_list" else "•")


def _item(node: SyntaxTreeNode, place: Place, bullet: str) -> Iterator[Flowable]:
    """An item's first paragraph has the bullet; where it begins with something else, the bullet stands alone."""
    inner = place._replace(style=styles.IN_ITEM, depth=min(place.depth + 1, MOST_DEPTH))
    rest = list(node.children)
    if rest and rest[0].type == "paragraph":
        yield from _paragraph(rest.pop(0), inner, styles.ITEM, bullet)
    else:
        yield Paragraph("", styles.ITEM, bulletText=bullet)
    yield from _moved((each for child in rest for each in _block(child, inner)), place)


def _image(node: SyntaxTreeNode, place: Place) -> list[Flowable]:
    """An image with its caption, or a line that says why it is not shown."""
    path = str(node.attrs.get("src", ""))
    caption = words(node)[:300]
    place.asked.append(path)
    if len(place.asked) > MOST_IMAGES + 1:
        return []
    try:
        if len(place.asked) > MOST_IMAGES:
            raise ToolError(f"there are more than {MOST_IMAGES} images, and no further one is shown")
        png, width, height = prepared(place.part.images(path))
    except ToolError as why:
        sentence = f"the image {path[:200]}: {why}"
        place.left_out.append(sentence)
        return [Paragraph(plain(f"Not shown, {sentence}"), styles.CAPTION)]
    scale = min(POINTS_A_PIXEL, place.width / width, TALLEST / height)
    shown = Image(BytesIO(png), width * scale, height * scale, hAlign="LEFT")
    below: list[Flowable] = [Paragraph(plain(caption), styles.CAPTION)] if caption else [Spacer(1, 8)]
    return [Spacer(1, 4), shown, Spacer(1, 4), *below]
