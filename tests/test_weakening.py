"""Tests that went, are skipped or say nothing any more, in several languages; and what is none of that. Pure."""

import time

import pytest

from runner.gates.weakening import names, weakened

PYTHON = '''\
import pytest


class TestSums:
    @pytest.mark.parametrize(
        "a",
        [1, 2],
    )
    def test_one(self, a):
        """It adds."""
        assert add(a, 0) == a

    async def test_two(self):
        check(2)


def test_three():
    with pytest.raises(ValueError):
        add("a", 1)
'''


def now(text: str, before: str = PYTHON) -> str | None:
    """What is said of one file that was `before` and is `text`."""
    return weakened({"tests/test_a.py": before}, {"tests/test_a.py": text})


def test_what_stays_grows_or_moves_is_fine() -> None:
    assert now(PYTHON) is None
    assert now(PYTHON + "\n\ndef test_four():\n    assert add(0, 0) == 0\n") is None
    assert now(PYTHON.replace("assert add(a, 0) == a", "assert add(a, 0) == a + 0")) is None
    assert weakened({"tests/test_a.py": PYTHON}, {"tests/sub/test_b.py": PYTHON}) is None
    assert weakened({}, {"tests/test_a.py": PYTHON}) is None


@pytest.mark.parametrize("name", ["test_one", "test_two", "test_three"])
def test_a_test_that_went_is_named(name: str) -> None:
    assert now(PYTHON.replace(name, f"no_{name}")) == f"the test {name} of tests/test_a.py was deleted: put it back"
    assert now(PYTHON.replace(f"def {name}", f"# def {name}")) is not None


def test_of_two_tests_with_one_name_both_stay() -> None:
    twice = "class A:\n    def test_x(self):\n        assert 1\n\n\nclass B:\n    def test_x(self):\n        assert 2\n"
    assert now(twice, twice) is None
    assert "test_x" in (now(twice.partition("class B")[0], twice) or "")


@pytest.mark.parametrize(
    "line",
    [
        "@pytest.mark.skip",
        "@pytest.mark.skip(reason='later')",
        "@pytest.mark.skipif(True, reason='x')",
        "@pytest.mark.xfail",
        "@unittest.skip('x')",
        "@skip('x')",
        "@unittest.expectedFailure",
        "@pytest.mark.skipif(\n    True,\n    reason='x',\n)",
    ],
)
def test_a_decorator_that_skips_is_seen(line: str) -> None:
    assert now(PYTHON.replace("def test_three", f"{line}\ndef test_three")) == (
        "the test test_three of tests/test_a.py was skipped: let it run as before"
    )


@pytest.mark.parametrize("line", ["pytest.skip('x')", "pytest.xfail()", "self.skipTest('x')", "raise SkipTest"])
def test_a_word_in_the_body_that_skips_is_seen(line: str) -> None:
    assert "test_three" in (now(PYTHON.replace("    with pytest", f"    {line}\n    with pytest")) or "")


@pytest.mark.parametrize(
    "line",
    [
        "pytestmark = pytest.mark.skip",
        "pytest.skip('x', allow_module_level=True)",
        "numpy = pytest.importorskip('numpy')",
        "collect_ignore = ['test_a.py']",
        "@unittest.skip('x')\nclass Other: pass",
        "__test__ = False",
    ],
)
def test_a_whole_file_that_is_skipped_is_seen(line: str) -> None:
    assert now(PYTHON.replace("import pytest\n", f"import pytest\n{line}\n")) == (
        "a test in tests/test_a.py is skipped now that ran before: let it run"
    )


def test_a_new_test_may_be_skipped_somewhere() -> None:
    assert now(PYTHON + "\n\n@pytest.mark.skipif(WINDOWS, reason='x')\ndef test_new():\n    assert 1\n") is None


def test_a_test_that_moved_and_is_skipped_there_is_seen() -> None:
    there = PYTHON.replace("def test_three", "@pytest.mark.skip\ndef test_three")
    assert "test_three" in (weakened({"tests/test_a.py": PYTHON}, {"tests/test_b.py": there}) or "")


@pytest.mark.parametrize("body", ["pass", "...", "return", "assert True", '"""It adds."""', "# later\n    pass"])
def test_a_test_that_was_emptied_is_named(body: str) -> None:
    emptied = PYTHON.partition("def test_three():")[0] + f"def test_three():\n    {body}\n"
    assert now(emptied) == "the test test_three of tests/test_a.py was emptied: let it run as before"
    assert now(emptied, emptied) is None, "what was empty before may stay so"


def test_a_file_with_tests_nobody_can_name_is_not_deleted() -> None:
    assert weakened({"tests/test_a.sh": "grep x y\n"}, {}) == "the test file tests/test_a.sh was deleted: put it back"
    assert weakened({"tests/data.csv": "1\n"}, {}) is None


OTHERS = {
    "go": ("func TestSum(t *testing.T) {\n\tif sum(1) != 1 {}\n}\n", "TestSum", "\tt.Skip()\n"),
    "js": ("it('adds one', () => {\n})\ntest(`two`, f)\n", "adds one", "it.skip('later', f)\n"),
    "rs": ("#[test]\n#[should_panic]\nfn sums() {\n}\n", "sums", "#[ignore]\n"),
    "java": ("class A {\n@Test\nvoid sum() {}\n}\n", "", "@Disabled\n"),
}


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_are_read_as_well(language: str) -> None:
    text, name, skip = OTHERS[language]
    path = f"tests/test_a.{language}"
    assert name in [*names(text), ""]
    assert weakened({path: text}, {path: text}) is None
    assert "skipped" in (weakened({path: text}, {path: text + skip}) or "")
    assert "deleted" in (weakened({path: text}, {}) or "")


PIECES = [
    "\n",
    " ",
    "\t",
    "def test_a():\n",
    " def test_a():\n",
    "@",
    "@a.",
    "it(",
    "it('",
    '"""',
    "#[test]\n",
    "#[x]\n",
    "x" * 99,
]


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * ((1 << 18) // len(piece))
    began = time.process_time()
    weakened({"tests/test_a.py": text, "b": PYTHON}, {"tests/test_a.py": text + "x", "b": PYTHON})
    assert time.process_time() - began < 10


def test_tests_within_tests_without_end_do_not_take_long() -> None:
    deep = "".join(" " * depth + "def test_a():\n" for depth in range(1400))
    began = time.process_time()
    weakened({"tests/test_a.py": deep}, {"tests/test_a.py": deep})
    assert time.process_time() - began < 10
