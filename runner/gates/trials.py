"""The gates that concern tests: new ones show the change, old ones stay as they are."""

from collections.abc import Iterable

from runner import git
from runner.gates import weakening
from runner.gates.baseline import Baseline, baseline
from runner.gates.case import Case
from runner.gates.checks import Bench, Verdict, run_checks
from runner.git import File
from runner.record import Gate

TEST_CAP = 1 << 20  # bytes of one file: a larger one is data, and no test is looked for in it


def fail_before(bench: Bench, case: Case) -> Verdict:
    """The new tests fail on base, with only the files matching `tests` laid over it.

    The documents of the record are laid over it too: a test that only looks for them shows nothing of the change.
    """
    differing = git.changed(bench.repo, case.base, case.commit)
    if not case.tests(path for path, kind in differing.items() if kind != "D"):
        wanted = ", ".join(case.settings.tests)
        return _said(0.0, f"no test file is new or changed (tests: {wanted}): write tests for the change")
    found = run_checks(bench, tests_on_base(bench.repo, case), case.settings, case.settings.checks, "tests on base")
    seconds = sum(verdict.gate.seconds for verdict in found)
    if found[0].gate.name == "setup":
        return _said(seconds, f"with the new tests, the setup fails on base: {found[0].detail}")
    before = {one.command: one for one in baseline(bench, case.base, case.settings)}
    return _said(seconds, _fault(found, before))


def _said(seconds: float, fault: str) -> Verdict:
    rule = "on base with the new tests, a check fails"
    return Verdict(Gate("tests fail without the change", rule, 1 if fault else 0, round(seconds, 1)), fault)


def _fault(found: tuple[Verdict, ...], before: dict[str, Baseline]) -> str:
    """Pure: why these results do not show that the new tests fail on base; empty where they do."""
    failing = [verdict for verdict in found if not verdict.gate.passed and verdict.ending != "disk"]
    if any(shows(verdict, before[verdict.gate.command]) for verdict in failing):
        return ""
    if failing and not any(verdict.tally for verdict in found):
        return ""  # what fails on base anyway, and counts nothing, can tell no more than that it still fails
    return "the new tests also pass without the change, so they do not show that it works: test what was changed"


def shows(verdict: Verdict, before: Baseline) -> bool:
    """Pure: whether a check that fails on base with the new tests fails because of them."""
    worse = verdict.tally is not None and verdict.tally.failed > (before.tally.failed if before.tally else 0)
    return before.passed or verdict.gate.exit != before.exit or worse


def tests_on_base(repo: git.Repo, case: Case) -> str:
    """The tree of base in which the tests, and the record's documents, are those of the commit."""
    here = _laid_over(git.files(repo, case.commit), case)
    there = _laid_over(git.files(repo, case.base), case)
    lines = [f"0 {'0' * 40}\t{path}" for path in there if path not in here]
    lines += [f"{file.mode} {file.blob}\t{path}" for path, file in here.items()]
    return git.tree_from(repo, git.tree_of(repo, case.base), lines)


def _laid_over(files: Iterable[File], case: Case) -> dict[str, File]:
    by_path = {file.path: file for file in files}
    tests = set(case.tests(by_path))
    output = f"{case.folder}/output/"
    return {p: f for p, f in by_path.items() if p in tests or (case.inside(p) and not p.startswith(output))}


def kept(bench: Bench, case: Case) -> str | None:
    """No test of base or of the task branch was deleted, skipped or emptied."""
    for before in (case.base, case.target):
        fault = _weakened(bench.repo, case, before)
        if fault:
            return fault
    return None


def _weakened(repo: git.Repo, case: Case, before: str) -> str | None:
    """Only files that differ are read: what is the same on both sides keeps its tests."""
    paths = set(case.tests(git.changed(repo, before, case.commit)))
    if not paths:
        return None
    return weakening.weakened(_texts(repo, before, paths), _texts(repo, case.commit, paths))


def _texts(repo: git.Repo, rev: str, paths: set[str]) -> dict[str, str]:
    found = [file for file in git.files(repo, rev) if file.path in paths and file.mode.startswith("100")]
    contents = git.blobs(repo, [file.blob for file in found])
    texts = {file.path: contents[file.blob] for file in found}
    return {path: data.decode("utf-8", "replace") for path, data in texts.items() if len(data) <= TEST_CAP}


def counted(bench: Bench, case: Case, verdicts: tuple[Verdict, ...]) -> str | None:
    """No fewer tests pass than on base, where a check's output counts them: that none was lost is not read but seen."""
    before = {one.command: one for one in baseline(bench, case.base, case.settings)}
    for verdict in verdicts:
        was = before.get(verdict.gate.command)
        if was is None or not was.passed or was.tally is None:
            continue
        now = verdict.tally.passed if verdict.tally else 0
        if now < was.tally.passed:
            return (
                f"`{verdict.gate.command}` ran {now} tests with success, on base {was.tally.passed}:"
                " no test may be lost, deselected or skipped"
            )
    return None
