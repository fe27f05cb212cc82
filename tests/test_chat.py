"""`pullwright chat`: in a pipe, on a real terminal, and what a line of it means."""

import codecs
import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from answer_parts import AT, MODELS, agent, ask, calls
from repositories import COMMAND, DESIGN, Ran, add_task, bare_hub, commit, git, project, settings, typed
from scenes import Scene
from wire import ScriptedOllama
from wire.ollama import chunk, last, says, stream
from wire.server import Answer

from pullwright.chat import drafting
from pullwright.chat.deeds import deed, status
from pullwright.chat.flow import Flow, flowed, hung, meanings
from pullwright.chat.room import Room, enter, hears
from pullwright.chat.show import clock, footnotes
from pullwright.chat.words import ENTRIES, Order, bounds, help_lines, parse
from runner.errors import UserError
from runner.host import lock, site_at
from runner.people.remarks import Unknown
from runner.talk import discussions
from runner.talk.messages import About, Created, Look, Message, answer_id, new_id

# --- what a line means ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("Why?", "Why?"),
        ("  two lines\nof it ", "two lines\nof it"),
        ("/pause", Order("pause")),
        ("/comment Say why.\nAnd how.", Order("comment", "Say why.\nAnd how.")),
        ("/answer\nin a line of its own", Order("answer", "in a line of its own")),
        (" /pause", "/pause"),
        ("/etc/hosts is wrong", "/etc/hosts is wrong"),
        ("read\n/pause", "read\n/pause"),
        ("/", "/"),
        ("", ""),
    ],
)
def test_a_line_is_words_unless_it_begins_with_a_command(line: str, meaning: object) -> None:
    assert parse(line) == meaning


@pytest.mark.parametrize("line", ["/nope", "/pause now", "/comment", "/assign  "])
def test_a_command_that_is_none_says_what_to_do(line: str) -> None:
    found = parse(line)
    assert isinstance(found, Unknown) and "/" in found.why


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_help_breaks_no_word_however_narrow_the_terminal(width: int) -> None:
    rows = list(meanings(help_lines(True), width))
    printed = "\n".join(word + meaning for word, meaning in rows)
    assert max(map(len, printed.split("\n"))) <= width
    assert printed.split() == [part for row in help_lines(True) for each in row for part in each.split()]


def test_a_meaning_stands_beside_its_word_or_where_there_is_no_room_below_it() -> None:
    rows = [("/pause", "the agent rests")]
    assert list(meanings(rows, 80)) == [("  /pause", "  the agent rests")]
    assert list(meanings(rows, 25)) == [("  /pause", "\n      the agent rests")]


def test_our_own_lines_end_at_spaces_and_a_command_is_one_line() -> None:
    command = "  → git fetch && git diff origin/work/greet...origin/agents/greet/design"
    told = hung(f"greet  design waits for review\n{command}\n  → /approve merges that, as it is", 25)
    assert told.split("\n") == [
        "greet  design waits for", "review", command, "  → /approve merges that,", "    as it is",
    ]  # fmt: skip


def test_every_command_is_in_the_help_and_fits_80_columns() -> None:
    lines = help_lines(task=True)
    assert {entry.name for entry in ENTRIES} <= {word.split()[0].removeprefix("/") for word, _ in lines}
    assert max(len(word) for word, _ in lines) + max(len(meaning) for _, meaning in lines) + 4 <= 80
    assert "/pause" not in {word for word, _ in help_lines(task=False)}


def test_bounds_are_read_as_on_github() -> None:
    assert bounds("steps=300 cost=2.5") == {"steps": 300, "cost": 2.5}
    assert isinstance(bounds("steps=many"), Unknown)


# --- what it looks like --------------------------------------------------------------------------------------------


def test_lines_end_at_spaces_and_code_keeps_its_lines() -> None:
    text = "one two three four five six\n```\n" + "x" * 30 + " yy\n```\nend"
    assert flowed(text, 22).split("\n") == [
        "  one two three four", "  five six", "  ```", "  " + "x" * 30 + " yy", "  ```", "  end",
    ]  # fmt: skip


def test_a_text_that_comes_in_pieces_looks_as_if_it_came_at_once() -> None:
    text = "Some **words** of 你好世界 and `code`,\n\n- a list\n    of two lines\n```sh\nmake  test\n```\nThe end. " * 3
    flow = Flow(40)
    assert "".join(flow.feed(text[at : at + 1]) for at in range(len(text))).split() == flowed(text, 40).split()
    flow = Flow(40)
    words = re.findall(r"\S+\s*", text)
    assert "".join(map(flow.feed, words)).rstrip() == flowed(text, 40).rstrip()


@pytest.mark.parametrize(
    ("at", "words"),
    [("2026-11-23T05:00:59Z", "05:00"), ("2026-11-22T23:59:00Z", "2026-11-22 23:59"), ("yes\x1b[2J", "")],
)
def test_a_moment_is_told_as_short_as_it_can_be(at: str, words: str) -> None:
    assert clock(at, datetime(2026, 11, 23, 8, tzinfo=UTC)) == words


def test_what_belongs_to_an_answer_stands_below_it() -> None:
    said = Message("x", AT, "agent", "gemma", "So.", model="m", tokens=9, cut="Left out: it.", cancelled=True,
                   read=(Look("view", "a"),))  # fmt: skip
    assert footnotes(said) == ["stopped before it was whole", "Left out: it.", "m · 9 tokens · looked 1×"]


# --- in a pipe -----------------------------------------------------------------------------------------------------


@contextmanager
def talking(top: Path, *script: Answer) -> Iterator[tuple[Path, ScriptedOllama]]:
    """A clone with one task, and an agent behind a scripted Ollama."""
    with ScriptedOllama(script, models=MODELS) as server:
        clone = project(top / "clone", agents=settings(agent(server.url)))
        add_task(clone)
        bare_hub(clone, top / "hub.git")
        yield clone, server


class Pipe:
    """The command with something on its standard input."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch

    def __call__(self, text: str, *args: str) -> Ran:
        self.patch.setattr("sys.stdin", io.StringIO(text))
        return typed(self.folder, "chat", *args)


def test_in_a_pipe_a_message_is_answered(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = "\x1b]0;owned\x07\x1b[2JBecause.\n::set-output name=x::y"
    with talking(tmp_path, calls("view", path="greeting.txt"), says(evil), says("Still.")) as (clone, server):
        chat = Pipe(clone, monkeypatch)
        assert chat("", "greet") == Ran(0, "", "")
        first = chat("Why is it\nso quiet?\n", "greet")
        assert (first.status, first.err) == (0, "")
        assert "Because." in first.out and "\x1b" not in first.out and "\n::" not in first.out
        told = json.loads(chat("And now?", "greet", "--json").out)
        assert (told["discussion"], told["said"]["text"], told["answer"]["text"]) == ("greet", "And now?", "Still.")
        assert told["answer"]["answers"] == told["said"]["id"]
        whole = json.loads(chat("", "--continue", "--json").out)
        assert [message["who"] for message in whole["messages"]] == ["Pat", "gemma"] * 2
        assert "\x1b" not in chat("", "greet").out
        assert "greet" in chat("", "--list").out
    assert "hello" in json.dumps(server.chats[1]["messages"]), "it looked before it answered"


def test_a_free_talk_is_found_again_by_the_beginning_of_its_id(
    tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with talking(tmp_path, says("Good."), says("Yes.")) as (clone, _):
        chat = Pipe(clone, monkeypatch)
        id = json.loads(chat("I have an idea", "--json", "--agent", "gemma").out)["discussion"]
        assert chat("And?", id[:8]).out == "Yes.\n"
        assert json.loads(chat("", "--list", "--json").out)[0]["title"] == "I have an idea"
        assert "no task and no talk nothing" in chat("Hi", "nothing").err
        assert "there is no agent mona" in chat("Hi", "--agent", "mona").err
        assert "no task" in chat("/pause", id).err


def test_in_a_pipe_commands_are_the_same(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(tmp_path) as (clone, _):
        chat = Pipe(clone, monkeypatch)
        assert "noted" in chat("/pause", "greet").out
        assert "held: paused" in chat("/status", "greet").out
        assert "at most 30 steps" in chat("/budget steps=30", "greet").out
        assert "at most 30 steps, $2.00" in chat("/budget cost=2", "greet").out
        assert chat("/assign nobody", "greet").status == 1
        assert "no stage is open" in chat("/reject It is wrong", "greet").err
        assert chat("/nope", "greet").status == 1
        commands = Scene(clone).state().commands
        assert [command.verb for command in commands] == ["pause", "set-budget", "set-budget"]
        assert {command.who for command in commands} == {"Pat <pat@example.invalid>"}


# --- in a room -----------------------------------------------------------------------------------------------------


def room(folder: Path, word: str | None = "greet") -> Room:
    return enter(site_at(folder), word)


def test_words_to_a_task_are_a_command_and_a_message_of_one_id(repository: Path) -> None:
    scene = Scene(repository)
    scene.run()
    talk = room(repository)
    said = talk.say("Say why.", "comment")
    (command,) = scene.state().commands
    assert (command.id, command.verb, command.text) == (said.id, "comment", "Say why.")
    assert [each.id for each in talk.found().messages] == [said.id]
    with pytest.raises(UserError, match="it asks nothing"):
        talk.say("42", "answer")
    assert len(talk.found().messages) == 1, "what makes no sense is not said"


def test_a_proposal_is_approved_from_the_talk(repository: Path) -> None:
    Scene(repository).run()
    talk = room(repository)
    head = git(repository, "rev-parse", "agents/greet/design")[:10]
    assert list(deed(talk, Order("approve"))) == [f"design is merged into work/greet (commit {head})"]
    assert any("next: scripted takes build" in line for line in deed(talk, Order("status")))


def test_what_is_approved_is_what_was_shown(repository: Path) -> None:
    """Somebody pushes onto the proposal while the person reads it."""
    scene = Scene(repository)
    scene.run()
    talk = room(repository)
    shown = list(status(talk))
    before = git(repository, "rev-parse", "agents/greet/design")[:10]
    assert shown[0].endswith(f"({before})") and "  → /approve merges that, " in "\n".join(shown)
    git(repository, "checkout", "-q", "agents/greet/design")
    commit(repository, "A person's own", {"tasks/greet/design.md": DESIGN + "And more.\n"})
    git(repository, "checkout", "-q", "main")
    scene.run()  # the gates again
    now = git(repository, "rev-parse", "agents/greet/design")[:10]
    with pytest.raises(UserError, match=f"has changed since you looked at it: it is {now} now"):
        list(deed(talk, Order("approve")))
    for head, status_, said in (
        (before, 1, f"it is {now} now"), (now[:6], 1, "has changed"), ("", 1, "has changed"),
        (now.upper(), 0, f"design is merged into work/greet (commit {now})"),
    ):  # fmt: skip
        ran = typed(repository, "review", "greet", "--approve", "--head", head)
        assert ran.status == status_ and said in ran.out + ran.err, (head, ran)
    assert typed(repository, "review", "greet", "--reject", "no", "--head", now).status == 2


def test_nothing_is_approved_that_came_after_the_last_look(repository: Path) -> None:
    talk = room(repository)
    Scene(repository).run()
    with pytest.raises(UserError, match="has changed since you looked"):
        list(deed(talk, Order("approve")))
    assert len(list(deed(talk, Order("approve")))) == 1, "now it was looked at"


def test_files_go_with_the_next_message(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "my notes.txt").write_text("whisper")
    (tmp_path / "evil.png").write_text("no picture")
    talk = room(repository)
    assert "my notes.txt: sent" in next(deed(talk, Order("attach", f"'{tmp_path}/my notes.txt'")))
    said = talk.say("Read this.")
    assert (said.files, talk.say("And then?").files) == (("my notes.txt",), ())
    assert discussions.content(talk.site, "greet", "my notes.txt") == b"whisper"
    for path in ("evil.png", "nothing", "."):
        with pytest.raises(UserError):
            talk.attach(tmp_path / path)


def test_an_answer_that_another_process_makes_is_the_one_that_is_shown(repository: Path) -> None:
    talk = room(repository)
    question = talk.say("Why?")
    waits = threading.Event()

    def other() -> None:
        with lock(talk.site.state, "answer-greet"):
            began.set()
            waits.wait(60)
            made = Message(answer_id(question.id), AT, "agent", "gemma", "Theirs.", answers=question.id)
            discussions.say(talk.site, "greet", made)

    began = threading.Event()
    thread = threading.Thread(target=other)
    thread.start()
    began.wait(60)
    deaf = hears(lambda text: None, lambda look: None, lambda agent: None)
    answer = talk.answered(question, deaf, waits.set)
    thread.join()
    assert answer is not None and answer.text == "Theirs."
    assert talk.unanswered() is None and talk.landed(question)


DRAFT = json.dumps(
    {"title": "Say it louder", "description": "It is too quiet.", "complexity": 2, "complexity_reason": "One word.",
     "stages": ["build", "test"], "acceptance": ["it says HELLO"]}
)  # fmt: skip


def test_a_talk_becomes_a_task_that_a_person_has_edited(tmp_path: Path, person: Path) -> None:
    with talking(tmp_path, says(DRAFT)) as (clone, _):
        id = new_id()
        ask(site_at(clone), id, "Make it louder")
        talk = room(clone, id)
        answers, shown = iter(["x", "e", "y", "e", "y"]), list[str]()
        edits = iter(["title: [", "title: Say it loud\nstages: [build]\n"])
        request = drafting.settled(
            drafting.written(talk), lambda text: next(edits), lambda text: next(answers), shown.append
        )
        assert request is not None and request.title == "Say it loud"
        assert "# Complexity 2: One word." in shown[0] and "title: Say it louder" in shown[0]
        assert any("tasks/the-task.yaml" in text for text in shown), "what cannot be read is said"
        assert "wrote and committed tasks/say-it-loud.yaml" in list(drafting.make(talk, request))
        assert f"From discussion {id}" in git(clone, "show", "HEAD:tasks/say-it-loud.yaml")
        note = talk.found().messages[-1]
        assert (note.role, note.task) == ("note", "say-it-loud")
        list(drafting.make(talk, request))
        assert (clone / "tasks" / "say-it-loud-2.yaml").exists()
        assert drafting.settled("title: x", lambda text: None, lambda text: "n", shown.append) is None


# --- on a terminal -------------------------------------------------------------------------------------------------


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, folder: Path, *args: str) -> None:
        self.fd, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        env = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "80", "LINES": "40"}
        self.process = subprocess.Popen(
            [*COMMAND, "chat", *args], cwd=folder, env=env, stdin=other, stdout=other, stderr=other,
            start_new_session=True, preexec_fn=_own_terminal,
        )  # fmt: skip
        os.close(other)
        self.seen, self.read = "", 0
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may come in two pieces

    def wait(self, *words: str) -> str:
        """What came until all the words have come."""
        end = time.monotonic() + 60
        while not all(word in self.plain() for word in words):
            assert time.monotonic() < end, (words, self.plain())
            if select.select([self.fd], [], [], 0.5)[0]:
                try:
                    self.seen += self.decoder.decode(os.read(self.fd, 65536))
                except OSError:
                    break
        return self.plain()

    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[=>]|\r", "", self.seen[self.read :])

    def type(self, keys: str) -> None:
        self.read = len(self.seen)
        os.write(self.fd, keys.encode())

    def close(self) -> int:
        self.type("\x04")
        while select.select([self.fd], [], [], 60)[0]:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break  # the other side is gone
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            os.close(self.fd)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_on_a_terminal_answers_come_word_by_word_and_stop_at_a_key(tmp_path: Path, person: Path) -> None:
    endless = stream(*(chunk(f"word{number} ") for number in range(100_000)), last())
    evil = says("Quiet \x1b[2J\x1b]0;owned\x07 it is.")
    with talking(tmp_path, calls("view", path="greeting.txt"), evil, endless) as (clone, server):
        ask(site_at(clone), "greet", "Said before")
        discussions.say(site_at(clone), "greet", Message(new_id(), AT, "note", "Pat", "a note"))
        screen = Terminal(clone, "greet")
        try:
            screen.wait("A talk", "Said before", "a note", "› ")
            screen.type("Why so\x1b\rquiet?\r")
            shown = screen.wait("gemma", "view greeting.txt", "owned\\x07 it is.", "tokens", "looked 1×")
            assert "\x1b[2J\x1b]0" not in screen.seen and "owned\x07" not in screen.seen
            screen.type("Go on \\\rfor ever\r")  # before the next line is there
            screen.wait("word7")
            screen.type("\x03")
            shown = screen.wait("stopped before it was whole", "› ")
            screen.type("/pause\r")
            screen.wait("noted")
            screen.type("/status\r")
            screen.wait("held: paused")
            screen.type("/nope\r")
            screen.wait("there is no command /nope")
        finally:
            status = screen.close()
    assert (status, "Traceback" in shown) == (0, False)
    told = discussions.read(site_at(clone), "greet").messages
    assert [each.text for each in told if each.who == "Pat"][-2:] == ["Why so\nquiet?", "Go on \nfor ever"]
    assert told[-1].cancelled and told[-1].text.startswith("word0 word1")
    assert len(server.chats) == 3


def test_what_nobody_answered_is_answered_when_the_talk_is_taken_up_again(tmp_path: Path, person: Path) -> None:
    with talking(tmp_path, says("Because.")) as (clone, _):
        site = site_at(clone)
        discussions.begin(site, About("greet", "A talk", Created(AT, "Pat"), "greet"))
        talk = room(clone)
        question = talk.say("Why?")  # and then the process was killed
        screen = Terminal(clone, "greet")
        try:
            screen.wait("Why?", "gemma", "Because.", "› ")
        finally:
            assert screen.close() == 0
    assert [each.answers for each in discussions.read(site, "greet").messages] == [None, question.id]
