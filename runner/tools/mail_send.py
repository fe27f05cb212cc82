"""`mail_send`: a letter to the people whom agents.yaml names."""

import base64
import posixpath
from typing import Annotated

from msgspec import Meta

from runner.errors import ToolError
from runner.notify import MOST_EACH, MOST_FILES, Attachment, bounded, named
from runner.tools.files import absolute, ask_inside
from runner.tools.text import plain
from runner.tools.work import Body, Observation, Work

OUTPUT = "/workspace/output/"


def mail_send(
    work: Work,
    subject: Annotated[str, Meta(min_length=1, max_length=150)],
    text: Annotated[str, Body],
    attach: Annotated[str, Meta(max_length=1000)] = "",
) -> Observation:
    """Send a mail to the people of this project, with files of output/ attached.

    subject: what it is about, such as The report is ready
    text: the letter, as plain text
    attach: paths in output/ with spaces between them, such as output/report.pdf
    """
    if work.reach.mail is None:
        raise ToolError("Mail is not allowed for this agent.")
    words = attach.split()
    if len(words) > MOST_FILES:
        raise ToolError(f"At most {MOST_FILES} files go with a letter.")
    files, left = bounded(tuple(_file(work, word) for word in words))
    if left:
        raise ToolError(f"Too large to be attached: {', '.join(left)}")
    said = work.reach.mail(" ".join(plain(subject).split()), plain(text), files)
    work.journal.note(f"mail_send: {' '.join(plain(subject).split())}")
    return Observation(said)


def _file(work: Work, word: str) -> Attachment:
    """A file of `output/`, which is also written as it lies beside the repository."""
    place = absolute(f"/workspace/{word}" if word.startswith("output/") else word)
    if not place.startswith(OUTPUT):
        raise ToolError(f"{word} is not in output/: copy it to {OUTPUT} first.")
    data = base64.b64decode(ask_inside(work, "take", place, most=MOST_EACH))
    return Attachment(named(posixpath.basename(place)), data)
