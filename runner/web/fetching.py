"""Pages for agents: robots asked, requests paced, answers kept on disk for a day."""

import contextlib
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from runner.errors import ToolError
from runner.web import Page, request, robots
from runner.web.pace import Pace
from runner.web.readable_inside import Readable
from runner.web.request import Bounds

KEPT = 24 * 3600.0  # seconds
CHARACTERS = 400_000
"""Of a page's text that are kept."""

_TEXTS = ("text/plain", "text/markdown", "text/csv", "text/xml", "application/json", "application/xml", "text/x-rst")
_PAGES = ("text/html", "application/xhtml+xml")


def forget(kept: Path, now: float) -> None:
    """Remove what was kept of pages and paces for longer than it counts; `now` is Unix time."""
    for path in kept.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and now - path.stat().st_mtime > 2 * KEPT:
                path.unlink()


class Fetcher:
    """Fetches pages. `kept` is a folder of this host; `read` makes text of HTML, a charset (or "") and its address;
    `now` gives Unix time."""

    def __init__(
        self,
        kept: Path,
        read: Callable[[bytes, str, str], Readable],
        *,
        bounds: Bounds | None = None,
        pace: Pace | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._kept, self._read, self._bounds, self._now = kept, read, bounds or Bounds(), now
        self._pace = pace or Pace(kept / "pace")

    def fetch(self, url: str, agent: str = "") -> Page:
        """The page at `url` for `agent`, or what was kept of it less than a day ago. Raises `ToolError`."""
        address = request.checked(url, self._bounds)
        known = self._recall(address, Page)
        if known is not None and self._now() - known.fetched < KEPT:
            return msgspec.structs.replace(known, cached=True)
        self._ask_robots(address, agent)
        page = self._page(self._get(address, agent))
        self._keep(address, page)
        return page

    def _get(self, address: str, agent: str, most: int = request.MOST) -> request.Response:
        self._pace.wait(urlsplit(address).netloc.lower(), agent)
        return request.get(address, self._bounds, most)

    def _page(self, response: request.Response) -> Page:
        if response.status >= 400:
            raise ToolError(f"{response.address} answered {response.status}.")
        charset = response.charset or "utf-8"
        if response.kind in _PAGES:
            title, text = self._read(response.body, response.charset, response.address)
        elif response.kind in _TEXTS:
            title, text = "", _decoded(response.body, charset)
        else:
            raise ToolError(f"{response.address} is {response.kind or 'of no known kind'}, not text.")
        cut = response.cut or len(text) > CHARACTERS
        return Page(response.address, title[:300], text[:CHARACTERS], self._now(), cut)

    def _ask_robots(self, address: str, agent: str) -> None:
        """Raises `ToolError` where the site does not want the page to be fetched (RFC 9309, 2.3.1)."""
        parts = urlsplit(address)
        place = f"{parts.scheme}://{parts.netloc}/robots.txt"
        known = self._recall(place, Page)
        if known is None or self._now() - known.fetched >= KEPT:
            answer = self._get(place, agent, robots.MOST)
            if answer.status >= 500:
                raise ToolError(f"{parts.netloc} cannot say what may be fetched there ({answer.status}).")
            text = answer.body.decode("utf-8", "replace") if answer.status < 300 else ""
            known = Page(place, "", text, self._now())
            self._keep(place, known)
        if not robots.permitted(known.text, address):
            raise ToolError(f"{parts.netloc} asks programs not to fetch that page (robots.txt).")

    def _place(self, address: str) -> Path:
        return self._kept / f"{sha256(address.encode('utf-8', 'replace')).hexdigest()[:32]}.json"

    def _recall(self, address: str, kind: type[Page]) -> Page | None:
        try:
            return msgspec.json.decode(self._place(address).read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _keep(self, address: str, page: Page) -> None:
        self._kept.mkdir(parents=True, exist_ok=True)
        place = self._place(address)
        scratch = place.with_suffix(f".{time.monotonic_ns()}")
        scratch.write_bytes(msgspec.json.encode(page))
        scratch.replace(place)


def _decoded(body: bytes, charset: str) -> str:
    try:
        return body.decode(charset, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
