"""`pullwright demo`: the promise of the first minute."""

import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from repositories import COMMAND, Ran, at_home, first_parents, git, pullwright, typed
from wire import ScriptedOllama

from runner.lifecycle import STAGES
from runner.record import Update, parse_record

TASK = "night-shifts"


class Shown(NamedTuple):
    """The demo as it went in a pipe: where, and what it said."""

    place: Path
    ran: Ran


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    top = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        yield Shown(top / "kept", pullwright(top, "demo", "kept"))


def subjects(place: Path, *args: str) -> list[str]:
    return git(place, "log", "--format=%s", *args).splitlines()


def test_it_ends_well(shown: Shown) -> None:
    assert (shown.ran.status, shown.ran.err) == (0, "")
    assert f"{TASK}: complete, 5 of 5 stages" in shown.ran.out


def test_main_sees_one_merge(shown: Shown) -> None:
    merge, start = first_parents(shown.place)
    assert merge == f"Merge complete of {TASK} into main"
    assert start == "A small project, and a task for it"


def test_the_stages_come_together_on_the_task_branch(shown: Shown) -> None:
    work = first_parents(shown.place, f"work/{TASK}")
    merged = [f"Merge {stage} of {TASK} into work/{TASK}" for stage in STAGES[:-1]]
    assert work == [*reversed(merged), "A small project, and a task for it"]
    for stage in STAGES:
        branch = f"agents/{TASK}/{stage}"
        own = subjects(shown.place, "--first-parent", f"{branch}~3..{branch}")
        assert own[::2] == [f"{TASK}: {stage} is ready", own[2]]
        assert own[2].endswith(f" takes {stage}")


def test_there_are_five_stage_branches_and_the_task_branch(shown: Shown) -> None:
    heads = git(shown.place, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/").splitlines()
    assert sorted(heads) == sorted(["main", f"work/{TASK}", *(f"agents/{TASK}/{stage}" for stage in STAGES)])


def test_the_record_on_main_holds_five_stages_with_their_evidence(shown: Shown) -> None:
    path = f"tasks/{TASK}/record.yaml"
    record = parse_record(git(shown.place, "show", f"main:{path}").encode(), path)
    assert list(record.stages) == list(STAGES)
    for entry in record.stages.values():
        assert entry.gates
        assert all(gate.passed for gate in entry.gates)
    assert record.result_path == "worklog/__main__.py"


def test_the_history_tells_the_story(shown: Shown) -> None:
    lines = git(shown.place, "show", f"main:tasks/{TASK}/updates.jsonl").splitlines()
    updates = [msgspec.json.decode(line, type=Update) for line in lines]
    assert len({update.id for update in updates}) == len(updates)
    changes = [update.content for update in updates if update.update_type == "status_change"]
    for stage, (takes, ready) in zip(STAGES, zip(changes[::2], changes[1::2], strict=True), strict=True):
        assert f"takes {stage}" in takes
        assert ready.startswith(f"{stage} is ready")
    for update in updates:
        assert " ".join(update.content.split())[:100] in shown.ran.out


def test_the_projects_own_tests_pass_on_main(shown: Shown) -> None:
    done = subprocess.run(
        ["python3", "-m", "unittest", "discover", "-q", "-s", "tests", "-t", "."], cwd=shown.place, capture_output=True
    )
    assert b"Ran 17 tests" in done.stderr
    assert done.returncode == 0
    git(shown.place, "clean", "-fdxq")


def test_the_checkout_is_that_of_main(shown: Shown) -> None:
    assert git(shown.place, "status", "--porcelain") == ""
    assert (shown.place / "tests/test_night_shifts.py").exists()


def test_the_recorded_model_is_called_recorded(shown: Shown) -> None:
    assert "The model's words are recorded" in shown.ran.out
    assert "here the policy merges by itself" in shown.ran.out


def test_a_pipe_gets_plain_lines(shown: Shown) -> None:
    assert "\x1b" not in shown.ran.out
    assert "\r" not in shown.ran.out
    assert max(map(len, shown.ran.out.splitlines())) < 200


def test_the_commands_to_look_closer_work(shown: Shown) -> None:
    closer = shown.ran.out.partition("Look closer:\n")[2].splitlines()
    assert closer[0].split() == ["cd", str(shown.place)]
    for line in closer[1:]:
        program, *words = line.split()
        ran = pullwright(shown.place, *words) if program == "pullwright" else None
        out = ran.out if ran else git(shown.place, *words)
        assert TASK in out
    assert typed(shown.place, "task", "list").out.split() == [TASK, "complete", "done"]


def test_a_folder_that_is_not_empty_is_refused_and_kept(tmp_path: Path, person: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    ran = typed(tmp_path, "demo", "mine")
    assert ran.status == 1
    assert "mine is not empty" in ran.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_model_without_a_provider_is_refused_before_anything_is_made(tmp_path: Path, person: Path) -> None:
    ran = typed(tmp_path, "demo", "mine", "--model", "gemma3:4b")
    assert (ran.status, "ollama:NAME" in ran.err) == (1, True)
    assert not any((tmp_path / "mine").rglob("*"))


def test_a_model_of_the_readers_own_is_asked(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama(models={}) as server:
        ran = pullwright(tmp_path, "demo", "mine", "--model", "ollama:gemma3:4b", "--endpoint", server.url)
        assert [asked.path for asked in server.requests][-1] == "/api/show"
    assert ran.status == 1
    assert "ollama pull gemma3:4b" in ran.err
    assert "words are recorded" not in ran.out


# --- interrupted ---------------------------------------------------------------------------------------------------


def interrupted(folder: Path, *words: str) -> Ran:
    """The demo, sent what ^C sends to the whole group, as soon as an agent's first step is told."""
    process = subprocess.Popen(
        [*COMMAND, "demo", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    heard = ""
    while " step 1 " not in heard:
        line = process.stdout.readline()
        assert line, heard
        heard += line
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, heard + out, err)


def test_an_interrupted_demo_leaves_a_sentence_and_nothing_else(
    tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    ran = interrupted(tmp_path)
    assert ran.status == 130
    assert ran.err.strip() == "stopped; the throw-away repository is gone"
    assert [path for path in scratch.iterdir() if path.name.startswith("pullwright-demo")] == []


def test_an_interrupted_demo_that_is_kept_goes_on_as_it_says(tmp_path: Path, person: Path) -> None:
    ran = interrupted(tmp_path, "kept")
    assert ran.status == 130
    assert ran.err.strip() == "stopped; cd kept && pullwright run goes on"
    assert pullwright(tmp_path / "kept", "run").status == 0
    assert len(first_parents(tmp_path / "kept")) == 2


# --- on a terminal -------------------------------------------------------------------------------------------------


def on_a_terminal(folder: Path, *words: str, columns: int) -> tuple[int, str]:
    """The exit status of a command on a pseudo-terminal, and all that it wrote there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
        os.execv(COMMAND[0], [*COMMAND, *words])
    written = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # EIO: the other side has closed it
            break
        written += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), written.decode()


def test_on_a_terminal_no_line_of_the_log_is_wider_than_it(tmp_path: Path, person: Path) -> None:
    status, written = on_a_terminal(tmp_path, "demo", columns=80)
    assert status == 0
    log = written.partition("sandbox:")[2].partition("main alone")[0]
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", log).replace("\r\n", "\n")
    timed = [line for line in re.split(r"[\r\n]", plain) if re.match(r"\d\d:\d\d  ", line)]
    assert len(timed) > 50
    assert max(map(len, timed)) == 80
    assert any(line.endswith("…") for line in timed)
    assert "\x1b[1m" in log  # what begins stands out
