"""A model that is missing is offered to be fetched on a terminal, and only there."""

import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path

import pytest
from repositories import AUTO, COMMAND, add_task, as_chats, project, pullwright, settings, story
from wire import ScriptedOllama

LAYERS = (
    {"status": "pulling manifest"},
    {"status": "pulling 970aa74c0a90", "digest": "sha256:970a", "total": 2000, "completed": 500},
    {"status": "pulling 970aa74c0a90", "digest": "sha256:970a", "total": 2000, "completed": 2000},
)


def on_a_terminal(folder: Path, says: bytes, *args: str) -> tuple[int, str]:
    """The command with a terminal, on which somebody types `says` at the first question."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}

    def own_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [*COMMAND, *args], cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=env, preexec_fn=own_terminal
    )
    os.close(theirs)
    seen, answered = b"", False
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux says so when the last who had it open is gone
            break
        seen += piece
        if not answered and b"Fetch it now?" in seen:
            os.write(ours, says)
            answered = True
    os.close(ours)
    return process.wait(60), seen.decode("utf-8", "replace")


@pytest.fixture
def lacking(tmp_path: Path, person: Path) -> Callable[[str], Path]:
    """A repository whose agent's model is not on the server."""

    def make(url: str) -> Path:
        agent = {"name": "gemma", "model": "gemma3:4b", "endpoint": url}
        folder = project(tmp_path / "r", agents=settings(agent, {**agent, "name": "twin"}, review=AUTO))
        add_task(folder, stages=["build"])
        return folder

    return make


def pulled(server: ScriptedOllama) -> int:
    return sum(asked.path == "/api/pull" for asked in server.requests)


def test_a_missing_model_is_fetched_on_a_yes_and_the_work_goes_on(lacking: Callable[[str], Path]) -> None:
    with ScriptedOllama(as_chats(story()["build"]), models={}, pulls=(*LAYERS, {"status": "success"})) as server:
        status, seen = on_a_terminal(lacking(server.url), b"\n", "run")
        assert pulled(server) == 1, "two agents of one model ask once"
    assert status == 0, seen
    assert f"gemma3:4b is not on {server.url}. Fetch it now?" in seen
    assert "2.0/2.0 kB" in seen and "gemma3:4b is there" in seen
    assert "greet" in seen and "complete" in seen


def test_on_a_no_nothing_is_fetched_and_the_remedy_is_said(lacking: Callable[[str], Path]) -> None:
    with ScriptedOllama(models={}) as server:
        status, seen = on_a_terminal(lacking(server.url), b"n\n", "run")
        assert pulled(server) == 0
    assert status == 1 and "ollama pull gemma3:4b" in seen


def test_a_fetch_that_fails_is_said(lacking: Callable[[str], Path]) -> None:
    with ScriptedOllama(models={}, pulls=(*LAYERS, {"error": "no space left on device"})) as server:
        status, seen = on_a_terminal(lacking(server.url), b"y\n", "run")
    assert status == 1 and "no space left on device" in seen


def test_in_a_pipe_nobody_is_asked(lacking: Callable[[str], Path]) -> None:
    with ScriptedOllama(models={}) as server:
        said = pullwright(lacking(server.url), "run")
        assert pulled(server) == 0
    assert said.status == 1 and "Fetch it" not in said.out and "ollama pull gemma3:4b" in said.err
