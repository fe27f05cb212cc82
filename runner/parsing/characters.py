"""Which characters can stand in text that people, terminals and Git will see."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def unfit(text: str, allowed: str = "") -> str | None:
    """The first character of `text` that steers a terminal, breaks a line or is no character, as `U+001B`; or None.

    `allowed` are such characters that may stand here after all, as "\\n\\t" in text of several lines.
    """
    found = next((match[0] for match in _CONTROL.finditer(text) if match[0] not in allowed), None)
    return None if found is None else f"U+{ord(found):04X}"


def shown(text: str, most: int = 60) -> str:
    """`text` on one line, at most `most` characters long, with nothing in it that could steer a terminal."""
    line = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    return line if len(line) <= most else line[: most - 1] + "…"


_ORDER = re.compile(r"^([\s\ufeff\u200b]*):(?=:)", re.MULTILINE)


def calm(text: str) -> str:
    """`text` for a terminal or the log of a job, which takes neither colours nor orders from it.

    What steers a terminal is shown as an escape. A line that begins with `::` (white space before it is passed over) or
    holds `##[` anywhere would be a workflow command: github.com/actions/runner, ActionCommand.cs.
    """
    seen = _CONTROL.sub(lambda match: match[0] if match[0] in "\n\t" else f"\\u{ord(match[0]):04x}", text)
    return _ORDER.sub(r"\1: ", seen).replace("##[", "## [")


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def whole(text: str) -> str:
    """`text` with U+FFFD for lone surrogates: half characters, which models send and UTF-8 cannot hold."""
    return _SURROGATE.sub("\ufffd", text)
