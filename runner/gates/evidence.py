"""The evidence that each stage needs before it is proposed. An agent's word is never evidence.

`judge` is the only door: a commit goes in, verdicts come out; the first that fails is what the agent hears of.
"""

import time
from collections.abc import Callable, Iterator
from itertools import chain

from runner import backlog, git, policy
from runner.gates import checks, paperwork, trials
from runner.gates.baseline import compared, left_out, passing_on
from runner.gates.case import Case as Case
from runner.gates.case import change as change
from runner.gates.case import generated as generated
from runner.gates.case import is_task_file as is_task_file
from runner.gates.checks import Bench, Verdict
from runner.lifecycle import Stage
from runner.record import Gate


def judge(bench: Bench, case: Case, told: Callable[[Verdict], None] = lambda verdict: None) -> tuple[Verdict, ...]:
    """Run the gates of the case's stage in order, up to the first that fails; each is `told` as soon as it is known."""
    gates = [_GATES[case.stage](bench, case)]
    if case.is_last and case.stage is not Stage.COMPLETE:
        gates.append(_into_base(bench, case))
    found = []
    for verdict in chain.from_iterable(gates):
        found.append(verdict)
        told(verdict)
        if not verdict.gate.passed:
            break
    return tuple(found)


def _design(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _document(bench, case, "design document", "design.md has its headings", "design.md", paperwork.design)
    yield _paper("only a design", "nothing but the record and new subtasks changed", lambda: _only_design(bench, case))


def _build(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _paper("a change", "something outside the record changed", lambda: _something_changed(bench, case))
    yield _protected(bench, case)
    yield from _checks(bench, case)


def _test(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _protected(bench, case)
    rule, lines = "test-report.md answers each acceptance line", case.record.request.acceptance
    if lines:
        yield _document(
            bench, case, "acceptance", rule, "test-report.md", lambda text: paperwork.acceptance(text, lines)
        )
    yield from _checks(bench, case)
    if case.record.request.tests_must_fail_before and case.settings.checks:
        yield trials.fail_before(bench, case)


def _review(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _protected(bench, case)
    yield _document(bench, case, "findings", "review.md answers every finding", "review.md", paperwork.review)
    yield _paper("tests kept", "no test deleted, skipped or emptied", lambda: trials.kept(bench, case))
    verdicts = _checks(bench, case)
    yield from verdicts
    yield _paper("tests counted", "no fewer tests pass than on base", lambda: trials.counted(bench, case, verdicts))


def _complete(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _protected(bench, case)
    yield _document(
        bench, case, "summary", "summary.md names its result", "summary.md", lambda text: _result(bench, case, text)
    )
    yield from _whole(bench, case)
    yield from _checks(bench, case)


def _into_base(bench: Bench, case: Case) -> Iterator[Verdict]:
    """What `complete` asks of everything that goes into base, where a shorter list of stages ends with another."""
    yield from _whole(bench, case)
    if case.stage in (Stage.DESIGN, Stage.BUILD):  # the others have run all checks on this very commit
        yield from checks.run_checks(bench, case.commit, case.settings, case.settings.checks, "result")


def _whole(bench: Bench, case: Case) -> Iterator[Verdict]:
    yield _paper("stages", "all stages before are done", lambda: _all_done(case))
    yield _paper("base", "base is merged in", lambda: _base_inside(bench, case))


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


def _document(bench: Bench, case: Case, gate: str, rule: str, name: str, look: Callable[[str], str | None]) -> Verdict:
    """A gate on what a document of the record says."""

    def fault() -> str | None:
        data = git.read(bench.repo, case.commit, f"{case.folder}/{name}")
        if data is None:
            return f"{name} is missing: write {case.folder}/{name}"
        if len(data) > paperwork.DOCUMENT_CAP:
            return f"{name} has {len(data) >> 20} MiB: write it for people to read"
        return look(data.decode("utf-8", "replace"))

    return _paper(gate, rule, fault)


def _checks(bench: Bench, case: Case) -> tuple[Verdict, ...]:
    """The checks pass; a build need only pass those that base passes, since the rest may be what it is for."""
    commit, base, settings = case.commit, case.base, case.settings
    if case.stage is Stage.BUILD:
        asked = checks.run_checks(bench, commit, settings, passing_on(bench, base, settings))
        return (*left_out(bench, base, settings), *asked)
    return compared(bench, base, settings, checks.run_checks(bench, commit, settings, settings.checks))


def _only_design(bench: Bench, case: Case) -> str | None:
    """New task files are subtasks: others would become tasks of their own when all is merged."""
    new = git.changed(bench.repo, case.target, case.commit)
    mine = case.folder.rpartition("/")[2]
    others = [path for path in change(bench.repo, case.commit, case.target, case.base) if not case.inside(path)]
    for path in others:
        if new.get(path) != "A" or not is_task_file(path):
            return f"a design changes nothing but {case.folder}/ and new task files: undo the change of {path}"
    if not others:
        return None
    found = backlog.read(bench.repo, case.commit)
    parents = {task.path: task.request.parent for task in found.tasks}
    faults = {problem.path: f"{problem.path}: {problem.what} ({problem.remedy})" for problem in found.problems}
    for path in others:
        if path in faults:
            return faults[path]
        if parents.get(path) != mine:
            return f"{path} is no subtask: put it beside {case.folder}, with the line `parent: {mine}`"
    return None


def _something_changed(bench: Bench, case: Case) -> str | None:
    paths = change(bench.repo, case.commit, case.target, case.base)
    work = [path for path in paths if not case.inside(path) or path.startswith(f"{case.folder}/output/")]
    return None if work else "nothing was changed: build what the task asks for, in the repository or in output/"


def _protected(bench: Bench, case: Case) -> Verdict:
    return _paper("protected paths", "no protected path touched", lambda: _touched(bench, case))


def _touched(bench: Bench, case: Case) -> str | None:
    paths = change(bench.repo, case.commit, case.target, case.base)
    for path in policy.touches(paths, case.settings.policy.protected):
        return f"{path} is protected and only a person may change it: undo that"
    for path in _foreign(bench, case, paths):
        return f"{path} is a task's file or record, which this task may not change: undo that"
    return None


def _foreign(bench: Bench, case: Case, paths: tuple[str, ...]) -> Iterator[str]:
    """Files of tasks, and other tasks' records: with those, one task could declare another one done."""
    fresh = git.changed(bench.repo, case.accepted or case.target, case.commit)
    mine = [path for path in paths if path in fresh and not case.inside(path)]
    below = [path for path in mine if policy.folded(path).startswith("tasks/")]
    if not below:
        return
    known = [file.path for rev in (case.base, case.target) for file in git.files(bench.repo, rev, "tasks")]
    records = tuple(
        path.removesuffix("record.yaml") for path in known if path.count("/") > 1 and path.endswith("/record.yaml")
    )
    for path in below:
        written_by_runner = policy.folded(path).endswith(("/record.yaml", "/updates.jsonl"))
        if written_by_runner or path.startswith(records) or (path in known and is_task_file(path)):
            yield path


def _result(bench: Bench, case: Case, text: str) -> str | None:
    """The result that the summary names is there, in the repository or in the task's `output/`."""
    fault, path = paperwork.summary(text)
    if path is None:
        return fault
    places = {path.rstrip("/")} | ({f"{case.folder}/{path.rstrip('/')}"} if path.startswith("output/") else set())
    there = (file.path for file in git.files(bench.repo, case.commit))
    if any(file == place or file.startswith(f"{place}/") for file in there for place in places):
        return None
    return f"summary.md names {path} as its result, which is not there: name a file of the repository or of output/"


def _all_done(case: Case) -> str | None:
    entries = case.record.stages
    wanted = [stage for stage in case.record.request.stages if stage not in case.record.skipped]
    open_ = [
        stage
        for stage in wanted
        if stage is not case.stage and (stage not in entries or entries[stage].state != "done")
    ]
    return f"these stages are not done: {', '.join(open_)}" if open_ else None


def _base_inside(bench: Bench, case: Case) -> str | None:
    inside = git.is_ancestor(bench.repo, case.base, case.commit)
    return None if inside else f"base ({case.base[:12]}) is not merged in"
