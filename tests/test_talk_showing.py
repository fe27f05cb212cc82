"""What of a reply on its way people see: words, and never a half-written call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.talk.showing import answered, body, settled, words

TOOLS = ("view", "search", "answer")
CALLS = [
    '{"name": "view", "arguments": {"path": "x"}}',
    '[{"name": "view"}]',
    '<tool_call>{"name": "view"}</tool_call>',
    "<function=view>x</function>",
    '```json\n{"tool": "view"}\n```',
    "<think>I view</think>\n```view x\n```",
    "```view x\n```",
]


@pytest.mark.parametrize("call", CALLS)
def test_no_beginning_of_a_call_is_shown(call: str) -> None:
    assert {words(call[:end], TOOLS) for end in range(len(call) + 1)} == {""}


@pytest.mark.parametrize(
    "said", ["See `a.py:1`.", "[A link](x) first", "<b>bold</b>", "```python\nx = 1\n```\nis it", "1. one\n2. two"]
)
def test_words_are_shown_as_they_are(said: str) -> None:
    assert words(said, TOOLS, whole=True) == said
    for end in range(len(said)):
        assert said.startswith(words(said[:end], TOOLS))


@pytest.mark.parametrize(
    "said", ["| a |\n| - |\n\n```python\nx = 1\n```\n\nIs it?", "Let me see.\n\n```view x\n```", "a\n \n```\nb\n```\n"]
)
def test_what_was_shown_of_a_reply_stays_while_more_of_it_comes(said: str) -> None:
    before = ""
    for end in range(len(said) + 1):
        now = settled(words(said[:end], TOOLS))
        assert now.startswith(before), end
        before = now
    assert before


@given(st.text("`~ \nab", max_size=40), st.integers(0, 60))
def test_a_body_that_is_coming_is_a_beginning_of_the_whole(text: str, end: int) -> None:
    whole = f"````\n{text}x\n````"
    assert f"{text}x".startswith(body(whole[:end]).rstrip("\n")) or "````" in text
    assert answered(whole) == f"{text}x".strip() or "````" in text


def test_the_word_that_is_still_coming_waits() -> None:
    assert settled("the token is ghp_abc") == "the token is "
    assert settled("ready. ") == "ready. "
    assert settled("これは") == "これは"
