"""What a check-up says about one thing."""

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from runner.errors import UserError
from runner.git import public

Verdict = Literal["fine", "notice", "problem"]


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and what a person can do about it.

    A `problem` must be mended before work goes on; a `notice` is worth a thought.
    """

    subject: str
    verdict: Verdict
    what: str
    remedy: str = ""


def tried(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `look` finds; that it could not look is a finding too."""
    try:
        yield from look()
    except UserError as error:
        yield problem(subject, error)


def problem(subject: str, error: UserError) -> Finding:
    """What only a person can mend; it is about the settings where those are at fault."""
    about = "agents.yaml" if error.what.startswith("agents.yaml") else subject
    return Finding(about, "problem", public(error.what), public(error.remedy))
