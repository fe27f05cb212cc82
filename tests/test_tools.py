"""The tools, run in the real sandbox on real folders."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

import pytest
from tool_parts import make_work, refusal, say

from runner.errors import ToolError
from runner.sandbox.external import External
from runner.tools import TOOLS, Ask, Finish, Work, toolbox


@pytest.fixture
def src(tmp_path: Path) -> Path:
    return tmp_path / "w/src"


def change(search: str, replace: str) -> str:
    return f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


# --- bash


def test_the_first_line_is_the_exit_status_and_silence_is_said(work: Work) -> None:
    assert say(work, "bash", command="echo hello; exit 3") == "exit 3\nhello"
    assert say(work, "bash", command="true") == "exit 0\nCommand ran, no output."


def test_the_working_directory_is_kept_for_the_next_command(work: Work) -> None:
    say(work, "bash", command="mkdir -p 'a b/c' && cd 'a b/c' && exit 1")
    assert say(work, "bash", command="pwd") == "exit 0\n/workspace/src/a b/c"
    say(work, "bash", command="rm -r '/workspace/src/a b'")
    assert say(work, "bash", command="pwd") == "exit 0\n/workspace/src"


@pytest.mark.parametrize(
    "planted",
    ["/etc", "/workspace/src/../../etc", "$(touch /workspace/src/ran)", "-", "\n\n", "", "/workspace/src/link"],
)
def test_a_planted_working_directory_is_only_data(work: Work, src: Path, tmp_path: Path, planted: str) -> None:
    (src / "link").symlink_to("/etc")
    (tmp_path / "w/tmp" / ".pullwright-cwd").write_text(planted)
    assert say(work, "bash", command="pwd -P") == "exit 0\n/workspace/src"
    assert not (src / "ran").exists()


def test_a_symlink_in_place_of_the_kept_directory_reaches_nothing_of_the_host(work: Work, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "w/tmp" / ".pullwright-cwd").symlink_to(victim)
    say(work, "bash", command="cd /tmp")
    assert victim.read_text() == "untouched"


def test_a_command_sees_no_arguments_and_may_replace_the_trap(work: Work) -> None:
    assert say(work, "bash", command='echo "$# [$*]"; trap - EXIT; cd /') == "exit 0\n0 []"
    assert say(work, "bash", command="pwd") == "exit 0\n/workspace/src"


def test_a_command_that_does_not_end_is_ended(work: Work) -> None:
    started = time.monotonic()
    said = say(work, "bash", command="echo begun; sleep 600", timeout=1)
    assert said == "stopped: it did not end within 1 s\nbegun"
    assert time.monotonic() - started < 60


def test_no_command_may_ask_for_more_time_than_the_limits_give(tmp_path: Path) -> None:
    work = make_work(tmp_path, seconds=1.0)
    assert "within 1 s" in say(work, "bash", command="sleep 60", timeout=500)


def test_long_output_is_cut_in_the_middle_and_whole_in_a_file(work: Work, tmp_path: Path) -> None:
    said = say(work, "bash", command="seq 1 5000; exit 1")
    assert said.startswith("exit 1\n1\n2\n") and said.endswith("\n4999\n5000")
    assert len(said) < work.cap + 200
    path = said.partition("all of it is in ")[2].partition(";")[0]
    assert path.startswith("/workspace/output/logs/")
    assert (tmp_path / "w/output" / "logs" / path.rpartition("/")[2]).read_text().split() == [
        str(number) for number in range(1, 5001)
    ]
    assert say(work, "view", path=path, start=2500).splitlines()[1].split() == ["2500", "2500"]


def test_a_kept_output_is_no_part_of_the_work(work: Work, tmp_path: Path) -> None:
    say(work, "bash", command="seq 1 5000")
    output = tmp_path / "w/output"
    subprocess.run(["git", "init", "-q", output], check=True)
    listed = subprocess.run(["git", "-C", output, "status", "--short"], check=True, capture_output=True).stdout
    assert listed == b"" and list((output / "logs").glob("*.txt"))


def test_terminal_escapes_and_controls_do_not_get_through(work: Work) -> None:
    command = (
        r"printf '\033[31mred\033[0m \033]0;title\007\033]52;c;ZXZpbA==\007 10%%\r100%%\n\000\010 \342\200\256 x\n'"
    )
    assert say(work, "bash", command=command) == "exit 0\n100%\n\\x00\\x08 \\u202e x"


def test_output_that_is_not_text_is_shown_without_an_exception(work: Work) -> None:
    assert say(work, "bash", command="head -c 3000 /dev/urandom; printf '\\377\\376'").startswith("exit 0\n")


@pytest.mark.parametrize("command", ["", "  ", "a\0b", "x" * 200_000])
def test_a_command_that_cannot_be_run_is_refused(work: Work, command: str) -> None:
    assert "Give one shell command" in refusal(work, "bash", command=command)


# --- view and search


def test_a_file_is_shown_by_numbered_pages(work: Work, src: Path) -> None:
    (src / "a.txt").write_text("".join(f"line {number}\n" for number in range(1, 251)))
    first = say(work, "view", path="a.txt").splitlines()
    assert first[0] == "a.txt: lines 1-100 of 250"
    assert first[1] == "   1 line 1" and first[100] == " 100 line 100"
    assert first[101] == "(150 more lines: view with start=101)"
    assert say(work, "view", path="/workspace/src/a.txt", start=201).splitlines()[-1] == " 250 line 250"
    assert "has only 250 lines" in refusal(work, "view", path="a.txt", start=251)


def test_a_page_is_shorter_where_lines_are_long(work: Work, src: Path) -> None:
    (src / "wide.txt").write_text(("x" * 2000 + "\n") * 90)
    said = say(work, "view", path="wide.txt")
    assert len(said) <= work.cap and "… (cut)" in said and "start=" in said.splitlines()[-1]


def test_a_folder_is_listed_and_a_wrong_path_shows_what_is_there(work: Work, src: Path) -> None:
    (src / "pkg").mkdir()
    (src / "pkg" / "calc.py").touch()
    (src / "README.md").touch()
    assert say(work, "view", path=".") == ".: 2 entries\npkg/\n  calc.py\nREADME.md"
    assert refusal(work, "view", path="pkg/calk.py") == "pkg/calk.py does not exist. Its folder holds: calc.py"


def test_a_tree_has_as_many_levels_as_fit(work: Work, src: Path) -> None:
    for number in range(40):
        (src / f"a/b{number:02}/c").mkdir(parents=True)
        (src / f"a/b{number:02}/x.py").touch()
    (src / "a/loop").symlink_to(src)
    (src / "node_modules/x").mkdir(parents=True)
    (src / "locked").mkdir(mode=0)
    shown = say(work, "view", path=".").splitlines()
    assert shown[:5] == [".: 2 entries", "a/", "  b00/ (2)", "  b01/ (2)", "  b02/ (2)"]
    assert shown[-2:] == ["  loop", "locked/"] and len(shown) == 44
    assert say(work, "view", path="a/b00") == "a/b00: 2 entries\nc/\nx.py"
    assert "Permission denied" in refusal(work, "view", path="locked")
    for number in range(130):
        (src / f"f{number:03}").touch()
    assert say(work, "view", path=".").endswith("f097\n(32 more)")


def test_what_is_no_text_file_is_said_and_not_waited_for(work: Work, src: Path) -> None:
    (src / "binary").write_bytes(b"\x7fELF\0\0")
    os.mkfifo(src / "fifo")
    with (src / "large").open("wb") as file:
        file.truncate(6 << 20)
    assert refusal(work, "view", path="binary") == "binary is a binary file of 6 bytes."
    assert "not a file that can be read" in refusal(work, "view", path="fifo")
    assert "too large" in refusal(work, "view", path="large")
    assert say(work, "view", path="/tmp") == "/tmp is an empty folder."


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../etc/passwd", "", "a\0b", "/workspacex", "x" * 2000])
def test_a_path_outside_the_workspace_is_refused_at_once(work: Work, path: str) -> None:
    for tool, more in (("view", {}), ("write", {"content": "x"}), ("search", {"text": "x"})):
        refusal(work, tool, path=path, **more)


def test_a_symlink_in_the_workspace_reaches_no_file_of_the_host(work: Work, src: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")
    (src / "link.txt").symlink_to(secret)
    assert "does not exist" in refusal(work, "view", path="link.txt")
    refusal(work, "edit", path="link.txt", change=change("canary", "pwned"))
    with contextlib.suppress(ToolError):
        say(work, "write", path="link.txt", content="pwned")
    assert secret.read_text() == "canary"
    assert "canary" not in say(work, "search", text="canary")


def test_a_search_takes_a_regular_expression_between_slashes(work: Work, src: Path) -> None:
    (src / "a.py").write_text("def parse_date(text):\n    return Date(text)\n# def old_date\n")
    assert say(work, "search", text=r"/^def \w+_date\(/") == "a.py:1: def parse_date(text):"
    assert say(work, "search", text=r"/DATE\W/") == "Nothing under . holds that text."
    assert say(work, "search", text=r"/date\W/").splitlines() == [
        "a.py:1: def parse_date(text):",
        "a.py:2: return Date(text)",
    ]
    assert "Nothing" in say(work, "search", text=r"\w+_date"), "without slashes it is the text itself"
    assert refusal(work, "search", text="/(/").startswith("/(/ is no regular expression: ")


def test_search_lists_thirty_hits_with_their_lines(work: Work, src: Path) -> None:
    (src / "sub").mkdir()
    (src / "sub" / "b.py").write_text("x = 1\n  Needle = 2\n")
    (src / ".git").mkdir()
    (src / ".git" / "config").write_text("needle")
    assert say(work, "search", text="needle") == "sub/b.py:2: Needle = 2"
    assert "Nothing under ." in say(work, "search", text="NEEDLE")
    (src / "many.txt").write_text("needle\n" * 100)
    lines = say(work, "search", text="needle").splitlines()
    assert len(lines) == 31 and "more than 30 hits" in lines[-1]
    assert say(work, "search", text="needle", path="sub") == "sub/b.py:2: Needle = 2"


def test_a_file_name_that_is_no_text_breaks_nothing(work: Work, src: Path) -> None:
    (src / os.fsdecode(b"\xff\x1b[31m.txt")).write_text("needle")
    for said in (say(work, "view", path="."), say(work, "search", text="needle")):
        said.encode("utf-8")
        assert "\x1b" not in said


# --- write and edit


def test_a_file_is_written_whole_with_its_folders_and_mode(work: Work, src: Path) -> None:
    assert say(work, "write", path="a/b/run.sh", content="echo hi") == "Wrote a/b/run.sh: 1 line."
    assert (src / "a/b/run.sh").read_text() == "echo hi\n"
    (src / "a/b/run.sh").chmod(0o755)
    say(work, "write", path="a/b/run.sh", content="echo ho\n")
    assert (src / "a/b/run.sh").stat().st_mode & 0o777 == 0o755
    assert "already holds exactly this" in say(work, "write", path="a/b/run.sh", content="echo ho\n")
    assert [entry.name for entry in (src / "a/b").iterdir()] == ["run.sh"]


def test_python_that_does_not_compile_is_not_written(work: Work, src: Path) -> None:
    (src / "calc.py").write_text("x = 1\n")
    said = refusal(work, "write", path="calc.py", content="def add(a, b)\n    return a + b\n")
    assert "calc.py was not written" in said and "line 1: expected ':'" in said and "def add(a, b)" in said
    assert (src / "calc.py").read_text() == "x = 1\n"
    assert "does not compile" in refusal(work, "write", path="new.py", content="(" * 500)
    assert not (src / "new.py").exists()


def test_an_edit_that_breaks_python_is_refused_but_broken_python_may_be_mended(work: Work, src: Path) -> None:
    (src / "good.py").write_text("def f():\n    return 1\n")
    assert "does not compile" in refusal(work, "edit", path="good.py", change=change("def f():", "def f()"))
    (src / "bad.py").write_text("def f()\n    return (1\n")
    assert "Changed bad.py" in say(work, "edit", path="bad.py", change=change("def f()", "def f():"))


def test_an_edit_keeps_windows_line_ends(work: Work, src: Path) -> None:
    (src / "dos.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    say(work, "edit", path="dos.txt", change=change("two", "zwei\ndrei"))
    assert (src / "dos.txt").read_bytes() == b"one\r\nzwei\r\ndrei\r\nthree\r\n"


def test_a_failed_edit_shows_the_nearest_lines_and_changes_nothing(work: Work, src: Path) -> None:
    (src / "calc.py").write_text("import os\n\ndef add(a, b):\n    return a - b\n")
    said = refusal(work, "edit", path="calc.py", change=change("def add(a, c):\n    return a - c", "x"))
    assert said.startswith("calc.py was not changed. ") and "   3 def add(a, b):\n   4     return a - b" in said
    assert "does not exist" in refusal(work, "edit", path="no.py", change=change("a", "b"))
    (src / "latin.txt").write_bytes(b"caf\xe9\n")
    assert "not UTF-8" in refusal(work, "edit", path="latin.txt", change=change("a", "b"))
    assert "lines 1-1 of 1 (not UTF-8: what cannot be read is shown as \ufffd)" in say(work, "view", path="latin.txt")


@pytest.mark.parametrize("text", ["a\ud800b", "a\0b"])
def test_a_text_that_is_none_is_no_exception(work: Work, text: str) -> None:
    try:
        say(work, "write", path="odd.txt", content=text)
    except ToolError as error:
        assert "odd.txt" in str(error)


# --- words


def test_words_to_people_are_heard_and_control_values_are_no_text(work: Work, heard: list[object]) -> None:
    assert say(work, "progress", percent=40) == "Noted: 40 %."
    assert say(work, "note", text="the parser drops dots\x1b[31m") == "Noted."
    assert heard == [40, "the parser drops dots"]
    box = toolbox(("ask", "finish"), work)
    assert box["ask"].run({"question": "Which?"}) == Ask("Which?")
    assert box["finish"].run({"summary": "Done."}) == Finish("Done.")


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("progress", {"percent": 101}),
        ("progress", {"percent": "much"}),
        ("bash", {}),
        ("bash", {"command": "ls", "cwd": "/"}),
        ("view", {"path": 3}),
        ("view", {"path": "a", "start": 0}),
        ("finish", {"summary": ""}),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model(work: Work, tool: str, arguments: dict[str, object]) -> None:
    assert refusal(work, tool, **arguments).startswith(f"{tool}: ")


def test_where_the_host_itself_is_the_wall_the_tools_do_the_same(tmp_path: Path) -> None:
    work = make_work(tmp_path, sandbox=External())
    assert say(work, "write", path="pkg/a.py", content="x = 1") == "Wrote pkg/a.py: 1 line."
    assert "x = 2" in say(work, "edit", path="/workspace/src/pkg/a.py", change=change("x = 1", "x = 2"))
    assert say(work, "search", text="x = 2") == "pkg/a.py:1: x = 2"
    assert say(work, "bash", command="cd pkg; cat a.py") == "exit 0\nx = 2"
    assert say(work, "bash", command="basename $PWD") == "exit 0\npkg"
    path = say(work, "bash", command="seq 1 5000").partition("all of it is in ")[2].partition(";")[0]
    assert say(work, "view", path=path, start=5000).endswith("5000 5000")


def test_every_tool_is_named_as_it_is_called() -> None:
    assert all(function.__name__ == name for name, function in TOOLS.items())
