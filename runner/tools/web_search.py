"""`web_search`: what the web has on some words."""

from typing import Annotated, Literal

from msgspec import Meta

from runner.errors import ToolError
from runner.tools.text import plain
from runner.tools.untrusted import fenced
from runner.tools.work import Observation, Work


def web_search(
    work: Work,
    query: Annotated[str, Meta(min_length=2, max_length=200)],
    region: Annotated[str, Meta(pattern="^([a-z]{2}-[a-z]{2})?$")] = "",
    since: Literal["", "d", "w", "m", "y"] = "",
) -> Observation:
    """Search the web; the first results with title, address and a few words. Read one with web_fetch.

    query: the words to search for, such as python parse iso date
    region: country and language, such as de-de
    since: only of the last day (d), week (w), month (m) or year (y)
    """
    if work.reach.web is None:
        raise ToolError("The web is not allowed for this agent.")
    hits = work.reach.web.search(query, region, since)
    work.journal.note(f"web_search: {plain(query)} ({len(hits)} results)")
    if not hits:
        return Observation("No results. Try other words.")
    lines = [f"{number}. {hit.title}\n   {hit.address}\n   {hit.snippet}" for number, hit in enumerate(hits, 1)]
    return Observation(fenced("results of a search", plain("\n".join(lines)), work.cap))
