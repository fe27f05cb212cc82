"""Wrong input, through the real command: exit status 1, one message with what and how to mend it, nothing lost."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from repositories import (
    AUTO,
    PROJECT,
    Ran,
    add_task,
    as_chats,
    as_replies,
    at_home,
    bare_hub,
    commit,
    first_parents,
    git,
    project,
    pullwright,
    settings,
    story,
    typed,
    write,
)
from wire import ScriptedOllama
from wire.ollama import error

DONE = "complete  done"


def refused(ran: Ran, *words: str) -> None:
    """One message: what is wrong, and after an arrow the remedy."""
    assert ran.status == 1, (ran.out, ran.err)
    assert ran.err.startswith("pullwright: "), ran.err
    assert ran.err.count("pullwright: ") == 1, ran.err
    assert "\n  → " in ran.err, ran.err
    assert [word for word in words if word not in ran.err] == [], ran.err


def finishes(folder: Path) -> None:
    """The task goes on to its end, as if nothing had been wrong."""
    ran = pullwright(folder, "run")
    assert (ran.status, ran.err) == (0, "")
    assert DONE in ran.out


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with a task of one stage that nobody has to approve, to be copied."""
    top = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        folder = project(top / "repository", agents=settings(review=AUTO))
        add_task(folder, stages=["build"])
    yield folder


@pytest.fixture
def short(tmp_path: Path, person: Path, once: Path) -> Path:
    """A repository with a task of one stage that nobody has to approve."""
    return shutil.copytree(once, tmp_path / "short", symlinks=True)


# --- agents.yaml ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("agents:", "agents: [", ("agents.yaml", "line", "not YAML")),
        ("checks:", "cheks:", ("agents.yaml: cheks", "did you mean `checks`?")),
        ("version: 1", "version: one", ("agents.yaml: version",)),
        ("provider: scripted", "provider: olama", ("agents.yaml: agents[0].provider", "ollama")),
        ("name: scripted", "name: My Agent", ("agents.yaml: agents[0].name", "lower-case")),
        ("model: recording", "model: recording\n  max_complexity: 11", ("agents[0].max_complexity", "11 is more than")),
        ("model: recording", "model: recording\n  api_key: sk-123", ("agents[0].api_key", "env:")),
    ],
)
def test_a_broken_agents_yaml_is_named_with_line_key_and_remedy(
    short: Path, old: str, new: str, words: tuple[str, ...]
) -> None:
    good = (short / "agents.yaml").read_text()
    assert old in good
    commit(short, "Broken", {"agents.yaml": good.replace(old, new, 1)})
    refused(typed(short, "plan"), *words)


def test_a_broken_agents_yaml_is_named_before_it_is_committed(short: Path) -> None:
    write(short, {"agents.yaml": "agents: ["})
    refused(typed(short, "plan"), "agents.yaml: this is not YAML")
    refused(typed(short, "task", "new", "Another"), "agents.yaml: this is not YAML")
    assert not (short / "tasks/another.yaml").exists()


def test_after_mending_agents_yaml_the_task_goes_on(short: Path) -> None:
    good = (short / "agents.yaml").read_text()
    commit(short, "Broken", {"agents.yaml": "agents: ["})
    refused(pullwright(short, "run"), "agents.yaml")
    commit(short, "Mended", {"agents.yaml": good})
    finishes(short)


# --- task files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("tasks/bad.yaml", "title: a\ncomplexity: 11\n", ("complexity: 11 is more than 10", "line 2", "from 1 to 10")),
        ("tasks/bad.yaml", "title: a\ncomplxity: 3\n", ("complxity", "did you mean `complexity`?")),
        ("tasks/bad.yaml", "complexity: 3\n", ("`title` is missing",)),
        ("tasks/bad.yaml", "title: 5\n", ("title", "in quotes")),
        ("tasks/Bad_Name.yaml", "title: a\n", ("Bad_Name", "rename the file to bad-name.yaml")),
        ("tasks/bad.yml", "title: a\n", ("tasks/bad.yml", ".yaml")),
        ("tasks/more/greet.yaml", "title: a\n", ("tasks/more/greet.yaml", "tasks/greet.yaml")),
        ("tasks/bad.yaml", "title: [\n", ("not YAML",)),
        ("tasks/bad.yaml", "title: a\ndepends_on: [nobody]\n", ("depends_on", "nobody")),
    ],
)
def test_a_bad_task_file_is_named_with_its_remedy_wherever_tasks_are_shown(
    short: Path, path: str, text: str, words: tuple[str, ...]
) -> None:
    commit(short, "Bad", {path: text})
    for command in ("plan", "task list"):
        ran = typed(short, *command.split())
        assert ran.status == 0
        assert [word for word in (path, *words) if word not in ran.err] == [], ran.err


def test_a_bad_task_file_hides_no_other_and_the_run_says_that_somebody_must_act(short: Path) -> None:
    commit(short, "Bad", {"tasks/bad.yaml": "title: a\ncomplexity: 11\n"})
    ran = pullwright(short, "run")
    refused(ran, "tasks/bad.yaml: complexity: 11 is more than 10 (line 2)", "give a whole number from 1 to 10")
    assert DONE in ran.out
    assert first_parents(short)[0] == "Merge build of greet into main"
    refused(typed(short, "run", "--task", "bad"), "tasks/bad.yaml")
    refused(typed(short, "task", "show", "bad"), "tasks/bad.yaml")
    commit(short, "Mended", {"tasks/bad.yaml": "title: a\ncomplexity: 10\n"})
    assert typed(short, "plan").err == ""


def test_a_task_that_is_not_there_is_refused_and_the_others_are_named(short: Path) -> None:
    for command in (("run", "--task", "nope"), ("task", "show", "nope"), ("review", "nope", "--approve")):
        refused(typed(short, *command), "there is no task nope", "greet")


# --- models --------------------------------------------------------------------------------------------------------


def ollama(endpoint: str, **more: Any) -> str:
    agent = {"name": "gemma", "model": "gemma3:4b", "endpoint": endpoint} | more
    return settings(agent, review=AUTO)


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_endpoint_that_is_down_is_named_and_the_task_goes_on_when_it_is_up(short: Path) -> None:
    commit(short, "Ollama", {"agents.yaml": ollama(f"http://127.0.0.1:{closed_port()}")})
    before = git(short, "for-each-ref")
    refused(pullwright(short, "run"), "http://127.0.0.1:", "ollama serve", "agents.yaml")
    assert git(short, "for-each-ref") == before
    with ScriptedOllama(as_chats(story()["build"])) as server:
        commit(short, "Up", {"agents.yaml": ollama(server.url)})
        finishes(short)


def test_an_endpoint_that_refuses_in_the_middle_costs_no_step(short: Path) -> None:
    told = as_chats(story()["build"])
    with ScriptedOllama([*told[:1], error(429, "try again in an hour", Retry_After="3600")]) as server:
        commit(short, "Up", {"agents.yaml": ollama(server.url)})
        refused(pullwright(short, "run"), server.url, "try again in an hour", "it goes on from here")
    with ScriptedOllama(told[1:]) as server:
        commit(short, "Elsewhere", {"agents.yaml": ollama(server.url)})
        finishes(short)
        assert len(server.chats) == len(told) - 1
    assert git(short, "show", "main:greeting.txt") == "hello\ngoodbye"


def test_a_model_that_is_not_there_is_named_with_the_command_that_fetches_it(short: Path) -> None:
    with ScriptedOllama(models={"llama3.2:3b": ("completion",)}) as server:
        commit(short, "Ollama", {"agents.yaml": ollama(server.url)})
        refused(pullwright(short, "run"), "has no model gemma3:4b", "ollama pull gemma3:4b")


def test_a_key_that_is_not_set_is_named(short: Path) -> None:
    agent = ollama("http://127.0.0.1:9/v1", provider="openai", api_key="env:PULLWRIGHT_TEST_KEY")
    commit(short, "Key", {"agents.yaml": agent})
    refused(pullwright(short, "run"), "gemma", "PULLWRIGHT_TEST_KEY is not set", "export PULLWRIGHT_TEST_KEY=")


def test_where_one_agent_is_offline_the_next_one_takes_the_task(short: Path) -> None:
    down = {"name": "gemma", "model": "gemma3:4b", "endpoint": f"http://127.0.0.1:{closed_port()}"}
    up = {"name": "scripted", "model": "recording", "provider": "scripted", "endpoint": ".pullwright/replies.yaml"}
    commit(short, "Two", {"agents.yaml": settings(down, up, review=AUTO)})
    ran = pullwright(short, "run")
    assert ran.status == 0
    assert "gemma is offline" in ran.out
    assert DONE in ran.out


def test_replies_that_cannot_be_read_are_named(short: Path) -> None:
    (short / ".pullwright/replies.yaml").unlink()
    refused(pullwright(short, "run"), ".pullwright/replies.yaml", "agents.yaml")
    write(short, {".pullwright/replies.yaml": as_replies(story())})
    finishes(short)


# --- the sandbox ---------------------------------------------------------------------------------------------------


def inside(folder: Path, *words: str) -> Ran:
    """`pullwright run` on a machine that is like this one but for what `words` (of bwrap) change."""
    command = ["bwrap", "--dev-bind", "/", "/", *words, "--", sys.executable, "-c"]
    done = subprocess.run(
        [*command, "from pullwright.cli import main; main(['run'])"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_where_bubblewrap_is_missing_nothing_runs_and_the_remedy_is_named(short: Path, tmp_path: Path) -> None:
    real, fewer = tmp_path / "real", tmp_path / "fewer"
    real.mkdir()
    fewer.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "bwrap":
            (fewer / program.name).symlink_to(real / program.name)
    before = git(short, "for-each-ref")
    ran = inside(short, "--bind", "/usr/bin", str(real), "--bind", str(fewer), "/usr/bin")
    refused(ran, "/usr/bin/bwrap", "No such file", "apt-get install bubblewrap", "PULLWRIGHT_SANDBOX=external")
    assert git(short, "for-each-ref") == before
    finishes(short)


def test_where_user_namespaces_are_refused_nothing_runs_and_the_cause_is_named(short: Path) -> None:
    before = git(short, "for-each-ref")
    ran = inside(short, "--unshare-user", "--disable-userns")
    refused(ran, "user namespaces", "PULLWRIGHT_SANDBOX=external")
    assert git(short, "for-each-ref") == before
    finishes(short)


def test_a_word_that_names_no_sandbox_is_refused(short: Path) -> None:
    refused(pullwright(short, "run", PULLWRIGHT_SANDBOX="none"), "PULLWRIGHT_SANDBOX is 'none'", "external")


# --- the repository ------------------------------------------------------------------------------------------------


def test_outside_of_a_repository_every_command_says_where_to_go(tmp_path: Path, person: Path) -> None:
    for command in ("run", "plan", "task list", "task show a", "task new a", "retry a", "review a --approve"):
        refused(typed(tmp_path, *command.split()), "is not in a Git repository", "pullwright init")


def test_a_repository_without_agents_yaml_is_told_of_init(tmp_path: Path, person: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main", "r")
    refused(typed(tmp_path / "r", "run"), "no branch main with a commit on it", "pullwright init")
    commit(tmp_path / "r", "First", PROJECT)
    refused(typed(tmp_path / "r", "run"), "agents.yaml is not on the base branch", "pullwright init")
    assert typed(tmp_path / "r", "task", "new", "A thing").out.endswith("next: pullwright init\n")
    assert typed(tmp_path / "r", "init").status == 0
    assert "a-thing  not started" in typed(tmp_path / "r", "plan").out


def test_a_repository_of_another_account_is_told_apart_from_none(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # Git's own way to try this (setup.c)
    before = git(short, "--git-dir=.git", "log", "--format=%H", "main")
    for command in ("run", "task list", "init"):
        refused(typed(short, *command.split()), "another account", f"git config --global --add safe.directory {short}")
    assert git(short, "--git-dir=.git", "log", "--format=%H", "main") == before


def test_a_base_branch_that_is_not_there_is_named_with_its_key(short: Path) -> None:
    commit(short, "Trunk", {"agents.yaml": settings(base="trunk")})
    refused(pullwright(short, "run"), "no branch trunk", "`base:` in agents.yaml")


def test_a_hub_out_of_reach_is_named_and_nothing_is_lost(short: Path, tmp_path: Path) -> None:
    hub = bare_hub(short, tmp_path / "hub.git")
    hub.rename(tmp_path / "away.git")
    refused(pullwright(short, "run"), str(hub), "git remote -v")
    (tmp_path / "away.git").rename(hub)
    finishes(short)


def test_without_a_git_identity_a_task_is_not_written_and_the_remedy_is_named(short: Path, person: Path) -> None:
    (person / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    refused(typed(short, "task", "new", "Another"), "user.name and user.email", "git config --global user.name")
    assert not (short / "tasks/another.yaml").exists()
    finishes(short)  # the runner signs with names of its own


def test_task_new_refuses_before_it_writes(short: Path) -> None:
    refused(typed(short, "task", "new", "Say it", "--id", "greet"), "tasks/greet.yaml", "--id SLUG")
    refused(typed(short, "task", "new", "Say it", "--id", "Bad Name"), "Bad Name", "bad-name")
    refused(typed(short, "task", "new", "Say it", "--id", "../out"), "../out", "--id out")
    refused(typed(short, "task", "new", "Say it", "--stages", "build,desgn"), "stages", "design")
    refused(typed(short, "task", "new", "Say it", "--depends-on", "Not An Id"), "depends_on")
    assert typed(short, "task", "new", "Say it", "-c", "11").status == 2
    assert git(short, "status", "--porcelain") == ""
    bare = shutil.copytree(short / ".git", short.parent / "bare.git")
    git(bare, "config", "core.bare", "true")
    refused(typed(bare, "task", "new", "Say it"), "bare repository")


def test_a_dirty_checkout_is_kept_as_it_is_and_named(short: Path) -> None:
    (short / "greeting.txt").write_text("work in progress\n")
    ran = pullwright(short, "run")
    assert ran.status == 0  # it holds: a person may take all the time they want
    assert "uncommitted changes: commit or stash them" in ran.out
    assert (short / "greeting.txt").read_text() == "work in progress\n"
    git(short, "stash", "-q")
    finishes(short)
    git(short, "checkout", "-q", "stash@{0}", "--", "greeting.txt")
    assert (short / "greeting.txt").read_text() == "work in progress\n"


# --- what people say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("review greet --approve", ("no proposal yet", "build has not begun")),
        ("review greet --reject no", ("no stage is open to reject",)),
        ("review greet --comment more", ("no stage is open to comment",)),
        ("answer greet yes", ("no stage is open to answer",)),
        ("retry greet", ("there is no attempt to repeat",)),
        ("resume greet", ("it is not paused",)),
        ("assign greet nobody", ("there is no agent nobody", "scripted")),
    ],
)
def test_words_that_make_no_sense_now_are_refused(short: Path, command: str, words: tuple[str, ...]) -> None:
    refused(typed(short, *command.split()), *words)
    assert git(short, "for-each-ref", "refs/pullwright") == ""


def test_wrong_usage_is_status_2(short: Path) -> None:
    for command in ("review greet", "review greet --approve --reject no", "run --once --watch", "frobnicate", "task"):
        assert typed(short, *command.split()).status == 2
    refused(typed(short, "run", "--stage", "deploy"), "there is no stage deploy", "design, build, test")
