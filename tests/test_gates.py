"""The gates refuse what is not shown, however it is said; each beside a case that passes. Real Git, real sandbox."""

from pathlib import Path
from typing import Any

import pytest
from gate_parts import BASE, CHECK, FIXED, FOLDER, GOOD, NEW_TEST, OLD_TEST, Files, Project, fault, project, put, suite

from runner import git
from runner.agents import Policy
from runner.gates import evidence, trials
from runner.gates.case import change
from runner.lifecycle import STAGES, Stage
from runner.sandbox.bubblewrap import Bubblewrap

REPORT = f"{FOLDER}/test-report.md"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return project(tmp_path_factory.mktemp("gates"), Bubblewrap())


def said(here: Project, stage: Stage, changes: Files, **more: Any) -> str:
    """What the gates of a stage find fault with in the good change with `changes`."""
    return fault(here.judge(stage, here.commit({**GOOD, **changes}), **more))


# What passes, and in which order


EXPECTED = {
    Stage.DESIGN: ["design document", "only a design"],
    Stage.BUILD: ["a change", "protected paths", "checks"],
    Stage.TEST: ["protected paths", "acceptance", "checks", "tests fail without the change"],
    Stage.REVIEW: ["protected paths", "findings", "tests kept", "checks", "tests counted"],
    Stage.COMPLETE: ["protected paths", "summary", "stages", "base", "checks"],
}


@pytest.mark.parametrize("stage", STAGES)
def test_good_work_passes_every_gate_of_its_stage(here: Project, stage: Stage) -> None:
    changes = {f"{FOLDER}/design.md": GOOD[f"{FOLDER}/design.md"]} if stage is Stage.DESIGN else GOOD
    verdicts = here.judge(stage, here.commit(changes))
    assert [(v.gate.name, v.gate.exit) for v in verdicts] == [(name, 0) for name in EXPECTED[stage]]


def test_nothing_is_tried_after_the_first_gate_that_fails(here: Project) -> None:
    verdicts = here.judge(Stage.BUILD, here.base)
    assert [v.gate.passed for v in verdicts] == [False]


def test_each_gate_is_told_before_the_next_one_runs(here: Project, tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    bench, log = here.bench._replace(logs=tmp_path), tmp_path / "checks.log"
    evidence.judge(
        bench, here.case(Stage.BUILD, here.commit(GOOD)), lambda one: told.append((one.gate.name, log.exists()))
    )
    assert told == [("a change", False), ("protected paths", False), ("checks", True)]


# Design


def test_a_design_lacks_nothing(here: Project) -> None:
    assert (
        said(here, Stage.DESIGN, {f"{FOLDER}/design.md": None})
        == f"design document: design.md is missing: write {FOLDER}/design.md"
    )
    assert "leaves empty: Risks" in said(
        here,
        Stage.DESIGN,
        {f"{FOLDER}/design.md": (GOOD[f"{FOLDER}/design.md"] or b"").replace(b"## Risks\nAdd.\n", b"## Risks\n\n")},
    )


def test_a_document_that_is_a_link_or_a_book_counts_for_nothing(here: Project) -> None:
    repo, path = here.bench.repo, f"{FOLDER}/design.md"
    aim = git.git(repo, "hash-object", "-w", "--stdin", stdin=b"../../calc.py")
    linked = put(repo, git.tree_from(repo, git.tree_of(repo, here.base), [f"120000 {aim}\t{path}"]), here.base)
    assert "design.md is missing" in fault(here.judge(Stage.DESIGN, linked))
    assert "design.md has 2 MiB" in said(here, Stage.DESIGN, {path: b"## Goal\n" * (1 << 18)})


def test_a_design_changes_no_code(here: Project) -> None:
    assert said(here, Stage.DESIGN, {}) == (
        "only a design: a design changes nothing but tasks/t/ and new task files: undo the change of calc.py"
    )


SUBTASKS = {
    "tasks/t-one.yaml": (b"title: One\nparent: t\n", ""),
    "tasks/t-two.yaml": (b"title: Two\nparent: t\ndepends_on: [other]\n", ""),
    "tasks/t-broken.yaml": (b"titel: One\n", "tasks/t-broken.yaml"),
    "tasks/free.yaml": (b"title: Free\n", "tasks/free.yaml is no subtask"),
    "tasks/t-else.yaml": (b"title: Else\n", "tasks/t-else.yaml is no subtask"),
    "tasks/other/t-hidden.yaml": (b"title: Hidden\nparent: t\n", "tasks/other/t-hidden.yaml is no subtask"),
    "tasks/sub/other.yaml": (b"title: Twice\n", "is also that of"),
    "tasks/t-waits.yaml": (b"title: Waits\nparent: t\ndepends_on: [nobody]\n", "no task is named nobody"),
    "tasks/other.yaml": (b"title: Mine now\nparent: t\n", "undo the change of tasks/other.yaml"),
    "tasks/t.yaml": (b"title: Easier\n", "undo the change of tasks/t.yaml"),
    "t-one.yaml": (b"title: One\nparent: t\n", "undo the change of t-one.yaml"),
}


@pytest.mark.parametrize("path", SUBTASKS)
def test_a_design_may_add_subtasks_and_no_other_task(here: Project, path: str) -> None:
    data, expected = SUBTASKS[path]
    found = fault(
        here.judge(Stage.DESIGN, here.commit({f"{FOLDER}/design.md": GOOD[f"{FOLDER}/design.md"], path: data}))
    )
    assert expected in found and bool(expected) == bool(found)


# Build


def test_a_build_changes_something_beside_its_own_record(here: Project) -> None:
    only = {f"{FOLDER}/build.md": b"I built it. All tests pass.\n", f"{FOLDER}/record.yaml": b"version: 1\n"}
    assert "a change: nothing was changed" in fault(here.judge(Stage.BUILD, here.commit(only)))
    assert fault(here.judge(Stage.BUILD, here.commit({f"{FOLDER}/output/result.csv": b"1\n"}))) == ""


def test_what_base_or_the_task_branch_changed_meanwhile_is_no_change_of_the_stage(here: Project) -> None:
    target, base = here.commit({"calc.py": FIXED}), here.commit({"news.txt": b"1\n"})
    merged = here.commit({"calc.py": FIXED, "news.txt": b"1\n"}, target, base)
    assert change(here.bench.repo, merged, target, base) == ()
    assert "nothing was changed" in fault(here.judge(Stage.BUILD, merged, target=target, base=base))
    more = here.commit({"calc.py": FIXED, "news.txt": b"1\n", "mine.txt": b""}, merged)
    assert change(here.bench.repo, more, target, base) == ("mine.txt",)


def test_a_build_that_breaks_a_check_is_refused_whatever_its_agent_says(here: Project) -> None:
    claims = {f"{FOLDER}/build.md": b"All tests pass.\n", "calc.py": b"def add(a, b):\n    return 1\n"}
    found = fault(here.judge(Stage.BUILD, here.commit(claims)))
    assert found.startswith(f"checks: $ {CHECK}\nexit 1") and "AssertionError: 1 != 0" in found


def test_a_build_need_not_pass_what_fails_on_base(here: Project) -> None:
    checks = (CHECK, "grep -q '+' calc.py")
    worse = here.commit({"calc.py": b"def add(a, b):\n    return a - b - 0\n"})
    assert fault(here.judge(Stage.BUILD, worse, checks=checks)) == ""
    left = [v.gate.command for v in here.judge(Stage.BUILD, worse, checks=checks) if v.gate.name == "checks left out"]
    assert left == ["base fails it too: grep -q '+' calc.py"]
    found = here.judge(Stage.TEST, worse, checks=checks, acceptance=())
    assert "checks 2: $ grep" in fault(found) and fault(found).endswith("\nBase fails it too.")
    assert found[-1].brief == "base fails it too; exit 1: it said nothing"


def test_what_a_check_says_last_is_said_in_a_line(here: Project) -> None:
    broken = here.commit({**GOOD, "calc.py": b"def add(a, b):\n    return 1\n"})
    brief = here.judge(Stage.BUILD, broken)[-1].brief
    assert brief.startswith("exit 1: ") and "AssertionError: 1 != 0; Ran 2 tests" in brief, brief
    assert brief.endswith("; FAILED (failures=2)") and "---" not in brief, brief


PROTECTED = (
    ".github/workflows/x.yml", "agents.yaml", ".pullwright/prompts/review.md", "CODEOWNERS", "docs/CODEOWNERS",
    "Agents.YAML", ".GitHub/workflows/x.yml",
)  # fmt: skip


@pytest.mark.parametrize("path", PROTECTED)
@pytest.mark.parametrize("stage", [Stage.BUILD, Stage.COMPLETE])
def test_protected_paths_are_not_touched(here: Project, path: str, stage: Stage) -> None:
    assert said(here, stage, {path: b"x\n"}) == (
        f"protected paths: {path} is protected and only a person may change it: undo that"
    )


@pytest.mark.parametrize("mode", ["120000", "160000", "100755"])
def test_a_protected_path_is_not_replaced_by_a_link_a_submodule_or_a_mode(here: Project, mode: str) -> None:
    repo = here.bench.repo
    blob = git.git(repo, "hash-object", "-w", "--stdin", stdin=b"elsewhere")
    base = put(
        repo, git.tree_with(repo, git.tree_of(repo, here.base), {"lock/a": b"elsewhere", "b": b"elsewhere"}), here.base
    )
    for path in ("lock/a", "lock", "b"):
        tree = git.tree_from(repo, git.tree_of(repo, base), [f"{mode} {blob}\t{path}", f"100644 {blob}\twork"])
        found = here.judge(Stage.BUILD, put(repo, tree, base), base=base, policy=Policy(protected=("lock/**", "/b")))
        assert f"{path}" in fault(found) and "is protected" in fault(found)


FOREIGN = ("tasks/other/record.yaml", "tasks/other/updates.jsonl", "tasks/other/design.md", "tasks/other.yaml",
           "tasks/t.yaml", "tasks/new/record.yaml", "Tasks/Other/Record.yaml")  # fmt: skip


@pytest.mark.parametrize("path", FOREIGN)
def test_no_task_writes_what_belongs_to_another_one(here: Project, path: str) -> None:
    """`tasks/other/record.yaml` with `state: done` would be a stage that nobody has done."""
    assert said(here, Stage.BUILD, {path: b"title: x\n"}) == (
        f"protected paths: {path} is a task's file or record, which this task may not change: undo that"
    )
    assert said(here, Stage.BUILD, {"tasks/other/record.yaml": None}).startswith("protected paths: tasks/other/rec")


def test_a_new_task_file_is_for_a_person_to_accept_and_no_fault(here: Project) -> None:
    assert said(here, Stage.BUILD, {"tasks/follow-up.yaml": b"title: Next\n", "tasks/jobs.py": b"\n"}) == ""


# Test


@pytest.mark.parametrize("stage", [Stage.TEST, Stage.REVIEW, Stage.COMPLETE])
def test_a_failing_check_is_refused_at_every_stage(here: Project, stage: Stage) -> None:
    assert "checks: $ " in said(here, stage, {"calc.py": BASE["calc.py"]})


def test_tests_that_pass_without_the_change_as_well_are_refused(here: Project) -> None:
    weak = suite(OLD_TEST, "test_more: self.assertEqual(calc.add(5, 0), 5)")
    assert said(here, Stage.TEST, {"tests/test_calc.py": weak}) == (
        "tests fail without the change: the new tests also pass without the change, so they do not show that it works:"
        " test what was changed"
    )


def test_a_person_may_say_that_tests_need_not_fail_before(here: Project) -> None:
    weak = {"tests/test_calc.py": suite(OLD_TEST, "test_more: self.assertEqual(calc.add(5, 0), 5)")}
    assert said(here, Stage.TEST, weak, tests_must_fail_before=False) == ""


NO_TESTS: dict[str, Files] = {
    "none": {"tests/test_calc.py": BASE["tests/test_calc.py"]},
    "elsewhere": {"tests/test_calc.py": BASE["tests/test_calc.py"], "checks/test_calc.py": suite(NEW_TEST)},
    "in the record": {"tests/test_calc.py": BASE["tests/test_calc.py"], f"{FOLDER}/tests/test_x.py": suite(NEW_TEST)},
}


@pytest.mark.parametrize("where", NO_TESTS)
def test_where_no_file_of_the_tests_changed_there_is_no_new_test(here: Project, where: str) -> None:
    assert "no test file is new or changed" in said(here, Stage.TEST, NO_TESTS[where], tests=("tests/**", "**/tests/*"))


def test_a_deleted_test_is_no_new_test(here: Project) -> None:
    changes = {"tests/test_calc.py": BASE["tests/test_calc.py"], "tests/__init__.py": None}
    assert "no test file is new or changed" in said(here, Stage.TEST, changes, checks=("true",))


def test_a_test_that_only_looks_for_the_documents_of_its_record_shows_nothing(here: Project) -> None:
    look = f"test_doc: import pathlib; self.assertTrue(pathlib.Path('{REPORT}').exists())"
    assert "also pass without the change" in said(here, Stage.TEST, {"tests/test_calc.py": suite(OLD_TEST, look)})


def test_a_test_of_what_lies_in_output_does_show_it(here: Project) -> None:
    look = f"test_out: import pathlib; self.assertTrue(pathlib.Path('{FOLDER}/output/r.csv').exists())"
    changes = {"tests/test_calc.py": suite(OLD_TEST, look), f"{FOLDER}/output/r.csv": b"1\n"}
    assert said(here, Stage.TEST, changes) == ""


def test_the_tests_are_laid_over_base_and_nothing_else_is(here: Project) -> None:
    repo = here.bench.repo
    commit = here.commit({**GOOD, "helper.py": b"", "tests/__init__.py": None, "tests/deep/data.txt": b"1"})
    made = trials.tests_on_base(repo, here.case(Stage.TEST, commit))
    assert {f"{kind} {path}" for path, kind in git.changed(repo, here.base, made).items()} == {
        "M tests/test_calc.py", "D tests/__init__.py", "A tests/deep/data.txt", "A tasks/t/design.md",
        "A tasks/t/review.md", "A tasks/t/summary.md", f"A {REPORT}",
    }  # fmt: skip


def test_a_test_that_hangs_without_the_change_fails_without_it(here: Project) -> None:
    quick = here._replace(bench=here.bench._replace(seconds=5, state=here.bench.state / "quick"))
    wait = "test_wait: import time; time.sleep(0 if calc.add(1, 1) == 2 else 300)"
    verdicts = quick.judge(Stage.TEST, here.commit({**GOOD, "tests/test_calc.py": suite(OLD_TEST, wait)}))
    assert fault(verdicts) == ""


RED = "test_old: self.assertEqual(calc.add(1, 1), 2)"
LINT = "test ! -e lint-me"
GROWS = "test -e calc.txt || exit $((4 + $(grep -c 'def ' tests/test_calc.py)))"


@pytest.mark.parametrize(
    ("old", "new", "extra", "shown"),
    [
        ((RED,), (RED, NEW_TEST), (), True),  # one failed, now two
        ((RED,), (RED, "test_more: pass"), (), False),  # one failed, still one
        ((RED,), (RED, "test_more: pass"), (LINT,), False),
        ((RED,), (RED, NEW_TEST), (LINT,), True),
        ((OLD_TEST,), (OLD_TEST, "test_more: pass"), ("test -e calc.txt",), False),  # fails on base, by itself
        ((OLD_TEST,), (OLD_TEST, "test_more: pass"), (GROWS,), True),  # with another exit status than on base
    ],
)  # fmt: skip
def test_on_a_base_where_checks_fail_new_tests_must_make_it_worse(
    here: Project, old: tuple[str, ...], new: tuple[str, ...], extra: tuple[str, ...], shown: bool
) -> None:
    base = here.commit({"tests/test_calc.py": suite(*old)})
    commit = here.commit({**GOOD, "tests/test_calc.py": suite(*new), "calc.txt": b""}, base)
    found = fault(here.judge(Stage.TEST, commit, base=base, checks=(CHECK, *extra)))
    assert (found == "") is shown, found


def test_where_nothing_is_counted_and_base_fails_anyway_no_more_can_be_asked(here: Project) -> None:
    base = here.commit({"README": b"red"})
    commit = here.commit({**GOOD, "calc.txt": b""}, base)
    assert fault(here.judge(Stage.TEST, commit, base=base, checks=("test -e calc.txt", "true"))) == ""


def test_the_first_tests_of_a_repository_can_show_a_change(here: Project) -> None:
    """`pytest -q` without any test exits with 5: a check that fails on base is no reason never to pass."""
    check = "ls tests/test_*.py >/dev/null 2>&1 || exit 5; " + CHECK
    base = here.commit({"tests/test_calc.py": None, "README": b""})
    for test, expected in ((NEW_TEST, ""), (OLD_TEST, "also pass without the change")):
        commit = here.commit({**GOOD, "tests/test_calc.py": suite(test)}, base)
        found = fault(here.judge(Stage.TEST, commit, base=base, checks=("true", check)))
        assert expected in found and bool(expected) == bool(found)


def test_each_acceptance_line_is_answered(here: Project) -> None:
    assert "acceptance: test-report.md does not answer" in said(here, Stage.TEST, {REPORT: b"All tests pass.\n"})
    assert "test-report.md is missing" in said(here, Stage.TEST, {REPORT: None})
    assert said(here, Stage.TEST, {REPORT: None}, acceptance=()) == ""


# Review


def test_a_finding_that_is_open_is_refused(here: Project) -> None:
    review = f"{FOLDER}/review.md"
    assert "leaves a finding open" in said(here, Stage.REVIEW, {review: b"- [high] it breaks\nNo findings.\n"})
    assert said(here, Stage.REVIEW, {review: b"No findings.\n"}) == ""


T = "tests/test_calc.py"
SKIPPED = suite(OLD_TEST, NEW_TEST).replace(b"    def test_zero", b"    @unittest.skip('x')\n    def test_zero")
NO_SUITE = b"def load_tests(loader, tests, pattern):\n    return loader.suiteClass()\n"
LOST: dict[str, tuple[Files, str]] = {
    "deleted": ({T: suite(NEW_TEST)}, f"the test test_zero of {T} was deleted"),
    "file deleted": ({T: None}, "was deleted"),
    "skipped": ({T: SKIPPED}, f"test_zero of {T} was skipped"),
    "emptied": ({T: suite("test_zero: pass", NEW_TEST)}, f"test_zero of {T} was emptied"),
    "moved out": ({T: None, "attic/test_calc.py": suite(OLD_TEST, NEW_TEST)}, f"test_zero of {T} was deleted"),
    "not run": ({T: None, "tests/calc_old.py": suite(OLD_TEST, NEW_TEST)}, "ran 0 tests with success, on base 1"),
    "quoted": ({T: b'"""\n' + suite(OLD_TEST, NEW_TEST) + b'"""\n'}, "ran 0 tests with success, on base 1"),
    "ended early": ({"tests/__init__.py": b"import os\nos._exit(0)\n"}, "ran 0 tests with success, on base 1"),
    "not loaded": ({"tests/__init__.py": NO_SUITE}, "ran 0 tests with success, on base 1"),
}


@pytest.mark.parametrize("how", LOST)
def test_no_test_is_lost(here: Project, how: str) -> None:
    changes, expected = LOST[how]
    assert expected in said(here, Stage.REVIEW, changes)


def test_a_test_may_move_and_grow(here: Project) -> None:
    moved = {"tests/test_calc.py": None, "tests/test_sums.py": suite(NEW_TEST, OLD_TEST)}
    assert said(here, Stage.REVIEW, moved) == ""


def test_tests_that_the_task_itself_added_are_kept_too(here: Project) -> None:
    target = here.commit(GOOD)
    without = here.commit({**GOOD, "tests/test_calc.py": suite(OLD_TEST)}, target)
    assert "test_sum of tests/test_calc.py was deleted" in fault(here.judge(Stage.REVIEW, without, target=target))


# Complete


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"Done.\n", "summary.md lacks its line"),
        (b" \n", "summary.md is empty"),
        (b"Result: nowhere.py\n", "names nowhere.py as its result, which is not there"),
        (b"Result: ../../etc/passwd\n", "not there"),
        (b"Result: /etc/passwd\n", "not there"),
        (b"Result: :(top)calc.py\n", "not there"),
        (b"Result: output/r.csv\n", ""),
        (b"Result: output\n", "not there"),
        (b"Result: tests/\n", ""),
        (b"**Result:** `./calc.py`\n", ""),
        (b"Result: /workspace/src/calc.py.\n", ""),
    ],
)
def test_the_summary_names_a_result_that_is_there(here: Project, text: bytes, expected: str) -> None:
    changes = {f"{FOLDER}/summary.md": text, f"{FOLDER}/output/r.csv": b"1\n"}
    found = said(here, Stage.COMPLETE, changes, checks=())
    assert expected in found and bool(expected) == bool(found)


def test_every_stage_before_is_done(here: Project) -> None:
    done = (Stage.DESIGN, Stage.BUILD, Stage.REVIEW)
    assert said(here, Stage.COMPLETE, {}, done=done) == "stages: these stages are not done: test"


def test_base_is_merged_in(here: Project) -> None:
    newer = here.commit({"news": b"1"})
    assert "is not merged in" in said(here, Stage.COMPLETE, {}, base=newer, target=here.base)
