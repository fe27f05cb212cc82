"""Code in a comment that is certainly shown as it stands: it is set aside while the rest is cleaned. Pure.

Only what is code to every reader of CommonMark, whatever stands around it, is taken for it. All else is cleaned like
prose, which loses an attribute here and there and hides nothing.
"""

import re
from collections.abc import Callable

OURS = "\ue000"
"""Stands on both sides of a number where code was; a text that holds it has something to hide."""

_OPENS = re.compile(r"(`{3,}|~{3,})[ \t]*[A-Za-z0-9_+#.-]{0,20}[ \t]*")
_FENCELIKE = re.compile(r"[ \t>*+.)0-9-]*(?:```|~~~)")
_DRAWN = re.compile(r"(?<![`~])(?:`{3,}+|~{3,}+)[ \t]*(?:mermaid|math|geojson|topojson|stl)\b", re.IGNORECASE)
_WHOLE = re.compile(r"</?(?:b|br|code|details|em|hr|i|img|kbd|p|strong|sub|summary|sup)(?: [^<>\"'`]*)?>")
_RAW = re.compile(r"<[A-Za-z!?/]|\$\$")
"""What may go on over blank lines, and hide what follows."""
_SPAN = re.compile(r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)")
_STEERING = re.compile(r"[<\[\]\\$|`~]")


def set_aside(text: str, *, hiding: bool) -> tuple[str, list[str]]:
    """The text with a number in place of each piece of code, and the pieces. `hiding`: nothing of it is believed."""
    code: list[str] = []
    if hiding or _DRAWN.search(text):
        return text, code
    made: list[str] = []
    paragraph: list[str] = []
    lines, at, raw, tagged = text.split("\n"), 0, False, False
    while at < len(lines):
        end = at + 1 if raw or tagged else _fence_end(lines, at)
        fenced = end > at + 1
        raw = raw or (not fenced and _FENCELIKE.match(lines[at]) is not None)  # where it ends is not certain
        if not fenced:
            paragraph.append(lines[at])
            tagged = tagged or "<" in lines[at]
        if fenced or not lines[at].strip(" \t") or end == len(lines):
            raw = _spans(paragraph, made, code, raw)
            paragraph, tagged = [], False
        if fenced:
            made.append(_kept("\n".join(lines[at:end]), code))
        at = end
    return "\n".join(made), code


def put_back(text: str, code: list[str], clean: Callable[[str], str]) -> str:
    """The text with the code in its places, each piece made clean."""
    return re.sub(rf"{OURS}(\d+){OURS}", lambda match: clean(code[int(match[1])]), text)


def _kept(piece: str, code: list[str]) -> str:
    code.append(piece)
    return f"{OURS}{len(code) - 1}{OURS}"


def _fence_end(lines: list[str], at: int) -> int:
    """Behind the fenced code that begins here, at the very left: so it is in no list or quotation. Behind this line
    where none begins, or it never ends."""
    opens = _OPENS.fullmatch(lines[at])
    if opens is None:
        return at + 1
    mark = opens[1]
    closes = re.compile(rf" {{0,3}}{mark[0]}{{{len(mark)},}}[ \t]*")
    return next((each + 1 for each in range(at + 1, len(lines)) if closes.fullmatch(lines[each])), at + 1)


def _spans(paragraph: list[str], made: list[str], code: list[str], raw: bool) -> bool:
    """Add a paragraph's lines to `made`, code between backticks set aside unless anything else in it steers how it is
    read. Returns whether what follows cannot be believed any more."""
    rest = [_SPAN.sub("", line) for line in paragraph]
    starts = ((line, match.start()) for line in paragraph for match in _SPAN.finditer(line))
    apart = all(start == 0 or line[start - 1] in " \t(" for line, start in starts)
    if raw or not apart or any(_STEERING.search(line) for line in rest):
        made.extend(paragraph)
        return raw or any(_RAW.search(_WHOLE.sub("", line)) for line in paragraph)
    made.extend(_SPAN.sub(lambda match: _kept(match[0], code), line) for line in paragraph)
    return False
