"""A page's HTML → its text as Markdown: headings, lists, links, tables, code. The part that runs inside the sandbox.

It is handed to the sandbox's own `python3 -I -S -c` with the folder that holds lxml: a line of JSON (charset, address)
and the page on stdin, title and text as JSON on stdout.

It is text for a model, not a copy of the page: scripts, styles, forms, navigation and what is hidden are dropped, the
hidden above all because instructions to a model are hidden there.
"""

import json
import re
import sys
from typing import Any, NamedTuple
from urllib.parse import urljoin

_DROPPED = {
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "embed", "canvas", "form", "button",
    "select", "input", "textarea", "nav", "aside", "footer", "dialog", "head", "audio", "video",
}  # fmt: skip
_BLOCKS = {
    "p", "div", "section", "article", "main", "header", "ul", "ol", "table", "tr", "blockquote", "figure", "dl", "dt",
    "dd", "figcaption", "address", "details", "summary", "hr", "body", "tbody", "thead",
}  # fmt: skip
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])|opacity\s*:\s*0(?![.\d])")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")


class Readable(NamedTuple):
    """A page's title and text."""

    title: str
    text: str


def markdown(html: bytes, charset: str, address: str) -> Readable:
    """What a person would read of a page; `address` makes its links whole. Any bytes give some text."""
    from lxml import etree  # type: ignore[import-untyped]
    from lxml import html as parsing

    try:
        parser = parsing.HTMLParser(encoding=charset or None, remove_comments=True, remove_pis=True)
        tree = parsing.document_fromstring(html, parser=parser)
    except (etree.LxmlError, ValueError, LookupError):
        return Readable("", "") if charset == "utf-8" else markdown(html, "utf-8", address)
    title = " ".join((tree.findtext(".//title") or "").split())
    start = next(iter(tree.xpath("//main | //article | //*[@role='main']")), tree)
    whole = _text(start, address)
    return Readable(_visible(title), whole if len(whole) > 200 or start is tree else _text(tree, address))


def _text(start: Any, address: str) -> str:
    lines = _Writer(address).write(start)
    return _visible(re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", lines)).strip())


def _visible(text: str) -> str:
    """Without characters that are read by a model and seen by nobody."""
    return _INVISIBLE.sub("", text)


class _Writer:
    """Walks a tree; lxml itself bounds how deep one is (256)."""

    def __init__(self, address: str) -> None:
        self._address = address

    def write(self, node: Any) -> str:
        tag = node.tag if isinstance(node.tag, str) else ""
        if not tag or tag in _DROPPED or _is_hidden(node):
            return ""
        if tag == "pre":
            return f"\n\n```\n{node.text_content().strip()}\n```\n\n"
        return self._shaped(node, tag, self._inner(node))

    def _inner(self, node: Any) -> str:
        parts = [_flat(node.text)]
        for child in node:
            parts += [self.write(child), _flat(child.tail)]
        return "".join(parts)

    def _shaped(self, node: Any, tag: str, inner: str) -> str:
        words = inner.strip()
        if tag == "br":
            return "\n"
        if not words:
            return " " if inner and tag not in _BLOCKS else ""
        if re.fullmatch(r"h[1-6]", tag):
            return f"\n\n{'#' * int(tag[1])} {' '.join(words.split())}\n\n"
        if tag == "li":
            return f"\n- {words}"
        if tag in ("td", "th"):
            return f"| {' '.join(words.split())} "
        if tag == "tr":
            return f"\n{words} |"
        if tag == "a":
            return self._link(node, " ".join(words.split()))
        if tag in ("b", "strong"):
            return f"**{words}**"
        if tag in ("code", "kbd", "samp"):
            return f"`{words}`"
        return f"\n\n{words}\n\n" if tag in _BLOCKS else inner

    def _link(self, node: Any, words: str) -> str:
        href = (node.get("href") or "").strip()
        if not href or href.startswith(("#", "javascript:", "data:", "mailto:")):
            return words
        try:
            return f"[{words}]({urljoin(self._address, href)})"
        except ValueError:
            return words


def _is_hidden(node: Any) -> bool:
    style = (node.get("style") or "").lower()
    return node.get("hidden") is not None or node.get("aria-hidden") == "true" or bool(_HIDDEN.search(style))


def _flat(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


def main(folder: str, most: str) -> None:
    """Say the title and at most so many characters of the text."""
    sys.path.insert(0, folder)
    charset, address = json.loads(sys.stdin.buffer.readline())
    title, text = markdown(sys.stdin.buffer.read(), charset, address)
    json.dump([title[:1000], text[: int(most)]], sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
