"""Text within a paragraph: Markdown's inline nodes → reportlab's own small markup, with all text escaped.

That markup would load images and files from anywhere (reportlab user guide, 6.2 and 6.3). So no tag or attribute in it
is ever taken from the text, but for addresses of links, which are quoted and begin with a scheme that is listed here.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from markdown_it.tree import SyntaxTreeNode

from runner.pdf.fonts import CODE, TEXT, runs

SCHEMES = ("http", "https", "mailto")
LINK = "#2b6cb0"
_CODE_SHADE = "#eef2f7"
_TAGS = {"em": "i", "strong": "b", "s": "strike"}


def plain(text: str, font: str = TEXT) -> str:
    """Any text as markup that says just that, each character in a font that has it."""
    return "".join(
        escape(piece) if name == font else f'<font name="{name}">{escape(piece)}</font>'
        for name, piece in runs(text, font)
    )


def markup(node: SyntaxTreeNode) -> str:
    """An inline node and all in it as markup; images are left out."""
    match node.type:
        case "inline":
            return _inside(node)
        case "text":
            return plain(node.content)
        case "code_inline":
            inside = plain(node.content, CODE)
            return f'<font name="{CODE}" size="-1" backColor="{_CODE_SHADE}">{inside}</font>'
        case "softbreak":
            return " "
        case "hardbreak":
            return "<br/>"
        case "link":
            return _link(node)
        case "image":
            return ""
        case kind:
            tag = _TAGS.get(kind)
            return f"<{tag}>{_inside(node)}</{tag}>" if tag else _inside(node)


def _inside(node: SyntaxTreeNode) -> str:
    return "".join(markup(child) for child in node.children)


def _link(node: SyntaxTreeNode) -> str:
    """A link that leads to the web or to a mail address; any other is its text alone."""
    inside = _inside(node)
    address = str(node.attrs.get("href", ""))
    if not inside or not _leads_out(address):
        return inside
    return f'<a href={quoteattr(address)} color="{LINK}">{inside}</a>'


def _leads_out(address: str) -> bool:
    try:
        return urlsplit(address).scheme in SCHEMES and len(address) <= 2000 and address.isprintable()
    except ValueError:
        return False


def words(node: SyntaxTreeNode) -> str:
    """An inline node as plain text, for outlines and for measuring."""
    if node.type in ("text", "code_inline"):
        return node.content
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return "".join(words(child) for child in node.children)


def images(node: SyntaxTreeNode) -> Iterator[SyntaxTreeNode]:
    """The images in an inline node, at any depth."""
    if node.type == "image":
        yield node
        return
    for child in node.children:
        yield from images(child)
