"""The live view: what it shows of a task, what its keys do, and that the terminal is given back as it was found."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repositories import AUTO, COMMAND, Story, add_task, as_replies, clone, commit, git, project, pullwright, settings
from repositories import story as told_by
from rich.cells import cell_len

from pullwright.live import rows as live_rows
from pullwright.live.facts import Facts
from pullwright.live.keys import Deed, Mood, keys, press
from pullwright.live.look import Scene, picture
from pullwright.live.rows import Row, amount, clock
from pullwright.live.rows import log as log_of
from runner.host import site_at
from runner.live import Step as LiveStep
from runner.observe import observe

ROWS = (
    Row("asks", "hold", "design", "opus", 1, now="held: needs input: Which?", ways=("answer it",), asks="Which?"),
    Row("builds", "work", "build", "gemma", 12, 60, 12_345, 0.02, 187, "bash pytest -q", exit=1, doing="thinking 0:05"),
    Row("far", "work", "test", "sonnet", 3, 10, host="other/1234"),
    Row("waits", "wait", "design", now="held: waits for builds", ways=("by itself",)),
    Row("ready", "review", "complete", "gemma", 9, 100, now="complete waits for review", ways=("look", "approve")),
    Row("over", "done", now="done"),
)  # fmt: skip


TABLE = Mood()


def drawn(scene: Scene, mood: Mood = TABLE, width: int = 80, height: int = 24) -> list[str]:
    return [line.plain.rstrip() for line in picture(scene, mood, width, height)]


# --- the look ------------------------------------------------------------------------------------------------------


def test_at_80_columns_what_happens_stands_below_the_task() -> None:
    lines = drawn(Scene(ROWS), Mood(selected="builds"))
    at = next(number for number, line in enumerate(lines) if "❯" in line)
    assert lines[at].split() == ["❯", "⠋", "builds", "build", "gemma", "12", "━━━━━━", "60%", "12.3k", "$0.02", "3:07"]
    assert lines[at + 1] == "      bash pytest -q → exit 1  thinking 0:05"


def test_at_160_columns_it_stands_beside_it() -> None:
    lines = drawn(Scene(ROWS), Mood(selected="builds"), 160)
    assert next(line for line in lines if "builds" in line).endswith("  bash pytest -q → exit 1  thinking 0:05")


@pytest.mark.parametrize("width", [80, 160])
def test_a_hold_says_why_and_the_way_out(width: int) -> None:
    lines = drawn(Scene(ROWS), Mood(), width)
    at = next(number for number, line in enumerate(lines) if "asks" in line)
    block = "\n".join(lines[at : at + 3])
    assert "⏸" in block
    assert "held: needs input: Which?" in block
    assert "→ answer it" in block


def test_a_long_question_is_shown_to_its_end() -> None:
    row = ROWS[0]._replace(now="held: needs input: " + "word " * 30 + "end?")
    assert any(line.endswith("end?") for line in drawn(Scene((row,))))


def test_a_task_on_another_host_names_it_and_what_waits_by_itself_asks_for_nothing() -> None:
    text = "\n".join(drawn(Scene(ROWS), height=40))
    assert "on other/1234" in text
    assert "waits for builds" in text
    assert "by itself" not in text


def test_with_many_tasks_the_selected_one_is_seen_and_the_rest_counted() -> None:
    many = tuple(Row(f"task-{number}", "next", "design", now="next: gemma takes design") for number in range(50))
    lines = drawn(Scene(many), Mood(selected="task-33"))
    assert sum("❯" in line and "task-33" in line for line in lines) == 1
    assert any(line.endswith(" more") and line.startswith("    … ") for line in lines)
    assert any("what happened" in line for line in lines)


@given(
    st.text(max_size=90),
    st.sampled_from([Mood(mode=mode, selected="t") for mode in ("table", "log", "diff", "help", "answer")]),
    st.integers(20, 200),
    st.integers(3, 60),
)
def test_whatever_tasks_say_the_picture_has_the_size_of_the_terminal(
    text: str, mood: Mood, width: int, height: int
) -> None:
    rows = (
        *ROWS,
        Row("t", "hold", text, text, now=text, ways=(text,), asks=text),
        Row(text, "work", now=text, host=text),
    )
    events = [("0:00", text)] * 3
    lines = picture(Scene(rows, events, [text] * 50, place=text, message=text), mood, width, height)
    assert len(lines) == height
    assert max(cell_len(line.plain) for line in lines) <= width
    assert all(char.isprintable() for line in lines for char in line.plain)


def test_a_page_is_scrolled_and_its_end_is_shown_at_first() -> None:
    scene = Scene(ROWS, page=[f"line {number}" for number in range(100)])
    assert drawn(scene, Mood("log", "builds"))[-2] == " line 99"
    assert drawn(scene, Mood("diff", "builds", 10))[3] == " line 10"


def test_amounts_and_times_are_short() -> None:
    assert [amount(n) for n in (0, 999, 1000, 12_345, 999_949, 999_950, 4_100_000)] == [
        "0", "999", "1.0k", "12.3k", "999.9k", "1.0M", "4.1M"
    ]  # fmt: skip
    assert [clock(n) for n in (0, 61, 3600, 3787)] == ["0:00", "1:01", "1:00:00", "1:03:07"]


# --- keys ----------------------------------------------------------------------------------------------------------


def pressed(mood: Mood, *names: str) -> tuple[Mood, Deed | None]:
    deed = None
    for name in names:
        mood, deed = press(mood, name, ROWS, page=10, bottom=30)
    return mood, deed


def test_what_a_terminal_sends_becomes_keys() -> None:
    assert keys("\x1b[A\x1bOBjé\r\x7f\x1b[6~\x1b") == [
        "up",
        "down",
        "j",
        "é",
        "enter",
        "backspace",
        "page down",
        "escape",
    ]
    assert keys("\x1b[200~\x00\x1b[1;5C") == []


def test_the_selection_stays_among_the_tasks() -> None:
    assert pressed(Mood(), "j")[0].selected == "asks"
    assert pressed(Mood(selected="asks"), "down", "j")[0].selected == "far"
    assert pressed(Mood(selected="asks"), "k")[0].selected == "asks"
    assert pressed(Mood(selected="over"), "down")[0].selected == "over"


def test_a_task_is_paused_and_let_go_on() -> None:
    assert pressed(Mood(selected="builds"), "p")[1] == Deed("pause", "builds")
    paused = (ROWS[1]._replace(paused=True),)
    assert press(Mood(selected="builds"), "p", paused)[1] == Deed("resume", "builds")
    assert pressed(Mood(selected="over"), "p")[1] == Deed("tell", "over", "it is complete")


def test_an_answer_is_typed_and_every_key_is_text_meanwhile() -> None:
    mood, deed = pressed(Mood(selected="asks"), "a", *"quite ", "q", "backspace", *"so")
    assert (mood.mode, mood.typed, deed) == ("answer", "quite so", None)
    assert pressed(mood, "enter") == (Mood(selected="asks"), Deed("answer", "asks", "quite so"))
    assert pressed(mood, "escape") == (Mood(selected="asks"), None)
    assert pressed(mood, "clear", "enter") == (Mood(selected="asks"), None)
    assert pressed(Mood(selected="builds"), "a")[1] == Deed("tell", "builds", "it asks nothing")


def test_q_stops_after_the_step_and_once_more_at_once() -> None:
    mood, deed = pressed(Mood(selected="builds"), "q")
    assert (mood.leaving, deed) == (True, Deed("leave"))
    assert pressed(mood, "q")[1] == Deed("stop")


def test_a_log_follows_its_end_until_it_is_scrolled() -> None:
    mood = pressed(Mood(selected="builds"), "l")[0]
    assert (mood.mode, mood.scroll) == ("log", None)
    assert pressed(mood, "up")[0].scroll == 29
    assert pressed(mood, "page up", "k")[0].scroll == 19
    assert pressed(mood, "up", "down")[0].scroll is None
    assert pressed(mood, "home")[0].scroll == 0
    assert pressed(mood, "l")[0].mode == "table"


# --- facts ---------------------------------------------------------------------------------------------------------


def test_what_a_task_has_used_grows_with_the_live_lines_of_its_own_attempt(repository: Path) -> None:
    pullwright(repository, "run", "--once")
    site = site_at(repository)
    facts = Facts(site, observe(site))
    (row,) = facts.rows()
    assert (row.mark, row.stage, row.agent, row.step, row.progress) == ("review", "design", "scripted", 2, 100)
    assert row.tokens > 0
    diff = facts.diff("greet")
    assert diff[0] == "agents/greet/design, as it was pushed"
    assert "+## Goal" in diff
    assert not any("record.yaml" in line or "updates.jsonl" in line for line in diff)


def test_a_task_at_work_shows_its_command_its_exit_and_its_workspace(tmp_path: Path, person: Path) -> None:
    here = slow(tmp_path, "touch made; touch ~/begun; sleep 300")
    with run(here) as (process, watched):
        assert watched.sees("sleep 300")
        site = site_at(here)
        facts = Facts(site, observe(site))
        (row,) = facts.rows()
        assert (row.mark, row.stage, row.step, row.exit) == ("work", "build", 2, None)
        assert row.now.startswith("bash touch made; touch ~/begun; sleep 300")
        assert row.doing.startswith("running")
        assert "+first" in facts.diff("greet")
        assert facts.diff("greet")[0] == "agents/greet/build, as it is in the workspace"
        process.kill()


def test_another_hosts_task_shows_that_host_and_its_last_command(hub: tuple[Path, Path], tmp_path: Path) -> None:
    told: Story = told_by()
    told["design"] = [("write", {"path": "notes.md", "content": "looked"}), ("ask", {"question": "Which?"})]
    commit(hub[1], "Asks", {".pullwright/replies.yaml": as_replies(told)})
    git(hub[1], "push", "-q", "origin", "main")
    pullwright(hub[1], "run")
    site = site_at(clone(hub[0], tmp_path / "other"))
    facts = Facts(site, observe(site))
    (row,) = facts.rows()
    assert (row.mark, row.asks, row.step) == ("hold", "Which?", 2)
    assert "design scripted  step 1  write notes.md" in log_of(facts.lines("greet"))


def test_what_the_agent_does_now_follows_from_its_last_line() -> None:
    at = datetime(2026, 1, 1, 0, 1, 5, tzinfo=UTC)
    line = LiveStep("2026-01-01T00:01:00Z", "t", "build", 1, "a", "result")
    assert live_rows.doing(line, at) == "thinking 0:05"
    assert live_rows.doing(LiveStep("2026-01-01T00:01:04Z", "t", "build", 1, "a", "reply"), at) == "running"
    assert live_rows.doing(LiveStep("", "t", "build", 1, "a", "end"), at) == "at the gates"


# --- a real terminal -----------------------------------------------------------------------------------------------


class Watched(NamedTuple):
    """A terminal of our own: what was drawn on it, keys into it."""

    fd: int
    heard: bytearray

    def press(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def sees(self, text: str, seconds: float = 60.0) -> bool:
        """Whether `text` is drawn from now on."""
        self.heard.clear()
        return soon(lambda: text.encode() in self.read(), seconds)

    def read(self) -> bytes:
        while select.select([self.fd], [], [], 0)[0]:
            try:
                self.heard.extend(os.read(self.fd, 65536))
            except OSError:
                break
        return bytes(self.heard)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def soon(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@contextmanager
def run(here: Path, *words: str) -> Iterator[tuple["subprocess.Popen[bytes]", Watched]]:
    """`pullwright run` on a terminal of 80 columns, which must be as it was when the command has ended."""
    ours, theirs = pty.openpty()
    watched = Watched(ours, bytearray())
    watched.resize(80, 24)
    before = termios.tcgetattr(theirs)

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*COMMAND, "run", *words], cwd=here, stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=own_terminal,
        env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    try:
        yield process, watched
        if process.poll() is not None and process.returncode != -signal.SIGKILL:
            assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def ended(process: "subprocess.Popen[bytes]", watched: Watched) -> str:
    """What was drawn in all until the end."""
    assert soon(lambda: watched.read() is not None and process.poll() is not None)
    return watched.read().decode("utf-8", "replace")


def slow(tmp_path: Path, command: str) -> Path:
    """A repository whose build writes a file and then takes its time."""
    told = told_by()
    told["build"] = [
        ("write", {"path": "one.txt", "content": "first\n"}),
        ("bash", {"command": command}),
        *told["build"],
    ]
    here = project(tmp_path / "slow", agents=settings(review=AUTO), replies=told)
    add_task(here, stages=["design", "build"])
    return here


def lines_of(here: Path) -> list[LiveStep]:
    from runner import live

    path = live.path_of(here / ".git/pullwright", "greet")
    return live.read(path.read_bytes()) if path.exists() else []


def test_q_stops_after_the_step_and_gives_the_terminal_back(tmp_path: Path, person: Path) -> None:
    here = slow(tmp_path, "until rm go 2>/dev/null; do sleep 0.05; done")
    with run(here) as (process, watched):
        assert watched.sees("until rm go")
        watched.resize(160, 30)
        assert watched.sees("  now")
        watched.press("?")
        assert watched.sees("pause the selected task")
        watched.press("\x1bdq")
        assert watched.sees("stopping after this step")
        (here / ".git/pullwright/workspaces/scripted/tasks/greet/src/go").touch()
        text = ended(process, watched)
        assert process.returncode == 0
        assert "\x1b[?1049l" in text
        after = text.rpartition("\x1b[?1049l")[2]
        assert "greet  build 0 %  next: build goes on" in after
    assert [line.exit for line in lines_of(here) if line.kind == "result"][-1] == 0, "the step was done to its end"
    assert pullwright(here, "run").out.splitlines()[-1] == "greet  complete  done"


def test_a_question_is_answered_with_keys_and_the_work_goes_on(tmp_path: Path, person: Path) -> None:
    told: Story = told_by()
    told["design"] = [("ask", {"question": "Which greeting?"}), *told["design"]]
    here = project(tmp_path / "asks", agents=settings(review=AUTO), replies=told)
    add_task(here, stages=["design"])
    with run(here, "--watch") as (process, watched):
        assert watched.sees("Which greeting?")
        assert soon(lambda: "pullwright answer greet" in watched.read().decode("utf-8", "replace"))
        watched.press("aThe usual one.\r")
        assert soon(lambda: "main" in git(here, "log", "--format=%D", "--grep=^Merge design", "main"))
        watched.press("q")
        ended(process, watched)
        assert process.returncode == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_however_it_is_ended_the_terminal_is_given_back(
    tmp_path: Path, person: Path, number: signal.Signals, status: int
) -> None:
    with run(slow(tmp_path, "sleep 60")) as (process, watched):
        assert watched.sees("bash sleep 60")
        process.send_signal(number)
        assert "\x1b[?1049l" in ended(process, watched)
        assert process.returncode == status


def test_plain_lines_hold_not_one_escape_code(unattended: Path) -> None:
    with run(unattended, "--plain", "--once") as (process, watched):
        text = ended(process, watched)
        assert process.returncode == 0
        assert "greet  design    for scripted" in text
        assert "\x1b" not in text
    assert "\x1b" not in pullwright(unattended, "run").out
