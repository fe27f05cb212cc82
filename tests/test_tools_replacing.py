"""SEARCH/REPLACE blocks, as pure text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ToolError
from runner.tools.replacing import apply, parse

TEXT = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        return 1\n"


def block(search: str, replace: str, length: int = 7) -> str:
    return f"{'<' * length} SEARCH\n{search}\n{'=' * length}\n{replace}\n{'>' * length} REPLACE"


def edited(text: str, change: str) -> str:
    return apply(text, parse(change))[0]


def fault(text: str, change: str) -> str:
    with pytest.raises(ToolError) as error:
        apply(text, parse(change))
    return str(error.value)


def test_whole_lines_are_replaced_where_they_stand_once() -> None:
    assert edited("a\nb\nc\n", block("b", "B\nb2")) == "a\nB\nb2\nc\n"
    assert edited("a\nb\nc\n", "I change it.\n" + block("b", "") + "\nDone.") == "a\n\nc\n"


def test_a_part_of_a_line_is_no_match() -> None:
    assert "not in the file" in fault("alpha = 1\n", block("alpha", "beta"))


def test_several_blocks_are_applied_in_turn_or_not_at_all() -> None:
    both = block("a", "1") + "\n" + block("1\nb", "2")
    assert edited("a\nb\n", both) == "2\n"
    assert fault("a\nb\n", block("a", "1") + "\n" + block("zzz", "2")).startswith("Block 2: ")


def test_a_search_that_fits_twice_is_refused_with_the_places() -> None:
    assert "matches 2 places (lines 3, 6)" in fault(TEXT, block("        return 1", "        return 2"))
    assert (
        edited(TEXT, block("    def g(self):\n        return 1", "    def g(self):\n        return 2")).count("2") == 1
    )


def test_one_indentation_missing_from_every_line_is_forgiven() -> None:
    wanted = TEXT.replace("def g(self):\n        return 1", "def g(self):\n        if x:\n\n            return 3")
    assert edited(TEXT, block("def g(self):\n    return 1", "def g(self):\n    if x:\n\n        return 3")) == wanted
    deeper = block(
        "        def g(self):\n            return 1",
        "        def g(self):\n            if x:\n\n                return 3",
    )
    assert edited(TEXT, deeper) == wanted


def test_an_uneven_indentation_is_not_forgiven() -> None:
    assert "not in the file" in fault(TEXT, block("def g(self):\n  return 1", "x"))


def test_white_space_at_the_end_of_lines_does_not_matter() -> None:
    assert edited("a  \nb\n", block("a\nb   ", "c")) == "c\n"


def test_a_change_that_was_made_is_said() -> None:
    assert "already there" in fault("x = 2\n", block("x = 1", "x = 2"))


def test_the_nearest_lines_are_shown_as_they_are() -> None:
    said = fault(
        "import os\n\n\ndef total(items):\n    return sum(items)\n",
        block("def total(item):\n    return sum(item)", "x"),
    )
    assert "   4 def total(items):\n   5     return sum(items)" in said
    assert "No line like" in fault("a\nb\n", block("something else entirely", "x"))


def test_the_whole_line_is_shown_to_who_gives_a_part_of_it() -> None:
    line = "What the shop has recieved in every month of the year, by category."
    assert f"   2 {line}\n" in fault(f"# Shop\n{line}\n\nMore.\n", block("has recieved", "has received"))


def test_longer_markers_let_a_file_with_conflict_markers_be_edited() -> None:
    text = "<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> base\n"
    assert edited(text, block("<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> base", "both", length=9)) == "both\n"
    with pytest.raises(ToolError, match="write all three markers longer"):
        parse("<<<<<<< SEARCH\na\n=======\nb\n=======\nc\n>>>>>>> REPLACE")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("", "no SEARCH/REPLACE block"),
        ("a\n=======\nb", "no SEARCH/REPLACE block"),
        ("<<<<<<< SEARCH\na\n", "ends without the line ======="),
        ("<<<<<<< SEARCH\na\n=======\nb\n", "ends without the line >>>>>>> REPLACE"),
        ("<<<<<<< SEARCH\n\n=======\nb\n>>>>>>> REPLACE", "SEARCH part is empty"),
        ("<<<<<<< SEARCH\na\n=======\na\n>>>>>>> REPLACE", "nothing would change"),
    ],
)
def test_a_block_that_is_not_whole_is_taught(change: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        parse(change)


LINES = st.lists(st.text("ab \t(){", max_size=6), max_size=12)


@given(LINES, st.text("<=>SEARCHPLab \n", max_size=200))
def test_any_change_ends_in_a_new_text_or_a_teaching_error(lines: list[str], change: str) -> None:
    try:
        apply("\n".join(lines), parse(change))
    except ToolError as error:
        assert len(str(error)) > 10


@given(LINES, st.integers(0, 11), st.integers(1, 4), LINES)
def test_what_is_taken_from_the_file_is_found_and_only_it_changes(
    lines: list[str], at: int, count: int, new: list[str]
) -> None:
    search = lines[at : at + count]
    change = block("\n".join(search), "\n".join(new))
    try:
        text, _ = apply("\n".join(lines), parse(change))
    except ToolError:
        return  # empty, ambiguous, or the same
    result = text.split("\n")
    kept = len(lines) - len(search)
    assert len(result) == kept + max(len(new), 1)
    assert any(
        result[:i] == lines[:i] and result[len(result) - kept + i :] == lines[len(lines) - kept + i :]
        for i in range(kept + 1)
    )
