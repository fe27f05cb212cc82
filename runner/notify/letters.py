"""What is told of a task, in words: plain text and HTML from one set of facts. Pure but for the packaged templates."""

from functools import cache
from typing import Any

import msgspec

from runner.notify import Event

SUBJECTS: dict[Event, str] = {
    "finished": "Done: {title}",
    "needs-review": "Please review the {stage} of: {title}",
    "needs-input": "A question about: {title}",
    "held": "Held at {stage}: {title}",
    "failed": "Failed at {stage}: {title}",
}


class Facts(msgspec.Struct, frozen=True):
    """What a letter says: `lines` are name and value; `words` somebody else's text, quoted; `steps` what one can do."""

    event: Event
    task: str
    stage: str
    title: str
    lines: tuple[tuple[str, str], ...] = ()
    words: str = ""
    steps: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def subject(facts: Facts) -> str:
    """The letter's subject, on one line."""
    return SUBJECTS[facts.event].format(stage=facts.stage, title=" ".join(facts.title.split())[:120])


def plain(facts: Facts) -> str:
    """The letter as plain text."""
    return str(_templates().get_template("letter.txt").render(facts=facts, subject=subject(facts)))


def html(facts: Facts) -> str:
    """The letter as HTML; everything in it is escaped, and nothing is loaded from anywhere."""
    return str(_templates().get_template("letter.html").render(facts=facts, subject=subject(facts)))


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("runner.notify"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
