"""The one command: light to start, aligned to read, JSON for machines, and an exit status that means something."""

import contextlib
import io
import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repositories import AUTO, CHECK, COMMAND, add_task, commit, git, project, pullwright, settings, story, typed, write

from pullwright import screen, standing
from pullwright.cli import main
from pullwright.ending import status_of
from runner import worker
from runner.host import lock, site_at
from runner.observe import observe
from runner.task import parse_task

HEAVY = {"httpx", "openai", "ollama", "rich", "git", "github", "litestar", "jinja2", "reportlab", "sqlite_utils"}


# --- start-up ------------------------------------------------------------------------------------------------------


def loaded(folder: Path, *words: str) -> set[str]:
    """The modules that a command has loaded when it ends."""
    script = "import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}from pullwright.cli import main; main()", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("command", ["--help", "task list", "plan --json", "task show greet"])
def test_looking_loads_no_heavy_package(repository: Path, command: str) -> None:
    assert loaded(repository, *command.split()) & HEAVY == set()


def test_help_loads_nothing_of_the_runner_but_its_errors(person: Path) -> None:
    assert {name for name in loaded(person, "--help") if name.startswith("runner.")} == {"runner.errors"}


def test_every_command_says_in_one_uncut_line_what_it_does(person: Path) -> None:
    for words in ((), ("task",)):
        listed = typed(person, *words, "--help").out.partition("Commands:\n")[2].splitlines()
        assert listed
        assert [line for line in listed if line.endswith("...") or len(line) > 80] == []


def test_every_command_explains_itself(person: Path) -> None:
    names = re.findall(r"^  ([a-z]+) ", typed(person, "--help").out.partition("Commands:")[2], re.MULTILINE)
    assert {"init", "task", "run", "plan", "review", "retry", "demo"} <= set(names)
    for name in names:
        assert typed(person, name, "--help").status == 0


# --- tasks ---------------------------------------------------------------------------------------------------------


def test_task_new_writes_what_was_said_and_commits_just_that(repository: Path) -> None:
    write(repository, {"other.txt": "mine"})
    git(repository, "add", "other.txt")
    words = ["-d", "More\nthan one line.", "-c", "4", "-p", "7", "-a", "it works: yes", "-a", "#2", "-s", "build, test"]
    said = typed(repository, "task", "new", "Say: hello #1", *words, "--depends-on", "greet")
    assert said.out == "wrote and committed tasks/say-hello-1.yaml\nnext: pullwright run --task say-hello-1\n"
    asked = parse_task("tasks/say-hello-1.yaml", (repository / "tasks/say-hello-1.yaml").read_bytes()).request
    assert (asked.title, asked.description) == ("Say: hello #1", "More\nthan one line.")
    assert (asked.complexity, asked.priority, asked.acceptance) == (4, 7, ("it works: yes", "#2"))
    assert (asked.stages, asked.depends_on) == (("build", "test"), ("greet",))
    assert git(repository, "show", "--format=%s", "--name-only") == "Task: Say: hello #1\n\ntasks/say-hello-1.yaml"
    assert git(repository, "status", "--porcelain") == "A  other.txt"


def test_a_task_holds_only_what_was_said(repository: Path) -> None:
    typed(repository, "task", "new", "Short")
    assert yaml.safe_load((repository / "tasks/short.yaml").read_text()) == {"title": "Short"}


def test_a_description_may_come_from_standard_input(repository: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "task", "new", "Piped", "-d", "-", "--no-commit"],
        cwd=repository,
        input="from a pipe\n",
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("wrote tasks/piped.yaml\nnext: commit it")
    assert "from a pipe" in (repository / "tasks/piped.yaml").read_text()
    assert git(repository, "status", "--porcelain") == "?? tasks/piped.yaml"


def test_on_another_branch_the_next_step_is_the_merge(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "topic")
    said = typed(repository, "task", "new", "Later")
    assert said.out.endswith("next: merge topic into main; a task counts once it is there\n")


def test_the_list_is_aligned_and_says_what_is_next(repository: Path) -> None:
    add_task(repository, "a-much-longer-name", depends_on=["greet"])
    add_task(repository, "hard", complexity=10, agent="nobody")
    assert typed(repository, "task", "list").out.splitlines() == [
        "a-much-longer-name  not started  held: waits for greet",
        "  → it goes on by itself when those are complete",
        "greet               not started  next: scripted takes design",
        "hard                not started  held: no agent nobody",
        "  → agents.yaml has scripted: name one of them, or add it there",
    ]


def test_where_columns_leave_no_room_for_a_reason_it_has_a_line_of_its_own(repository: Path) -> None:
    add_task(repository, "a-task-with-quite-a-long-name", depends_on=["greet"], priority=9)
    site = site_at(repository)
    steps = worker.plan(observe(site))
    assert list(standing.lines(steps, site.hub, "main", 40)) == [
        "a-task-with-quite-a-long-name",
        "  not started  held: waits for greet",
        "  → it goes on by itself when those are complete",
        "greet",
        "  not started  next: scripted takes design",
    ]


def test_where_a_check_failed_its_whole_output_is_named(tmp_path: Path, person: Path) -> None:
    broken = story()
    broken["build"][0] = ("bash", {"command": "echo bye > greeting.txt"})
    here = project(tmp_path / "broken", agents=settings(), replies=broken)
    add_task(here, stages=["build"])
    pullwright(here, "run", "--once")
    shown = typed(here, "task", "show", "greet").out
    assert "gate failed: checks: exit 1: it said nothing" in shown
    (log,) = re.findall(r"^ +all that it said: (.+)$", shown, re.MULTILINE)
    assert Path(log).read_text() == f"$ {CHECK}\n"


def test_an_empty_list_says_how_to_fill_it(tmp_path: Path, person: Path) -> None:
    empty = project(tmp_path / "empty", agents=settings())
    assert typed(empty, "task", "list").out == 'no tasks yet: pullwright task new "…"\n'
    assert json.loads(typed(empty, "task", "list", "--json").out) == {"tasks": [], "problems": []}


def test_json_is_the_same_for_list_and_plan_and_whole_for_show(repository: Path) -> None:
    commit(repository, "Bad", {"tasks/bad.yaml": "title: [\n"})
    listed = json.loads(typed(repository, "task", "list", "--json").out)
    planned = json.loads(typed(repository, "plan", "--json").out)
    assert listed["tasks"] == planned["tasks"]
    assert planned["tasks"] == [
        {
            "task": "greet",
            "title": "Say goodbye",
            "status": "not_started",
            "stage": "design",
            "stage_progress": 0,
            "turn": "next",
            "action": "claim",
            "agent": "scripted",
            "reason": "next: scripted takes design",
            "remedy": "",
        }
    ]
    assert [problem["path"] for problem in planned["problems"]] == ["tasks/bad.yaml"]
    assert planned["matrix"] == {
        "include": [{"task": "greet", "stage": "design", "runs_on": ["self-hosted", "ollama"]}]
    }
    shown = json.loads(typed(repository, "task", "show", "greet", "--json").out)
    assert shown.items() >= planned["tasks"][0].items()
    assert {"path", "request", "record", "open", "updates", "commands"} <= set(shown)


def test_the_matrix_takes_the_labels_of_the_agents_machine(tmp_path: Path, person: Path) -> None:
    agent = {"name": "big", "model": "m", "provider": "scripted", "endpoint": "r.yaml", "runs_on": ["gpu"]}
    here = project(tmp_path / "r", agents=settings(agent))
    add_task(here)
    assert json.loads(typed(here, "plan", "--json").out)["matrix"]["include"][0]["runs_on"] == ["gpu"]


# --- what people say -----------------------------------------------------------------------------------------------


def test_a_paused_task_rests_until_it_is_resumed(repository: Path) -> None:
    assert "noted" in typed(repository, "pause", "greet").out
    assert "held: paused\n  → pullwright resume greet" in typed(repository, "plan").out
    assert typed(repository, "pause", "greet").status == 1
    typed(repository, "resume", "greet")
    assert "next: scripted takes design" in typed(repository, "plan").out


def test_a_cancelled_task_ends_until_it_is_taken_up_again(repository: Path) -> None:
    typed(repository, "cancel", "greet")
    assert "held: cancelled\n  → pullwright retry greet" in typed(repository, "plan").out
    typed(repository, "retry", "greet")
    assert "next: scripted takes design" in typed(repository, "plan").out


def test_an_assigned_task_goes_to_that_agent(tmp_path: Path, person: Path) -> None:
    agents = [{"name": name, "model": "m", "provider": "scripted", "endpoint": "r.yaml"} for name in ("one", "two")]
    here = project(tmp_path / "r", agents=settings(*agents))
    add_task(here)
    assert "next: one takes design" in typed(here, "plan").out
    typed(here, "assign", "greet", "two")
    assert "next: two takes design" in typed(here, "plan").out


def test_a_question_is_answered_and_the_agent_hears_it(tmp_path: Path, person: Path) -> None:
    told = story()
    told["design"] = [("ask", {"question": "Which greeting?"}), *told["design"]]
    here = project(tmp_path / "r", agents=settings(review=AUTO), replies=told)
    add_task(here, stages=["design"])
    held = pullwright(here, "run")
    assert held.status == 0
    assert 'held: needs input: Which greeting?\n  → pullwright answer greet "…"' in held.out
    assert typed(here, "review", "greet", "--approve").status == 1
    typed(here, "answer", "greet", "The usual one.")
    ran = pullwright(here, "run")
    assert "The usual one." in ran.out
    assert "complete  done" in ran.out


def test_a_task_is_moved_forth_and_back(repository: Path) -> None:
    assert typed(repository, "set-status", "greet", "build").status == 0
    assert "next: scripted takes build" in typed(repository, "plan").out
    typed(repository, "set-status", "greet", "design")
    assert "next: scripted takes design" in typed(repository, "plan").out
    refused = typed(repository, "set-status", "greet", "paint")
    assert refused.status == 1
    assert "it has no stage paint; its stages are design, build" in refused.err


def test_a_bound_that_is_not_named_stays(repository: Path) -> None:
    add_task(repository, "bounded", budget={"steps": 30, "cost": 1.5})
    assert typed(repository, "set-budget", "greet").out == "greet  no bounds\n"
    said = typed(repository, "set-budget", "bounded", "--tokens", "2000000", "--minutes", "0.5")
    assert said.out == "bounded  set-budget: at most 30 steps, 2000000 tokens, $1.50, 0.5 minutes; noted\n"
    typed(repository, "set-budget", "bounded", "--steps", "7")
    assert typed(repository, "set-budget", "bounded").out.startswith("bounded  at most 7 steps, 2000000 tokens, $1.50")
    assert typed(repository, "set-budget", "bounded", "--steps", "0").status == 2


def test_a_comment_needs_something_that_is_open(repository: Path) -> None:
    refused = typed(repository, "comment", "greet", "Be kind.")
    assert (refused.status, "no stage is open to comment" in refused.err) == (1, True)


def test_cleaning_takes_what_an_ended_task_left_and_says_first_what_that_is(repository: Path) -> None:
    assert pullwright(repository, "run", "--once").status == 0
    typed(repository, "comment", "greet", "One more thing.")
    said = json.loads(git(repository, "log", "-1", "--format=%B", "refs/pullwright/commands/tasks/greet"))
    assert (said["verb"], said["args"]["text"]) == ("comment", "One more thing.")
    assert typed(repository, "clean", "--all").out == "nothing to remove\n"
    typed(repository, "cancel", "greet")
    assert "--all takes what policy.keep still keeps" in typed(repository, "clean").out
    named = typed(repository, "clean", "--all", "--dry-run").out
    assert "greet  would remove agents/greet/design\n" in named
    assert "work/greet" in git(repository, "branch", "--list", "work/*")
    with lock(repository / ".git/pullwright", "task-greet"):
        assert "kept: another process" in typed(repository, "clean", "--all").out
    cleaned = typed(repository, "clean", "--all").out
    assert "greet  removed work/greet\n" in cleaned
    assert cleaned.endswith(" GiB are free now\n")
    assert git(repository, "branch", "--format=%(refname:short)") == "main"
    assert typed(repository, "clean", "--all").out == "nothing to remove\n"


def test_who_said_it_is_who_git_says_one_is(repository: Path) -> None:
    typed(repository, "pause", "greet")
    said = json.loads(git(repository, "log", "-1", "--format=%B", "refs/pullwright/commands/tasks/greet"))
    assert (said["who"], said["verb"]) == ("Pat <pat@example.invalid>", "pause")


# --- how it ends ---------------------------------------------------------------------------------------------------


def test_a_fault_of_ours_is_status_3_with_a_report(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("PULLWRIGHT_STATE", str(repository / "greeting.txt"))  # a file where a folder is wanted
    ran = pullwright(repository, "plan")
    assert ran.status == 3
    report = Path(ran.err.rpartition(" ")[2].strip())
    text = report.read_text()
    assert "Traceback" in text
    assert "- command: `pullwright plan`" in text
    assert os.environ["HOME"] not in text.partition("```")[0]


def test_a_place_where_nobody_may_write_is_named_and_no_fault_of_ours(repository: Path) -> None:
    ran = pullwright(repository, "plan", PULLWRIGHT_STATE="/sys/pullwright")
    assert (ran.status, "pullwright: /sys/pullwright" in ran.err) == (1, True), ran.err
    assert "\n  → let this account read and write there; PULLWRIGHT_STATE=DIR" in ran.err


def test_a_disk_that_is_full_is_no_fault_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(lambda: Path("/dev/full").write_text("x"), "1") == 1
    assert "No space left on device\n  → make room there" in capsys.readouterr().err


def test_an_index_that_has_no_room_is_no_fault_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    def fill() -> None:
        with contextlib.closing(sqlite3.connect(":memory:")) as conn:
            conn.execute("PRAGMA max_page_count = 2")
            conn.execute("CREATE TABLE rows (text)")
            conn.execute("INSERT INTO rows VALUES (zeroblob(100000))")

    assert status_of(fill, "1") == 1
    assert "the index: database or disk is full\n  → make room there" in capsys.readouterr().err


def test_in_a_locale_without_utf_8_everything_is_said_all_the_same(repository: Path, tmp_path: Path) -> None:
    there = repository.rename(tmp_path / "Größe ✓")
    add_task(there, "uber", title="Über")
    done = subprocess.run(
        [*COMMAND, "task", "show", "uber"],
        cwd=there,
        capture_output=True,
        env={**os.environ, "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith("uber: Über\n")


def test_a_closed_pipe_ends_it_quietly(repository: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" task show greet --json | head -c 1', "-", *COMMAND],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_are_for_terminals_that_want_them(
    repository: Path, environment: dict[str, str], coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment}
    subprocess.run([*COMMAND, "task", "show", "greet"], cwd=repository, stdout=theirs, env=env, check=True)
    os.close(theirs)
    said = os.read(ours, 4096)
    os.close(ours)
    assert b"greet: " in said and (b"\x1b[" in said) == coloured


def test_the_version_is_told(person: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert re.fullmatch(r"pullwright, version \d+\.\d+\.\d+\n", capsys.readouterr().out)


# --- lines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("greet  design is ready", "greet  design    is ready"),
        ("greet  build  gate passed  a: b", "greet  build     gate passed  a: b"),
        ("greet  complete  scripted  step 1  view .", "greet  complete  scripted  step 1  view ."),
        ("gemma is offline", "gemma is offline"),
        ("greet  designing", "greet  designing"),
        ("", ""),
    ],
)
def test_stages_stand_in_a_column(line: str, shown: str) -> None:
    assert screen.in_columns(screen.parts(line)) == shown


@pytest.mark.parametrize(
    ("line", "width", "shown"),
    [
        ("short", 20, "short"),
        ("a long command that goes on", 10, "a long co…"),
        ("a long command that goes on → exit 1", 20, "a long com… → exit 1"),
    ],
)
def test_a_cut_line_keeps_how_a_command_ended(line: str, width: int, shown: str) -> None:
    assert screen.fitted(line, width) == shown
    assert len(shown) <= width


def test_cutting_keeps_columns() -> None:
    assert standing.cut("a    b", 6) == "a    b"
    assert standing.cut("a    bcd", 7) == "a    b…"


class Terminal(io.StringIO):
    """Where somebody watches."""

    def isatty(self) -> bool:
        return True


def test_on_a_narrow_terminal_lines_are_cut_and_complaints_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    with screen.Screen(out) as shown:
        shown.say("greet  build  scripted  step 1  bash " + "word " * 20 + "→ exit 1")
        shown.say("the hub is away: " + "word " * 20 + "\n  → check it: git remote -v")
    plain = [
        line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n").split("\n")
    ]
    assert max(map(len, plain)) <= 40
    cut = next(line for line in plain if re.match(r"00:\d\d  greet", line))
    assert cut.endswith("… → exit 1")
    assert "  → check it: git remote -v" in plain
    assert sum(line.count("word") for line in plain if "step 1" not in line) >= 20


def test_a_dumb_terminal_is_treated_as_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    with screen.Screen(out) as shown:
        shown.say("greet  build  scripted  \x1b[2J")
    assert out.getvalue() == "greet  build     scripted   [2J\n"
