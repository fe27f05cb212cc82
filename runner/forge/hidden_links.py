"""What links and images say without its being seen: titles, the texts of images, definitions. Pure."""

import re

DEEPEST = 32
"""Parentheses in a link's place that GitHub's reader counts: https://github.com/github/cmark-gfm, `src/inlines.c`."""
_LABEL = r"\[(?P<label>(?:[^\[\]\\]|\\.){1,999})\]:"
_TITLE = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\((?:[^()\\]|\\.)*\)"""
_DEFINITION = re.compile(
    rf"^[ \t>*+.)0-9-]*{_LABEL}[ \t]*(?:\n[ \t>]*)?(?:<[^<>\n]*>|[^\s<]\S*)"
    rf"(?:(?:[ \t]+|[ \t]*\n[ \t>]*)(?:{_TITLE}))?[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_FOOTNOTE = re.compile(
    r"^[ \t>*+.)0-9-]*\[\^[^\]\s]+\]:[^\n]*(?:\n(?![ \t>]*(?:\n|\Z))[^\n]*)*(?:\n+(?: {2,}|\t)[^\n]*)*", re.MULTILINE
)
"""A footnote that nothing refers to is not shown."""


def without_definitions(text: str) -> str:
    """Without definitions of links and footnotes, and without their names where links use them."""
    names: set[str] = set()

    def cut(match: "re.Match[str]") -> str:
        names.add(_name(match["label"]))
        return ""

    text = _DEFINITION.sub(cut, _FOOTNOTE.sub("", text))
    if not names:
        return text
    return re.sub(r"\]\[([^\[\]]*)\]", lambda match: "]" if _name(match[1]) in names else match[0], text)


def _name(label: str) -> str:
    return " ".join(label.split()).casefold()


def without_image_texts(text: str) -> str:
    """`![any text](place)` → `![](place)`."""
    made, at, pairs = [], 0, _pairs(text)
    while (start := text.find("![", at)) >= 0:
        made.append(text[at : start + 2])
        at = pairs.get(start + 1, start + 2)
    return "".join(made) + text[at:]


def _pairs(text: str) -> dict[int, int]:
    """Where the brackets that open are closed."""
    found: dict[int, int] = {}
    opened: list[int] = []
    for each in re.finditer(r"\\.|[\[\]]", text, re.DOTALL):
        if each[0] == "[":
            opened.append(each.start())
        elif each[0] == "]" and opened:
            found[opened.pop()] = each.start()
    return found


def without_titles(text: str) -> str:
    """`[words](place "any text")` → `[words](place)`; a link without words leads nowhere, for nobody can follow it."""
    made, at = [], 0
    while (start := text.find("](", at)) >= 0:
        found = _tail(text, start + 2)
        made.append(text[at : start + 2])
        at = start + 2
        if found is not None:
            place, at = found
            words = text[max(0, start - 80) : start].rstrip()
            made.append("" if words.endswith("[") and not words.endswith("![") else place)
    return "".join(made) + text[at:]


_WHITE = re.compile(r"\s*")
_QUOTED = re.compile(_TITLE, re.DOTALL)


def _tail(text: str, at: int) -> tuple[str, int] | None:
    """What stands in a link's parentheses from `at` on: its place, and where they close. None where it is no link."""
    found = _place(text, _skip(text, at))
    if found is None:
        return None
    place, at = found
    after = _skip(text, at)
    if after > at and (title := _QUOTED.match(text, after)):
        after = _skip(text, title.end())
    return (place, after) if after < len(text) and text[after] == ")" else None


_ANGLES = re.compile(r"<([^<>\n]*)>")


def _place(text: str, at: int) -> tuple[str, int] | None:
    """Where a link leads, as one word, though between angles anything may stand. None: parentheses nest too deep."""
    if angles := _ANGLES.match(text, at):
        return (angles[1].split() or [""])[0], angles.end()
    start, depth = at, 0
    while at < len(text) and not text[at].isspace():
        if text[at] == "\\":
            at += 1
        elif text[at] == "(":
            depth += 1
        elif text[at] == ")":
            depth -= 1
        if depth < 0:
            break
        if depth > DEEPEST:
            return None
        at += 1
    return text[start:at], at


def _skip(text: str, at: int) -> int:
    found = _WHITE.match(text, at)
    return found.end() if found else at
