"""Deliveries that GitHub lists as failed and that never came: it is asked to send them again."""

import sqlite3
from collections import Counter
from collections.abc import Callable

from runner.errors import UserError
from runner.forge import Failed, Hook, Hosting
from webhook import deliveries, store

TRIES = 3  # times that one delivery is asked for again
MOST = 20  # deliveries that are asked for at once


class Redelivering:
    """Asks for them, and remembers how often it did. `conn` is the index's, `log` hears what was done."""

    def __init__(self, conn: sqlite3.Connection, log: Callable[..., None]) -> None:
        self.conn = conn
        self.log = log
        self._asked: Counter[str] = Counter()
        self._refused = ""

    def ask(self, hosting: Hosting) -> None:
        """Have them sent again; where the token may not, that is said once, and the service's own sweep is enough."""
        hook = _hook(store.get(self.conn, "hook"))
        if hook is None:
            return
        try:
            for failed in self._missing(hosting, hook):
                self._asked[failed.guid] += 1
                hosting.redeliver(hook, failed.id)
                self.log("redelivery asked", delivery=failed.guid)
        except UserError as error:
            if str(error) != self._refused:
                self.log("redelivery refused", fault=str(error))
            self._refused = str(error)

    def _missing(self, hosting: Hosting, hook: Hook) -> list[Failed]:
        """The failed deliveries of which none came later, the newest attempt at each."""
        newest: dict[str, Failed] = {}
        for failed in hosting.failed(hook):
            newest.setdefault(failed.guid, failed)
        missing = [each for guid, each in newest.items() if not deliveries.known(self.conn, guid)]
        return [each for each in missing if self._asked[each.guid] < TRIES][:MOST]


def _hook(word: str | None) -> Hook | None:
    """`repository 12` as it is kept, read."""
    kind, _, number = (word or "").partition(" ")
    return Hook(kind, int(number)) if number.isdecimal() else None
