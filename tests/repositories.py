"""Real repositories with real Git: a small project, agents out of a file or behind a server, hubs and clones.

The project holds one line; its checks are shell scripts, so that a whole task takes a second or two.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from wire.ollama import says
from wire.server import Answer

Call = tuple[str, dict[str, Any]]
Story = dict[str, list[Call]]

TASK = "greet"
CHECK = 'for test in tests/*.sh; do sh "$test" || exit 1; done'
PROJECT = {"greeting.txt": "hello\n", "tests/hello.sh": "grep -q hello greeting.txt\n"}
DESIGN = "\n".join(
    f"## {heading}\n\nA second line says goodbye.\n"
    for heading in ("Goal", "Approach", "Files to touch", "Risks", "How it will be tested")
)
PEOPLE = "[user]\n\tname = Pat\n\temail = pat@example.invalid\n\tuseConfigOnly = true\n"
COMMAND = (sys.executable, "-c", "from pullwright.cli import main; main()")


class Ran(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


def at_home(top: Path, patch: pytest.MonkeyPatch) -> Path:
    """A home below `top` with a Git identity, in force until `patch` ends: nothing of the machine's own counts."""
    home = top / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(PEOPLE)
    patch.setenv("HOME", str(home))
    patch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    identity = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    for name in ("PULLWRIGHT_STATE", "XDG_CONFIG_HOME", "EMAIL", *identity):
        patch.delenv(name, raising=False)
    return home


def git(folder: Path, *args: str) -> str:
    """Git as a person types it; its output. A command that fails is an error of the test."""
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"git {args}: {done.stderr}"
    return done.stdout.strip()


def pullwright(folder: Path, *args: str, **env: str) -> Ran:
    """The real command in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *args], cwd=folder, capture_output=True, text=True, timeout=300, env={**os.environ, **env}
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def typed(folder: Path, *args: str) -> Ran:
    """The same command in this process, which is quicker."""
    from pullwright.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(list(args))
        except SystemExit as end:
            return Ran(int(end.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("the command did not exit")


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write texts below a folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def commit(folder: Path, message: str, files: Mapping[str, str]) -> None:
    """Write texts and commit just them."""
    write(folder, files)
    git(folder, "add", "--", *files)
    git(folder, "commit", "-q", "-m", message, "--", *files)


def settings(*agents: Mapping[str, Any], review: Mapping[str, str] | None = None, **more: Any) -> str:
    """The text of an agents.yaml; without agents it has a scripted one."""
    scripted = {
        "name": "scripted",
        "model": "recording",
        "provider": "scripted",
        "endpoint": ".pullwright/replies.yaml",
    }
    policy = {"review": dict(review)} if review else {}
    values = {
        "version": 1,
        "repository": "7f0c8f5e-6f2b-4a43-9a0a-0c3f2b1d4e5f",
        "checks": [CHECK],
        "agents": [dict(agent) for agent in agents] or [scripted],
        "policy": policy,
    }
    return yaml.safe_dump(values | more, sort_keys=False)


AUTO = dict.fromkeys(("design", "build", "test", "review", "complete"), "auto")


def story(task: str = TASK, word: str = "goodbye", file: str = "greeting.txt") -> Story:
    """A competent agent's calls, stage by stage, for a task that adds the line `word` to `file`."""
    folder = f"tasks/{task}"
    report = f"# Tests\n\n{file} says {word}: `sh tests/{word}.sh` ends with exit 0.\n"
    return {
        "design": [_write(f"{folder}/design.md", DESIGN), _finish("A second line is added.")],
        "build": [("bash", {"command": f"echo {word} >> {file}"}), _finish("The line is there.")],
        "test": [
            _write(f"tests/{word}.sh", f"grep -q {word} {file}\n"),
            _write(f"{folder}/test-report.md", report),
            _finish("One new test."),
        ],
        "review": [_write(f"{folder}/review.md", "No findings.\n"), _finish("Nothing to mend.")],
        "complete": [
            _write(f"{folder}/summary.md", f"# Summary\n\nIt is done.\n\nResult: {file}\n"),
            _finish("Done."),
        ],
    }


def _write(path: str, content: str) -> Call:
    return "write", {"path": path, "content": content}


def _finish(summary: str) -> Call:
    return "finish", {"summary": summary}


def as_replies(told: Story) -> str:
    """A story as the file of a scripted agent."""
    lines = {
        stage: [{"text": "", "calls": [{"name": name, "arguments": given}]} for name, given in calls]
        for stage, calls in told.items()
    }
    return yaml.safe_dump(lines, sort_keys=False)


def as_chats(calls: Sequence[Call]) -> list[Answer]:
    """Calls as a model without tool calls says them to Ollama: an object, then a file's text in a fence."""
    answers = []
    for name, given in calls:
        arguments = {key: value for key, value in given.items() if key != "content"}
        answers.append(says(json.dumps({"thought": "I go on.", "tool": name, "arguments": arguments})))
        if "content" in given:
            answers.append(says(f"~~~~\n{given['content']}~~~~"))
    return answers


def project(folder: Path, *, agents: str, replies: Story | None = None) -> Path:
    """A repository with the project and its settings, one commit on main."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    files = PROJECT | {"agents.yaml": agents, ".pullwright/replies.yaml": as_replies(replies or story())}
    commit(folder, "A small project", files)
    return folder


def add_task(folder: Path, task: str = TASK, **keys: Any) -> None:
    """Commit a task file on the branch that is checked out."""
    text = yaml.safe_dump({"title": "Say goodbye", "complexity": 2} | keys, sort_keys=False)
    commit(folder, f"Task: {task}", {f"tasks/{task}.yaml": text})


def bare_hub(source: Path, hub: Path) -> Path:
    """A bare repository with everything of `source`, which becomes a clone of it."""
    git(source.parent, "clone", "-q", "--mirror", str(source), str(hub))
    git(hub, "remote", "remove", "origin")
    git(source, "remote", "add", "origin", str(hub))
    git(source, "fetch", "-q", "origin")
    git(source, "branch", "-q", "--set-upstream-to=origin/main", "main")
    return hub


def clone(hub: Path, folder: Path) -> Path:
    """One more clone."""
    git(hub.parent, "clone", "-q", str(hub), str(folder))
    return folder


def first_parents(folder: Path, branch: str = "main") -> list[str]:
    """The subjects of a branch's own line, newest first."""
    return git(folder, "log", "--first-parent", "--format=%s", branch, "--").splitlines()
