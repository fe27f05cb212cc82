"""The web as the runner reaches it for an agent: pages as text, results of a search. Each request is bounded and noted.

The agent's own commands reach nothing of this; it names an address or some words and is given text that is marked as a
stranger's (docs/tools.md).
"""

from collections.abc import Callable

import msgspec


class Page(msgspec.Struct, frozen=True):
    """A page as Markdown or plain text. `address` is where it was found after redirects, `fetched` when (Unix time).

    `cut`: there was more than is read of one page. `cached`: it was kept from an earlier request.
    """

    address: str
    title: str
    text: str
    fetched: float
    cut: bool = False
    cached: bool = False


class Hit(msgspec.Struct, frozen=True):
    """One result of a search."""

    title: str
    address: str
    snippet: str


class Web(msgspec.Struct, frozen=True):
    """The two ways to the web. Both raise `ToolError` with what the model can do about it.

    `search` takes the words, a region (`de-de`; empty: none) and a time range (`d`, `w`, `m`, `y` or empty).
    """

    search: Callable[[str, str, str], tuple[Hit, ...]]
    fetch: Callable[[str], Page]
