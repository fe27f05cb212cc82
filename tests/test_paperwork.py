"""What documents must say, and how an agent that wants to be done might not say it. Pure."""

import time

import pytest

from runner.gates import paperwork

HEADINGS = paperwork.DESIGN_HEADINGS


def sections(**bodies: str) -> str:
    """A design with the given bodies; the others say something."""
    return "\n".join(f"## {name}\n{bodies.get(name.split()[0], 'Something.')}\n" for name in HEADINGS)


# design.md


@pytest.mark.parametrize("mark", ["#", "###", "## "])
def test_a_design_with_its_headings_passes(mark: str) -> None:
    assert paperwork.design(sections().replace("##", mark)) is None
    assert paperwork.design(sections().upper().replace("SOMETHING", "x")) is None
    assert paperwork.design(sections().replace("Goal", "**Goal**:").replace("Risks", "Risks ##")) is None


@pytest.mark.parametrize("body", ["", "\n\n", "…", "---", "- \n- "])
def test_a_heading_with_nothing_to_read_under_it_is_missing(body: str) -> None:
    assert paperwork.design(sections(Risks=body)) == "design.md lacks, or leaves empty: Risks"


def test_the_names_without_headings_are_no_design() -> None:
    assert paperwork.design("\n".join(HEADINGS)) == f"design.md lacks, or leaves empty: {', '.join(HEADINGS)}"
    assert paperwork.design("") is not None


# test-report.md

ONE, TWO = "GET /login answers 200", "GET /login answers 200 for a.b"


def report(one: str = "Test: test_login, exit 0", two: str = "Test: test_dot, exit 0") -> str:
    return f"# Report\n\n## {ONE}\n{one}\n\n## {TWO}\n{two}\n"


def test_lines_with_evidence_pass_however_they_are_quoted() -> None:
    lines = (ONE, TWO)
    assert paperwork.acceptance(report(), lines) is None
    assert paperwork.acceptance(report().replace("GET /login", '"get   /LOGIN'), lines) is None
    assert paperwork.acceptance(f"- {ONE}: test_login passes, exit 0\n- {TWO}: test_dot, exit 0", lines) is None
    assert paperwork.acceptance("", ()) is None


def test_a_line_that_is_part_of_a_longer_one_is_not_answered_by_it() -> None:
    only_two = f"## {TWO}\nTest: test_dot, exit 0\n"
    assert "does not answer" in (paperwork.acceptance(only_two, (ONE, TWO)) or "")
    assert paperwork.acceptance(only_two, (TWO,)) is None


@pytest.mark.parametrize("evidence", ["", "ok", "Done.", "Test:\nCommand:\nResult:", "****", "yes yes"])
def test_a_line_with_nothing_behind_it_is_not_answered(evidence: str) -> None:
    assert "gives no evidence" in (paperwork.acceptance(report(one=evidence), (ONE, TWO)) or "")
    assert "gives no evidence" in (paperwork.acceptance(report(two=evidence), (ONE, TWO)) or "")


def test_the_next_line_is_no_evidence_for_the_one_before() -> None:
    assert "gives no evidence" in (
        paperwork.acceptance(f"- {TWO}\n- {ONE}\n\nAll tests pass, exit 0.", (ONE, TWO)) or ""
    )


def test_a_line_inside_of_words_is_not_the_line() -> None:
    assert "does not answer" in (paperwork.acceptance("The networks fine tune themselves.", ("works fine",)) or "")
    assert paperwork.acceptance("It works fine: test_fine, exit 0.", ("works fine",)) is None


@pytest.mark.parametrize("line", ["(a|b)* costs $5 [now]", "ünïcode ≥ 3", '"quoted"', "ends with a dot."])
def test_a_line_of_any_characters_is_found(line: str) -> None:
    assert paperwork.acceptance(f"## {line}\nTest: test_it, exit 0\n", (line,)) is None


# review.md


def test_findings_that_are_answered_pass() -> None:
    text = "# Review\n- [high] it breaks — fixed: it holds\n* [LOW] slow -- answered: as before\n"
    assert paperwork.review(f"{text}1. **[Medium]** odd; fixed: even\n") is None
    assert paperwork.review("- [high] a long finding\n  over two lines\n  — fixed: in calc.py\n\nThe end.") is None
    assert paperwork.review("### [minor] A heading\nFixed: renamed it\n") is None


@pytest.mark.parametrize(
    "text",
    [
        "- [high] it breaks",
        "- [high] it breaks — to be fixed: later",
        "- [high] it breaks — not fixed: too hard",
        "- [high] a non-fixed thing",
        "- [high] it breaks — fixed",
        "- [high] it breaks — fixed: ",
        "- [low] fine — fixed: yes\n- [high] it breaks",
        "- [high] it breaks\n\nfixed: something else",
        "- [high] it breaks\n- [low] slow — fixed: quick",
        "No findings.\n- [critical] it breaks",
        "No findings.\n- **High**: it breaks",
        "No findings.\n| x |\n1) (blocker) it breaks",
    ],
)
def test_an_open_finding_is_refused(text: str) -> None:
    assert "leaves a finding open" in (paperwork.review(text) or "")


@pytest.mark.parametrize("text", ["No findings.", "# Review\n\n**No findings**", "- no findings: I read it all"])
def test_a_review_may_say_that_there_is_nothing(text: str) -> None:
    assert paperwork.review(text) is None


@pytest.mark.parametrize("text", ["", "Looks good!", "I cannot say that there are no findings.", "- [x] read it"])
def test_a_review_that_says_neither_is_refused(text: str) -> None:
    assert "review.md has no findings" in (paperwork.review(text) or "")


# summary.md

RESULTS = {
    "Result: app/login.py": "app/login.py",
    "**Result:** `app/login.py`": "app/login.py",
    "- Result: <app/login.py>.": "app/login.py",
    "result : app/login.py (the route)": "app/login.py",
    "Result: ./app/login.py": "app/login.py",
    "Result: /workspace/src/app/login.py": "app/login.py",
    "Result: /workspace/output/r.csv": "output/r.csv",
}


@pytest.mark.parametrize("line", RESULTS)
def test_the_result_is_read_from_its_line(line: str) -> None:
    assert paperwork.summary(f"# Done\n\n{line}\n") == (None, RESULTS[line])


@pytest.mark.parametrize("text", ["Done.", "The result: good", "Result:", "Result:   \n\nnext line", "Results are in"])
def test_a_summary_without_a_result_is_refused(text: str) -> None:
    assert paperwork.summary(text) == ("summary.md lacks its line `Result: <path>`", None)
    assert paperwork.summary(" \n") == ("summary.md is empty", None)


# Texts that are meant to take for ever

HOSTILE = [
    "\n",
    " ",
    "#",
    "# ",
    "#\n",
    "-",
    "- [",
    "- [high] x\n",
    "a ",
    "—",
    "*",
    "Result",
    "Result: ",
    ".\n-",
    "\t",
    "[(*",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * ((1 << 18) // len(piece)) + "x"
    began = time.process_time()
    paperwork.design(text)
    paperwork.acceptance(text, ("a a a", "x", "# -"))
    paperwork.review(text)
    paperwork.summary(text)
    assert time.process_time() - began < 5
