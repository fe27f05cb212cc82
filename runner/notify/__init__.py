"""Mail to people: what happened to a task, and what agents were asked to send. Each letter leaves once or is kept."""

import re
from typing import Literal

import msgspec

Event = Literal["finished", "needs-review", "needs-input", "held", "failed"]

MOST_EACH = 5 << 20
"""Bytes of one attachment; what is larger is named instead."""
MOST_TOGETHER = 10 << 20
MOST_FILES = 10


class Attachment(msgspec.Struct, frozen=True):
    """A file that goes with a letter."""

    name: str
    data: bytes


class Letter(msgspec.Struct, frozen=True):
    """One mail. `id` names what it tells of: whatever asks for it again asks for the same letter.

    `id` is made of letters, digits, dots and dashes. `html` may be empty.
    """

    id: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    tries: int = 0
    not_before: float = 0.0


class Delivery(msgspec.Struct, frozen=True):
    """What became of a letter that was given to the server.

    `later`: it has certainly not been taken and may be offered again. `unsure`: the connection broke when it may have
    been taken already. `refused`: the server will never take it.
    """

    outcome: Literal["sent", "later", "refused", "unsure"]
    reason: str = ""


class Server(msgspec.Struct, frozen=True):
    """Where mail goes out. `ca` is a file of certificates to believe in; empty: the system's."""

    host: str
    port: int
    sender: str
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: str = ""
    ca: str = ""


# What steers a terminal, ends a header, cannot be written in UTF-8, or makes a name read otherwise than it runs.
_ODD = re.compile('[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"\\\\]')
LONGEST_NAME = 120


def named(path: str) -> str:
    """The name under which a file goes with a letter, whatever an agent called it. Pure."""
    name = _ODD.sub("_", path)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 41]}…{name[-40:]}"


def bounded(files: tuple[Attachment, ...]) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
    """The attachments that fit, and the names of those that do not. Pure."""
    taken: list[Attachment] = []
    left: list[str] = []
    room = MOST_TOGETHER
    for file in files:
        fits = len(file.data) <= min(MOST_EACH, room) and len(taken) < MOST_FILES
        room -= len(file.data) if fits else 0
        (taken.append(file) if fits else left.append(file.name))
    return tuple(taken), tuple(left)
