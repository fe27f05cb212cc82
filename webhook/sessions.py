"""Browsers that came in: each has a random word in its cookie, which is worth nothing elsewhere and for a while here.

They are kept in memory: whoever starts the service anew, with another token say, ends all of them.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from webhook import access

LIFE = 7 * 24 * 3600
"""Seconds after which somebody has to come in again."""
MOST = 1000
"""Sessions at a time; the oldest goes first."""


class _Session(NamedTuple):
    token: str
    until: float


class Sessions:
    """Who came in, by the token that they came with. `tickets` are words that let a browser in once, and their tokens.

    `now` gives seconds.
    """

    def __init__(self, tickets: Mapping[str, str], now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._tickets = {_key(word): token for word, token in tickets.items()}
        self._there: dict[bytes, _Session] = {}

    def begin(self, token: str) -> str:
        """A new session of whoever has this token; the word for its cookie."""
        id = secrets.token_urlsafe(24)
        with self._lock:
            self._there = {key: one for key, one in self._there.items() if one.until > self._now()}
            while len(self._there) >= MOST:
                del self._there[next(iter(self._there))]
            self._there[_key(id)] = _Session(token, self._now() + LIFE)
        return id

    def admit(self, ticket: str) -> str | None:
        """The session that a ticket begins; None for one that was used, or never given."""
        with self._lock:
            token = self._tickets.pop(_key(ticket), None)
        return self.begin(token) if token is not None else None

    def end(self, id: str) -> None:
        """That one is over."""
        with self._lock:
            self._there.pop(_key(id), None)

    def token(self, headers: Mapping[str, str]) -> str:
        """The token that a request carries, in its header or by the session of its cookie; nothing for none."""
        given = access.bearer(headers)
        if given:
            return given
        found = self._there.get(_key(access.session(headers)))
        return found.token if found is not None and found.until > self._now() else ""


def _key(word: str) -> bytes:
    """What is looked up in place of the word itself, so that the time it takes tells nothing of it."""
    return hashlib.sha256(word.encode("utf-8", "replace")).digest()
