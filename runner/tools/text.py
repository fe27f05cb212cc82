"""Text that came out of a command, made fit for a model and for a terminal. Pure."""

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, clear
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC, DCS, SOS, PM, APC up to BEL or ST: titles, clipboard
    r"|[ -/]*[0-~])"  # two-character sequences
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
HEAD = 0.4
"""The share of the room that the beginning gets: errors are at the end (docs/models.md §4.5)."""


def plain(text: str) -> str:
    """Text without terminal escapes; a line that was drawn over itself shows its last state; the rest is made visible.

    Direction overrides are shown as escapes too: they make a line read otherwise than it runs.
    """
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _UNSEEN.sub(lambda match: _visible(ord(match[0])), text)


def _visible(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def storable(text: str) -> str:
    """Text that UTF-8 can carry: lone surrogates, which JSON can smuggle in, are replaced."""
    return text.encode("utf-8", "replace").decode()


def elide(text: str, room: int, remedy: str) -> str:
    """At most about `room` characters: the beginning and the end, the middle counted, and what to do about it."""
    if len(text) <= room:
        return text
    mark = f"\n… {{}} characters left out; {remedy} …\n"
    room = max(room - len(mark) - 8, 200)
    head, tail = text[: int(room * HEAD)], text[len(text) - (room - int(room * HEAD)) :]
    # Whole lines, unless a line is so long that most of the room would go with it.
    head = head[: head.rfind("\n")] if head.rfind("\n") > len(head) // 2 else head
    tail = tail[tail.find("\n") + 1 :] if 0 <= tail.find("\n") < len(tail) // 2 else tail
    return head + mark.format(len(text) - len(head) - len(tail)) + tail
