"""`github_read`: what stands on GitHub about this project."""

from typing import Annotated, Literal

from msgspec import Meta

from runner.errors import ToolError
from runner.tools.kept import keep
from runner.tools.text import plain
from runner.tools.work import Observation, Work


def github_read(
    work: Work,
    what: Literal["issue", "pull_request", "diff", "review_threads", "file", "code", "log"],
    which: Annotated[str, Meta(max_length=300)] = "",
) -> Observation:
    """Read on this project's GitHub. log is the failed checks of your own branch.

    what: the kind of thing
    which: its number, such as 12; for file src/calc.py@main; for code the words to search for; for log nothing
    """
    if work.reach.github is None:
        raise ToolError("GitHub is not allowed for this agent.")
    try:
        page = work.reach.github(what, which)
    except ToolError as error:
        work.journal.note(f"github_read: {what} {plain(which)}: {error}")
        raise
    work.journal.note(f"github_read: {what}: {page.address} ({len(page.text)} characters)")
    return keep(work, page, "github", "a text on GitHub")
