"""One retry policy for all models: the clients' own are off, so that every wait is bounded, counted and told."""

import email.utils
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from runner.models import ModelError

T = TypeVar("T")


class Patience(msgspec.Struct, frozen=True):
    """How often to ask, and the first and the longest pause in seconds; the pause doubles from try to try."""

    tries: int = 4
    first: float = 1.0
    longest: float = 60.0


PATIENCE = Patience()


def persist(ask: Callable[[], T], sleep: Callable[[float], None], patience: Patience) -> T:
    """What `ask` answers, asked again after a retryable `ModelError` while `patience` lasts.

    A server's Retry-After is honoured; one longer than `patience.longest` is left to the caller, as the error's
    `retry_after`, since a stage should hold rather than sleep for an hour. Raises the last `ModelError`.
    """
    for attempt in range(1, patience.tries):
        try:
            return ask()
        except ModelError as error:
            if not error.retryable or error.retry_after > patience.longest:
                raise
            sleep(error.retry_after or min(patience.first * 2 ** (attempt - 1), patience.longest))
    return ask()


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a `Retry-After` header asks for, 0 without one (RFC 9110 §10.2.3: seconds or a date).

    A date is measured against the answer's own `Date`, so that no two clocks are compared.
    """
    wanted = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(wanted)) if not wanted.endswith("GMT") else _until(wanted, headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _until(then: str, now: str) -> float:
    parse = email.utils.parsedate_to_datetime
    return max(0.0, (parse(then) - parse(now)).total_seconds())
