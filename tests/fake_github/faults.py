"""What goes wrong on the way, by switch."""

import re
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["lost", "cut", "refused", "limit", "limit-wordless", "secondary", "stale", "expired"]


@dataclass
class Fault:
    """The next `times` requests that match get it.

    `lost`: done, then 502. `cut`: done, then the connection is closed without an answer. `refused`: 502, nothing done.
    `limit`: 403 with Retry-After. `secondary`: 429 with Retry-After. `limit-wordless`: 429 without it. `stale`: the
    answer of before the last write. `expired`: 401.
    """

    kind: Kind
    method: str = ".*"
    path: str = ".*"
    times: int = 1

    def hits(self, method: str, path: str) -> bool:
        """Whether it concerns this request, and is not used up."""
        if self.times < 1 or not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        self.times -= 1
        return True


def refusal(fault: Fault | None) -> tuple[int, Any, dict[str, str]] | None:
    """Status, body and headers where nothing is done at all."""
    if fault is None or fault.kind in ("lost", "cut", "stale"):
        return None
    if fault.kind == "refused":
        return 502, {"message": "Server Error"}, {}
    if fault.kind == "expired":
        return 401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, {}
    status = 403 if fault.kind == "limit" else 429
    said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    return status, {"message": said}, {} if fault.kind == "limit-wordless" else {"Retry-After": "2"}
