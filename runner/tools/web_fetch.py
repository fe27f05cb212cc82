"""`web_fetch`: a page as text."""

from typing import Annotated

from msgspec import Meta

from runner.errors import ToolError
from runner.tools.kept import keep
from runner.tools.text import plain
from runner.tools.work import Observation, Work


def web_fetch(work: Work, url: Annotated[str, Meta(min_length=8, max_length=2000)]) -> Observation:
    """Read a page of the web as text. The whole of it is kept in research/web.

    url: the address, such as https://docs.python.org/3/library/datetime.html
    """
    if work.reach.web is None:
        raise ToolError("The web is not allowed for this agent.")
    try:
        page = work.reach.web.fetch(url)
    except ToolError as error:
        work.journal.note(f"web_fetch: {plain(url)[:500]}: {error}")
        raise
    work.journal.note(f"web_fetch: {page.address} ({len(page.text)} characters{', kept' if page.cached else ''})")
    return keep(work, page, "web", "a page of the web")
