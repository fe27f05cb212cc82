"""When a lease is renewed; and its renewal while one step takes longer than that: a slow model, a long command."""

import threading
from collections.abc import Callable
from typing import ParamSpec, Self, TypeVar

from runner import git, wording
from runner.agents import lease_seconds
from runner.claims import Won
from runner.claims.lease import Lease
from runner.errors import UserError

PUSH_EVERY = 60.0  # seconds: GitHub allows a repository six pushes a minute
RETRY_EVERY = 15.0  # seconds until a hub that gave no answer is asked again

P = ParamSpec("P")
T = TypeVar("T")


def renew_after(seconds: float, part: float) -> float:
    """How old a lease of so many seconds gets before it is renewed: `part` of it, a third at most. Pure.

    Never twice within a minute, but for leases so short that this and the third exclude each other.
    """
    return min(max(PUSH_EVERY, seconds * part), seconds / 3)


def again_after(waited: float) -> float:
    """Seconds until a hub is asked again that made us wait for nothing: at least half of the time is for the work."""
    return max(RETRY_EVERY, waited)


class Pulse:
    """Renews a lease from a thread of its own, only while the run waits for the model or for a command.

    A refused renewal changes nothing here: the run finds out at its own next one, and says why.
    """

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.due = renew_after(lease_seconds(lease.settings.policy), 0.3)
        self._quiet = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def at_rest(self, deed: Callable[P, T]) -> Callable[P, T]:
        """`deed`, done while no renewal is under way."""

        def alone(*args: P.args, **kwargs: P.kwargs) -> T:
            with self._quiet:
                return deed(*args, **kwargs)

        return alone

    def _beat(self) -> None:
        pause = self._left()
        while not self._stop.wait(pause):
            with self._quiet:
                began = self.lease.clock()
                well = self._left() > 0 or self._renew()
                pause = self._left() if well else again_after(self.lease.clock() - began)

    def _left(self) -> float:
        return max(0.0, self.lease.pushed + self.due - self.lease.clock())

    def _renew(self) -> bool:
        """A commit that says only that the work goes on: what others watch is whether the branch moves."""
        lease = self.lease
        try:
            words = wording.checkpoint(lease.ref, lease.entry)
            made = git.commit_with(lease.host.repo, {}, (lease.head,), words)
            return isinstance(lease.advance(made, lease.head), Won)
        except (UserError, git.GitError):
            return False
