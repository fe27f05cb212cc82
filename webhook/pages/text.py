"""What others wrote → HTML that shows it and runs nothing. Pure.

Agents, issues and people write Markdown; none of it is trusted. HTML in it is text, links lead to the web or to a mail
address, pictures are links (a page loads nothing from elsewhere), and what steers a terminal is shown as an escape.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

LONGEST = 60_000
"""Characters of a text that are shown; some Markdown takes time that grows with the square of its length."""
WIDEST = 4_000  # characters of a line
_LINK = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
# What steers a terminal, breaks lines out of turn, turns the direction of what stands around it (UAX #9), or has no
# shape: people approve what they see, and agents read all of it. Joiners (U+200C, U+200D) and U+FE0F make emoji.
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_CUT = "… (cut here: the rest is in Git)"


def seen(value: object) -> object:
    """A template's value as it may stand on a page: every character of a text is seen."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _HIDDEN.sub(_escaped, value.replace("\r\n", "\n"))
    return value


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"


def fitted(text: str) -> str:
    """A text that is short enough to be shown, in lines that are."""
    kept = text if len(text) <= LONGEST else f"{text[:LONGEST]}\n\n{_CUT}"
    if max(map(len, kept.splitlines()), default=0) <= WIDEST:
        return kept
    return "\n".join(line if len(line) <= WIDEST else f"{line[:WIDEST]} {_CUT}" for line in kept.split("\n"))


@lru_cache(maxsize=256)
def markdown(text: str) -> Markup:
    """Markdown as HTML. Headings begin at the third level, below those of the page."""
    html: str = _parser().render(str(seen(fitted(text))))
    return Markup(html)  # made by the parser alone, which escapes all text


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = lambda url: bool(_LINK.match(url))  # type: ignore[method-assign]
    parser.core.ruler.push("lowered", _lowered)
    parser.core.ruler.push("aligned", _aligned)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    parser.add_render_rule("link_open", _link)
    return parser


def _lowered(state: Any) -> None:
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + 2)}"


def _aligned(state: Any) -> None:
    """How a column is aligned, as a class: a page takes no style from what others wrote. A list has its marks where its
    first words begin."""
    for token in state.tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            token.attrSet("dir", "auto")
        if token.type in ("th_open", "td_open") and (style := token.attrs.pop("style", "")):
            token.attrSet("class", f"at-{style.partition(':')[2]}")


def _link(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return f'<a href="{escape(tokens[at].attrs["href"])}" rel="noopener noreferrer nofollow">'


def _image(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """A picture elsewhere is named, not loaded: whoever reads would tell its server so."""
    source, name = str(tokens[at].attrs["src"]), tokens[at].content or "picture"
    return f'<a href="{escape(source)}" rel="noopener noreferrer nofollow">{escape(name)}</a>'
