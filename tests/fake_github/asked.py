"""A request that reached its operation, and what answers it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fake_github.shapes import Shapes
from fake_github.state import World
from fake_github.values import Token


class Asked(NamedTuple):
    """A request: who asks, the values of the path's fields, the query and the body."""

    token: Token
    fields: dict[str, str]
    query: dict[str, str]
    body: Any

    def number(self, name: str) -> int:
        return int(self.fields[name])


Answer = tuple[int, Any]
Route = Callable[[World, Shapes, Asked], Answer]

HERE = "/repos/{owner}/{repo}"
ISSUE, PULL = f"{HERE}/issues/{{issue_number}}", f"{HERE}/pulls/{{pull_number}}"
