"""A search through `ddgs` (DuckDuckGo): title, address and snippet of the first results."""

from collections.abc import Callable
from typing import Any

from runner.errors import ToolError
from runner.web import Hit
from runner.web.pace import Pace

RESULTS = 8
SECONDS = 15
HOST = "duckduckgo.com"


def searching(pace: Pace, agent: str) -> Callable[[str, str, str], tuple[Hit, ...]]:
    """`search` for one agent, at the pace of all who search from here."""

    def paced(words: str, region: str, since: str) -> tuple[Hit, ...]:
        pace.wait(HOST, agent)
        return search(words, region, since)

    return paced


def search(
    words: str, region: str = "", since: str = "", *, proxy: str | None = None, verify: bool | str = True
) -> tuple[Hit, ...]:
    """The first results for `words`. `proxy` and `verify` (a file of certificates) are for a company's proxy.

    Raises `ToolError` when the search cannot be had.
    """
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException

    try:
        found: list[dict[str, Any]] = DDGS(proxy=proxy, timeout=SECONDS, verify=verify).text(
            words, region=region or "wt-wt", timelimit=since or None, max_results=RESULTS, backend="duckduckgo"
        )
    except DDGSException as error:
        if "No results" in str(error):
            return ()
        raise ToolError("The search cannot be reached now. Go on without it, or try again later.") from error
    return tuple(_hit(each) for each in found[:RESULTS] if str(each.get("href", "")).startswith("http"))


def _hit(found: dict[str, Any]) -> Hit:
    return Hit(*(str(found.get(key, ""))[:most] for key, most in (("title", 200), ("href", 500), ("body", 400))))
