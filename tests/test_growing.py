"""A text that grows is cleaned as the whole of it would be, at every step, and each part of it a few times at most."""

import base64
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.secrets import MARK, Redactor
from runner.secrets.growing import GRAIN, REACH, Growing

VALUE, WIDE, LONG = "hunter2-swordfish", "correct horse battery staple " * 3, "a1B2-c3D4_" * 60
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + ("MIIEpAIB AAKCAQEA7 q w\n" * 30) + "-----END RSA PRIVATE KEY-----\n"
HEX = VALUE.encode().hex(" ")
PARTS = (
    VALUE, WIDE, KEY, KEY[:400], "-----BEGIN ", "ghp_" + "a1B2" * 9, "authorization: bearer " + "x1" * 10, "token ",
    "Authorization: ", "Bearer ", "abcdefgh" * 3, HEX, "pig " + HEX[:20], HEX[20:], "https://pat:", "ö:hu@a.org",
    "\n".join(base64.b64encode(VALUE.encode()).decode()), "über ", "这是一个", "word ", "zig zag. ", "so, ", "sk-",
    "0x", " ", "\n", ": ", "-----", ". ",
)  # fmt: skip
FILLS = st.sampled_from(["it is so, ", "abc def\n", "你好", "x", "deadbeef "]).flatmap(
    lambda word: st.integers(1, REACH + GRAIN).map(lambda number: word * (number // len(word)))
)
TEXTS = st.lists(st.sampled_from(PARTS) | FILLS, max_size=10).map("".join)


def grown(redactor: Redactor, text: str, steps: Iterable[int]) -> None:
    growing = Growing(redactor)
    for end in [*steps, len(text)]:
        assert growing.clean(text[:end]) == redactor.clean(text[:end]), end


@settings(max_examples=12, deadline=None)
@given(TEXTS, st.integers(15, 90), st.sampled_from([(), (VALUE,), (VALUE, WIDE)]))
@example("so it is. " * 200 + "authorization: bearer " + "x1" * 500 + " so it is. " * 200, 61, ())
@example("so it is. " * 200 + KEY * 12 + " so it is. " * 200, 400, (VALUE,))
@example("so it is. " * 200 + LONG.encode().hex(" ") + " so it is. " * 200, 47, (LONG,))
@example("xyz so " * 300 + WIDE * 20 + " so so" * 300, 47, (WIDE * 20,))
def test_what_is_seen_of_a_growing_text_is_what_is_seen_of_the_whole(
    text: str, step: int, values: tuple[str, ...]
) -> None:
    grown(Redactor(values), text, range(0, len(text), step))


@pytest.mark.parametrize("text", ["so it is. " * 1000, "你好吗" * 3000, KEY[:-60] + "so it is. " * 4000])
def test_each_part_is_looked_at_a_few_times_however_long_it_becomes(text: str) -> None:
    class Counting(Redactor):
        looked = 0

        def clean(self, text: str) -> str:
            self.looked += len(text)
            return text

    redactor = Counting()
    growing = Growing(redactor)
    steps = range(0, len(text), 10)
    for end in steps:
        growing.clean(text[:end])
    most = 50_000 if "BEGIN" in text else 2 * (REACH + GRAIN)  # a private key has 20,000 characters at most
    assert redactor.looked < 1.5 * len(steps) * most
    assert growing.step <= most // 100


def test_a_text_that_is_not_the_former_one_grown_is_a_new_one() -> None:
    growing = Growing(Redactor([VALUE]))
    growing.clean("so it is. " * 400)
    assert growing.clean(f"anew {VALUE}") == f"anew {MARK}"
    assert growing.clean("") == ""
