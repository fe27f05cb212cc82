"""The stylesheet, the script and the icon: a closed list, under addresses that change with their content."""

from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

FOLDER = Path(__file__).parent / "static"
MEDIA = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


class Asset(NamedTuple):
    """A file that we ship."""

    data: bytes
    tag: str


@lru_cache(maxsize=8)
def _asset(name: str) -> Asset:
    data = (FOLDER / name).read_bytes()
    return Asset(data, blake2b(data, digest_size=6).hexdigest())


def address(name: str) -> str:
    """Where a browser finds an asset; it may keep what it finds there."""
    return f"/static/{name}?v={_asset(name).tag}"


@get("/static/{name:str}", sync_to_thread=False, include_in_schema=False)
def asset(name: FromPath[str]) -> Response[bytes]:
    """One of our own files."""
    if name not in MEDIA:
        raise NotFoundException(f"there is no {name}")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_asset(name).data, media_type=MEDIA[name], headers=headers)
