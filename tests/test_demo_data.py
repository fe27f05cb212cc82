"""The recording of the demo is true: the real tools carry out its calls, and what it says is what happened."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from runner.agents import parse_settings
from runner.errors import ToolError
from runner.gates import paperwork
from runner.lifecycle import STAGES, Stage
from runner.sandbox import Mount
from runner.sandbox.bubblewrap import Bubblewrap
from runner.task import parse_task
from runner.tools import Finish, Journal, Work, offered, toolbox

DEMO = Path(__file__).parent.parent / "pullwright/demo"
TASK = "tasks/night-shifts"
SETTINGS = parse_settings((DEMO / "agents.yaml").read_bytes())
REQUEST = parse_task(f"{TASK}.yaml", (DEMO / f"project/{TASK}.yaml").read_bytes()).request
REPLIES: dict[str, list[dict[str, Any]]] = yaml.safe_load((DEMO / "replies.yaml").read_text())

Tree = dict[str, bytes]


class Turn(NamedTuple):
    """One reply carried out: the tool, what it was given, what came of it, and the text of what the model is told."""

    tool: str
    arguments: dict[str, Any]
    came: object
    told: str


class Told(NamedTuple):
    """A stage as it went, and the repository after it."""

    turns: list[Turn]
    after: Tree


def tree(folder: Path) -> Tree:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def carried_out(stage: Stage, work: Work) -> Iterator[Turn]:
    tools = toolbox(offered(stage, SETTINGS.agents[0].tools), work)
    for reply in REPLIES[stage]:
        (call,) = reply["calls"]
        try:
            came: Any = tools[call["name"]].run(call["arguments"])
            yield Turn(call["name"], call["arguments"], came, getattr(came, "text", ""))
        except ToolError as error:
            yield Turn(call["name"], call["arguments"], error, str(error))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[Stage, Told]:
    workspace = tmp_path_factory.mktemp("workspace")
    shutil.copytree(DEMO / "project", workspace / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (workspace / "tmp").mkdir()
    mounts = (Mount(workspace / "src", "/workspace/src", True), Mount(workspace / "tmp", "/tmp", True))
    work = Work(Bubblewrap(), mounts, Journal(progress=lambda percent: None, note=lambda text: None))
    return {stage: Told(list(carried_out(stage, work)), tree(workspace / "src")) for stage in STAGES}


BASE = tree(DEMO / "project")


def checks_pass(files: Tree, folder: Path) -> bool:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (check,) = SETTINGS.checks
    command = [sys.executable, *check.split()[1:]]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def changed(before: Tree, after: Tree) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def outputs(told: Told) -> str:
    return "\n".join(turn.told for turn in told.turns if turn.tool == "bash")


def test_each_stage_ends_in_finish_and_only_there(story: dict[Stage, Told]) -> None:
    for told in story.values():
        assert [isinstance(turn.came, Finish) for turn in told.turns] == [False] * (len(told.turns) - 1) + [True]


def test_the_only_refused_call_is_the_edit_that_is_corrected_next(story: dict[Stage, Told]) -> None:
    turns = [turn for told in story.values() for turn in told.turns]
    (refused,) = [index for index, turn in enumerate(turns) if isinstance(turn.came, ToolError)]
    wrong, right = turns[refused], turns[refused + 1]
    assert "minute_of_day(self.end) - minute_of_day(self.start)" in wrong.told
    assert (wrong.tool, right.tool) == ("edit", "edit")
    assert right.arguments["path"] == wrong.arguments["path"]


def test_the_projects_tests_pass_before_and_after_every_stage(story: dict[Stage, Told], tmp_path: Path) -> None:
    assert checks_pass(BASE, tmp_path / "base")
    for stage, told in story.items():
        assert checks_pass(told.after, tmp_path / stage)


def test_the_bug_is_real_and_is_mended(story: dict[Stage, Told]) -> None:
    before, after = (outputs(story[stage]) for stage in (Stage.BUILD, Stage.COMPLETE))
    assert "ops      -41:00" in before
    assert "total    18:50" in after


def test_the_new_tests_fail_without_the_change(story: dict[Stage, Told], tmp_path: Path) -> None:
    for stage in (Stage.TEST, Stage.REVIEW):
        tests = {name: content for name, content in story[stage].after.items() if name.startswith("tests/")}
        assert not checks_pass(BASE | tests, tmp_path / stage)


def test_the_reviewers_test_fails_without_the_reviewers_change(story: dict[Stage, Told], tmp_path: Path) -> None:
    tests = {name: content for name, content in story[Stage.REVIEW].after.items() if name.startswith("tests/")}
    assert not checks_pass(story[Stage.TEST].after | tests, tmp_path)


def test_each_stage_changes_what_is_its_to_change(story: dict[Stage, Told]) -> None:
    before, changes = BASE, {}
    for stage, told in story.items():
        changes[stage], before = changed(before, told.after), told.after
    assert changes == {
        Stage.DESIGN: {f"{TASK}/design.md"},
        Stage.BUILD: {"README.md", "worklog/__main__.py", "worklog/entry.py", "worklog/report.py"},
        Stage.TEST: {"tests/test_night_shifts.py", f"{TASK}/test-report.md"},
        Stage.REVIEW: {"tests/test_night_shifts.py", "worklog/__main__.py", f"{TASK}/review.md"},
        Stage.COMPLETE: {f"{TASK}/summary.md"},
    }


def test_the_documents_have_what_the_gates_ask_for(story: dict[Stage, Told]) -> None:
    documents = {name: content.decode() for name, content in story[Stage.COMPLETE].after.items()}
    assert paperwork.design(documents[f"{TASK}/design.md"]) is None
    assert paperwork.acceptance(documents[f"{TASK}/test-report.md"], REQUEST.acceptance) is None
    assert paperwork.review(documents[f"{TASK}/review.md"]) is None
    assert paperwork.summary(documents[f"{TASK}/summary.md"]) == (None, "worklog/__main__.py")
    assert "worklog/__main__.py" in documents


def test_the_report_has_a_heading_for_each_acceptance_line(story: dict[Stage, Told]) -> None:
    report = story[Stage.TEST].after[f"{TASK}/test-report.md"].decode()
    assert set(REQUEST.acceptance) <= set(re.findall(r"^## (.+)$", report, re.MULTILINE))


def test_the_evidence_in_the_report_is_what_the_commands_printed(story: dict[Stage, Told]) -> None:
    report = story[Stage.TEST].after[f"{TASK}/test-report.md"].decode()
    printed = outputs(story[Stage.TEST])
    blocks = re.findall(r"^```\n\$ [^\n]+\n(.*?)^exit 0\n```", report, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    shown = [line for block in blocks[:3] for line in block.splitlines()]
    assert [line for line in shown if line not in printed] == []
    assert "Ran 16 tests" in printed


def test_the_review_counts_the_tests_right(story: dict[Stage, Told]) -> None:
    assert "Ran 17 tests" in outputs(story[Stage.REVIEW])
    assert "All 17 tests pass" in story[Stage.REVIEW].after[f"{TASK}/review.md"].decode()


def test_the_review_finds_something_and_fixes_it(story: dict[Stage, Told]) -> None:
    review = story[Stage.REVIEW].after[f"{TASK}/review.md"].decode()
    findings = re.findall(r"^- \[(high|medium|low)\] .+ — (fixed|answered): .+$", review, re.MULTILINE)
    assert findings == [("medium", "fixed"), ("low", "answered")]
    assert "Traceback" in outputs(story[Stage.REVIEW])


def test_the_readme_of_the_project_shows_the_right_table(story: dict[Stage, Told]) -> None:
    (shown,) = re.findall(
        r"^\$ python3 -m worklog examples/march.log\n(.*?)^```", BASE["README.md"].decode(), re.M | re.S
    )
    assert shown.strip() in outputs(story[Stage.COMPLETE])
