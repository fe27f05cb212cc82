"""What nobody sees of a text on GitHub's pages, taken out of it: an agent gets what a person could read. Pure.

Whoever pastes a text may bring words along that they never saw. Each rule below is a way to hide some, by CommonMark
(https://spec.commonmark.org/0.31.2/), by GitHub's extensions of it (https://github.github.com/gfm/) or by Unicode. It
is better to lose something that was seen than to keep what was not: what is cut and how is `unseen`'s to say.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from runner.forge import hidden_links as links
from runner.forge.shown_code import OURS, put_back, set_aside

ROUNDS = 8
"""How often what is left is looked through again; who nests deeper loses every character that nests."""


class Seen(NamedTuple):
    """A text as people see it; `lost` says what kinds of things were taken out, in a few words each."""

    text: str
    lost: tuple[str, ...] = ()


def told(text: str, lost: tuple[str, ...]) -> str:
    """A text that was made clean, with a sentence that says of what."""
    return f"{text}\n\n(left out, for nobody sees it on the page: {', '.join(lost)})" if lost else text


_MAIL = re.compile(
    r"^(?:On .{6,200}\bwrote:[ \t]*\n\s*>|-{2,} ?Original Message ?-{2,}[ \t]*$|_{10,}[ \t]*\n+From: ).*\Z",
    re.MULTILINE | re.DOTALL,
)


def own_words(text: str) -> Seen:
    """What a comment's author wrote and people see. Below an answer by mail stands what it answers, which somebody else
    wrote, and GitHub folds it away."""
    text = text.replace("\r\n", "\n")
    rest = _MAIL.sub("", text)
    found = seen(rest)
    return found._replace(lost=(*found.lost, "the mail that it answers")) if rest != text else found


def visible(text: str) -> str:
    """What a person sees of a text."""
    return seen(text).text


def seen(text: str) -> Seen:
    """What a person sees of a text, and what of it they do not."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    hiding = any(shapeless(char) and char not in PICTURES for char in text)
    lost = ["characters without a shape"] * hiding
    text, code = set_aside(text.replace(OURS, ""), hiding=hiding)
    before, rounds = None, 0
    while text != before:  # what is left when a part is gone may be another one
        before, rounds = text, rounds + 1
        if rounds > ROUNDS:
            text = re.sub(r"[<>&\[\]()|`~$!]", "", text)
        for name, cut in RULES:
            after = cut(text)
            lost += [name] * (after != text and bool(name))
            text = after
    shown = unicodedata.normalize("NFC", put_back(text, code, _shapes)).strip()
    return Seen(shown, tuple(dict.fromkeys(lost)))


# --- characters ----------------------------------------------------------------------------------------------------

PICTURES = "\ufe0e\ufe0f\u200d"
"""What emoji are made of beside their pictures. It is cut as well, which is nothing that a person has to hear of."""


def shapeless(char: str) -> bool:
    """No shape: format and private characters, unassigned ones, controls, selectors, and letters that look empty (the
    default-ignorable ones, https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point)."""
    if char in "\n\t":
        return False
    if unicodedata.category(char) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"):
        return True
    return (
        char in "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\u2800"
        or "\ufe00" <= char <= "\ufe0f"
        or "\U000e0100" <= char <= "\U000e01ef"
    )


def _shapes(text: str) -> str:
    """Without what has no shape; every kind of space is one."""
    kept = (char for char in text if char == OURS or not shapeless(char))
    return "".join(" " if unicodedata.category(char) == "Zs" else char for char in kept)


_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,32});")


def _entities(text: str) -> str:
    return _ENTITY.sub(lambda match: "" if all(map(shapeless, html.unescape(match[0]))) else match[0], text)


# --- HTML ----------------------------------------------------------------------------------------------------------

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)|<![A-Za-z].*?(?:>|\Z)", re.DOTALL)
_BOGUS = re.compile(r"<(?:/(?![A-Za-z])|!(?!--|\[CDATA|[A-Za-z]))[^>]*(?:>|\Z)")
_NAME = r"<(/?[A-Za-z][A-Za-z0-9-]*)"
_VALUES = r"""(?:=\s*"[^"]*"|=\s*'[^']*'|=(?!\s*["'])|[^<>=])*+"""
_TAG = re.compile(rf"{_NAME}(?=[\s/>\"'=]){_VALUES}(?:>|=\s*(?:\"[^\"]*|'[^']*)\Z)")
_OPEN = re.compile(rf"^([ \t>*+.)0-9-]*){_NAME}(?=[\s/])(?!\s*/?>)[^>]*?(?:>|\n[ \t]*(?=\n)|\Z)", re.MULTILINE)
_RUBY = re.compile(r"<rp>(?!\Z|</rp>).*?(?=</rp>|</?ruby>|<rt>|\Z)", re.DOTALL)
SHOWN = re.compile(
    "a|b|blockquote|br|code|dd|del|details|div|dl|dt|em|h[1-6]|hr|i|img|ins|kbd|li|ol|p|picture|pre|q|r[pt]|ruby|s|samp|"
    "section|source|span|strike|strong|su[bp]|summary|table|tbody|t[dhrt]|tfoot|thead|u|ul|var"
)
"""Tags of which something is seen; of any other GitHub shows nothing, not even its name."""


def _bogus(text: str) -> str:
    """To a browser that reads HTML `</` or `<!` and what is no letter begins a comment."""
    return _BOGUS.sub("", text) if re.search(r"<[A-Za-z]", text) else text


def _tags(text: str) -> str:
    text = _TAG.sub(lambda match: _bare(match[1]), text)
    return _RUBY.sub("<rp>", _OPEN.sub(lambda match: match[1] + _bare(match[2]), text))


def _bare(name: str) -> str:
    return f"<{name}>" if SHOWN.fullmatch(name.strip("/").lower()) else ""


# --- blocks --------------------------------------------------------------------------------------------------------

_FENCE = re.compile(r"^([ \t>*+.)0-9-]*(?:`{3,}+|~{3,}+))([^`\n]+)$", re.MULTILINE)
_WORD = re.compile(r"[ \t]*([A-Za-z0-9_+#.-]{1,20})?(?=\s|\Z)")
_MAP = re.compile(r"^([ \t>]*)(`{3,}|~{3,})[ \t]*(?:geojson|topojson|stl)\b.*?(?:^[ \t>]*\2|\Z)", re.M | re.S | re.I)
_REMARK = re.compile(r"^[ \t>]*(?:%%|acc(?:Title|Descr)\b|click\b).*$", re.MULTILINE)
_DRAWING = re.compile(r"^[ \t>]*(`{3,}|~{3,})[ \t]*mermaid\b.*?(?:^[ \t>]*\1|\Z)", re.M | re.S | re.I)
_FORMULA = re.compile(
    r"\$\$.+?\$\$|\$(?=\S)[^$\n]+(?<=\S)\$|^[ \t>]*```[ \t]*math\b.*?(?:^[ \t>]*```|\Z)", re.MULTILINE | re.DOTALL
)
_UNSEEN = re.compile(
    r"(?<!\\)%|\\(?:[hv]?phantom|smash|(?:text|f)?color(?:box)?|[lrc]lap|label|tag|hidden|class|style)\b"
)
_RULER = re.compile(r"[ \t>*+-]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")


def _fences(text: str) -> str:
    """Of what follows a fence only the language's name is used."""
    return _FENCE.sub(lambda match: match[1] + ((_WORD.match(match[2]) or [""])[0].rstrip()), text)


def _formulas(text: str) -> str:
    return _FORMULA.sub(lambda match: "(a formula)" if _UNSEEN.search(match[0]) else match[0], text)


def _drawings(text: str) -> str:
    return _DRAWING.sub(lambda match: _REMARK.sub("", match[0]), _MAP.sub(r"\1(a map)", text))


def _cells(text: str) -> str:
    """A table's rows have as many cells as its head; the others are not shown."""
    lines, columns = [], 0
    for line in text.split("\n"):
        if "|" in line and _RULER.fullmatch(line):
            columns = len(_split(line))
        elif not line.strip(" \t>"):
            columns = 0
        elif columns and len(cells := _split(line)) > columns:
            line = f"| {' | '.join(cell.strip() for cell in cells[:columns])} |"
        lines.append(line)
    return "\n".join(lines)


def _split(line: str) -> list[str]:
    inner = re.sub(r"\A[ \t>]*\|?|\|?[ \t]*\Z", "", line)
    return re.split(r"(?<!\\)\|", inner)


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("", _shapes),
    ("characters without a shape", _entities),
    ("comments in HTML", lambda text: _bogus(_COMMENT.sub("", text))),
    ("texts of images", links.without_image_texts),
    ("definitions of links", links.without_definitions),
    ("titles of links", links.without_titles),
    ("attributes of tags", _tags),
    ("words beside a language", _fences),
    ("cells beyond a table", _cells),
    ("parts of a formula", _formulas),
    ("remarks in a drawing", _drawings),
)
