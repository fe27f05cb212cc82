"""The one retry policy."""

from collections.abc import Iterator

import pytest

from runner.models import ModelError
from runner.models.retry import Patience, persist, retry_after


def asks(*outcomes: ModelError | str):
    script: Iterator[ModelError | str] = iter(outcomes)

    def ask() -> str:
        outcome = next(script)
        if isinstance(outcome, ModelError):
            raise outcome
        return outcome

    return ask


def busy(after: float = 0.0) -> ModelError:
    return ModelError("unavailable", "busy", retryable=True, retry_after=after)


def test_pauses_double_up_to_the_longest():
    pauses: list[float] = []
    assert persist(asks(*[busy()] * 4, "ok"), pauses.append, Patience(5, 1.0, 3.0)) == "ok"
    assert pauses == [1.0, 2.0, 3.0, 3.0]


def test_the_last_try_is_not_followed_by_a_pause():
    pauses: list[float] = []
    with pytest.raises(ModelError):
        persist(asks(busy(), busy(), "too late"), pauses.append, Patience(2))
    assert pauses == [1.0]


def test_what_cannot_succeed_is_not_repeated():
    pauses: list[float] = []
    with pytest.raises(ModelError, match="no"):
        persist(asks(ModelError("overflow", "no"), "too late"), pauses.append, Patience())
    assert pauses == []


def test_a_wait_longer_than_the_longest_is_left_to_the_caller():
    pauses: list[float] = []
    with pytest.raises(ModelError) as caught:
        persist(asks(busy(61), "too late"), pauses.append, Patience(longest=60))
    assert (caught.value.retry_after, pauses) == (61, [])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 0),
        ({"retry-after": "32 Foo GMT", "date": "GMT"}, 0),
    ],
)
def test_retry_after_is_read_in_seconds(headers, seconds):
    assert retry_after(headers) == seconds
