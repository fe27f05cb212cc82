"""The evidence that each stage needs before it is proposed. An agent's word is never evidence.

`judge` is the only door: a commit goes in, verdicts come out; the first that fails is what the agent hears of.
"""

import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import NamedTuple

from runner import checks, git, paperwork, policy, task
from runner.agents import Settings
from runner.checks import Bench, Verdict
from runner.errors import UserError
from runner.lifecycle import Stage
from runner.record import Gate, Record

GENERATED = ("record.yaml", "updates.jsonl")


class Case(NamedTuple):
    """What is judged: `commit` of a stage, between its `target` and the `base` commit last merged in.

    `folder` is that of the task's record, `record` the record as it stands, `settings` those of base.
    """

    stage: Stage
    commit: str
    target: str
    base: str
    folder: str
    record: Record
    settings: Settings


def change(repo: git.Repo, commit: str, target: str, base: str) -> tuple[str, ...]:
    """A stage's change: the paths whose content differs from both its target and the base commit last merged in."""
    return tuple(sorted(set(git.changed(repo, target, commit)) & set(git.changed(repo, base, commit))))


def generated(folder: str) -> frozenset[str]:
    """The files that only the runner writes."""
    return frozenset(f"{folder}/{name}" for name in GENERATED)


def judge(bench: Bench, case: Case) -> tuple[Verdict, ...]:
    """Run the gates of the case's stage in order, up to the first that fails."""
    found = []
    for verdict in _GATES[case.stage](bench, case):
        found.append(verdict)
        if not verdict.gate.passed:
            break
    return tuple(found)


def _design(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _paper(
        "design document", "design.md has its headings", lambda: paperwork.design(_text(bench, case, "design.md"))
    )
    yield _paper(
        "only a design", "nothing but the record and new task files changed", lambda: _only_design(bench, case)
    )


def _build(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _paper("a change", "something outside the record changed", lambda: _something_changed(bench, case))
    yield _paper("protected paths", "no protected path touched", lambda: _protected(bench, case))
    yield from _checks(bench, case)


def _test(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _paper("protected paths", "no protected path touched", lambda: _protected(bench, case))
    yield _paper(
        "acceptance",
        "test-report.md answers each acceptance line",
        lambda: paperwork.acceptance(_text(bench, case, "test-report.md"), case.record.request.acceptance),
    )
    yield from _checks(bench, case)
    if case.record.request.tests_must_fail_before and case.settings.checks:
        yield _fail_before(bench, case)


def _review(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _paper("protected paths", "no protected path touched", lambda: _protected(bench, case))
    yield _paper(
        "findings", "review.md answers every finding", lambda: paperwork.review(_text(bench, case, "review.md"))
    )
    yield _paper("tests kept", "no test deleted or skipped", lambda: _tests_kept(bench, case))
    yield from _checks(bench, case)


def _complete(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _paper("protected paths", "no protected path touched", lambda: _protected(bench, case))
    yield _paper("summary", "summary.md names its result", lambda: _summary(bench, case))
    yield _paper("stages", "all stages before are done", lambda: _all_done(case))
    yield from _checks(bench, case)


_GATES: dict[Stage, Callable[[Bench, Case], Iterator[Verdict]]] = {
    Stage.DESIGN: _design,
    Stage.BUILD: _build,
    Stage.TEST: _test,
    Stage.REVIEW: _review,
    Stage.COMPLETE: _complete,
}


def _paper(name: str, rule: str, look: Callable[[], str | None]) -> Verdict:
    """A gate that looks at files and runs nothing of them."""
    started = time.monotonic()
    fault = look()
    return Verdict(Gate(name, rule, 1 if fault else 0, round(time.monotonic() - started, 1)), fault or "")


def _checks(bench: Bench, case: Case) -> tuple[Verdict, ...]:
    """The checks pass; a build need only pass those that base passes, since the rest may be what it is for."""
    lines = case.settings.checks
    if case.stage is Stage.BUILD:
        lines = checks.passing_on(bench, case.base, case.settings)
    return checks.run_checks(bench, case.commit, case.settings, lines)


def _fail_before(bench: Bench, case: Case) -> Verdict:
    """The new tests fail on base, with only the files matching `tests` laid over it."""
    name = "tests fail without the change"
    if not _changed_tests(bench, case):
        missing = (
            f"no test file is new or changed (tests: {', '.join(case.settings.tests)}): write tests for the change"
        )
        return Verdict(Gate(name, "the tests on base", 1, 0.0), missing)
    lines = checks.passing_on(bench, case.base, case.settings)
    if not lines:
        return Verdict(Gate(name, "the checks fail on base as it is", 0, 0.0))
    verdicts = checks.run_checks(bench, _tests_on_base(bench, case), case.settings, lines, "tests on base")
    seconds = sum(verdict.gate.seconds for verdict in verdicts)
    if any(verdict.gate.exit not in (0, None) and verdict.gate.name != "setup" for verdict in verdicts):
        return Verdict(Gate(name, "; ".join(lines), 0, seconds))
    fault = "the new tests also pass without the change, so they do not show that it works: test what was changed"
    return Verdict(Gate(name, "; ".join(lines), 1, seconds), fault)


def _tests_on_base(bench: Bench, case: Case) -> str:
    """The tree of base in which the files matching `tests` are those of the commit."""
    here = {file.path: file for file in git.files(bench.repo, case.commit) if _is_test(file.path, case)}
    gone = [
        file.path for file in git.files(bench.repo, case.base) if _is_test(file.path, case) and file.path not in here
    ]
    lines = [f"0 {'0' * 40}\t{path}" for path in gone]
    lines += [f"{file.mode} {file.blob}\t{path}" for path, file in here.items()]
    return git.tree_from(bench.repo, git.tree_of(bench.repo, case.base), lines)


def _changed_tests(bench: Bench, case: Case) -> tuple[str, ...]:
    differing = git.changed(bench.repo, case.base, case.commit)
    return tuple(path for path, kind in differing.items() if kind != "D" and _is_test(path, case))


def _is_test(path: str, case: Case) -> bool:
    if path.startswith(f"{case.folder}/"):
        return False
    return bool(policy.touches((path,), case.settings.tests)) or any(fnmatch(path, t) for t in case.settings.tests)


def _tests_kept(bench: Bench, case: Case) -> str | None:
    after = _tests_of(bench, case, case.commit)
    for before in (case.base, case.target):
        fault = paperwork.weakened(_tests_of(bench, case, before), after)
        if fault:
            return fault
    return None


def _tests_of(bench: Bench, case: Case, rev: str) -> dict[str, str]:
    found = [file for file in git.files(bench.repo, rev) if _is_test(file.path, case) and file.mode.startswith("100")]
    texts = git.blobs(bench.repo, [file.blob for file in found])
    return {file.path: texts[file.blob].decode("utf-8", "replace") for file in found}


def _text(bench: Bench, case: Case, name: str) -> str:
    data = git.read(bench.repo, case.commit, f"{case.folder}/{name}")
    return (data or b"").decode("utf-8", "replace")


def _only_design(bench: Bench, case: Case) -> str | None:
    paths = change(bench.repo, case.commit, case.target, case.base)
    others = [path for path in paths if not path.startswith(f"{case.folder}/")]
    new = git.changed(bench.repo, case.target, case.commit)
    for path in others:
        if new.get(path) != "A" or not is_task_file(path):
            return f"a design changes nothing but {case.folder}/ and new task files: undo the change of {path}"
        try:
            task.parse_task(path, git.read(bench.repo, case.commit, path) or b"")
        except UserError as error:
            return f"{error.what} ({error.remedy})"
    return None


def is_task_file(path: str) -> bool:
    """Whether a path is where a task may stand."""
    return path.startswith("tasks/") and path.endswith(".yaml")


def _something_changed(bench: Bench, case: Case) -> str | None:
    paths = change(bench.repo, case.commit, case.target, case.base)
    outside = [
        path for path in paths if not path.startswith(f"{case.folder}/") or path.startswith(f"{case.folder}/output/")
    ]
    return None if outside else "nothing was changed: build what the task asks for, in the repository or in output/"


def _protected(bench: Bench, case: Case) -> str | None:
    touched = policy.touches(change(bench.repo, case.commit, case.target, case.base), case.settings.policy.protected)
    return f"{touched[0]} is protected and only a person may change it: undo that" if touched else None


def _summary(bench: Bench, case: Case) -> str | None:
    return paperwork.summary(_text(bench, case, "summary.md"))[0]


def _all_done(case: Case) -> str | None:
    entries = case.record.stages
    wanted = [stage for stage in case.record.request.stages if stage not in case.record.skipped]
    open_ = [
        stage
        for stage in wanted
        if stage is not case.stage and (stage not in entries or entries[stage].state != "done")
    ]
    return f"these stages are not done: {', '.join(open_)}" if open_ else None
