"""What a model is told and what it said, shown to a person."""

import json
from pathlib import Path

import pytest
import yaml
from repositories import TASK, bare_hub, clone, commit, git, project, pullwright, settings, typed
from wire import ScriptedOllama


def over_ollama(folder: Path, url: str, **agent: object) -> Path:
    told = yaml.safe_load(settings())
    told["agents"] = [{"name": "gemma", "model": "gemma3:4b", "endpoint": url, **agent}]
    return project(folder, agents=yaml.safe_dump(told, sort_keys=False))


def test_a_prompt_is_shown_as_the_model_would_get_it_with_tokens(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama() as server:
        folder = over_ollama(tmp_path / "r", server.url)
        said = typed(folder, "prompt", "show", "build", "--agent", "gemma")
        data = json.loads(typed(folder, "prompt", "show", "build", "--agent", "gemma", "--json").out)
        assert server.chats == [], "nothing is asked"
    assert said.status == 0, said.err
    for part in ("── system, some ", "This is the stage build", "Login fails for names with a dot", '"anyOf"'):
        assert part in said.out
    assert "── gemma (gemma3:4b), json: some " in said.out and "of 8192 tokens, 2048 for the reply" in said.out
    assert [message["role"] for message in data["messages"]] == ["system", "user"]
    assert all(message["text"] in said.out for message in data["messages"])


def test_the_prompt_of_a_task_is_what_the_run_then_sends(repository: Path) -> None:
    shown = json.loads(
        typed(repository, "prompt", "show", "design", "--agent", "scripted", "--task", TASK, "--json").out
    )
    assert pullwright(repository, "run").status == 0
    first = git(repository, "show", f"refs/pullwright/trajectories/{TASK}/design.1:trajectory.jsonl").splitlines()[0]
    sent = json.loads(first)["messages"]
    assert shown["messages"] == sent[: len(shown["messages"])]


def test_the_repositorys_own_prompt_is_shown(tmp_path: Path, person: Path) -> None:
    folder = over_ollama(tmp_path / "r", "http://127.0.0.1:9")
    commit(folder, "Our own words", {".pullwright/prompts/build.md": "Build {{id}}, and mind the cat.\n"})
    said = typed(folder, "prompt", "show", "build", "--agent", "gemma")
    assert "Build fix-login, and mind the cat." in said.out
    assert "the model cannot be asked now" in said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("deploy", "--agent", "scripted"), "the stages are design, build"),
        (("build", "--agent", "nobody"), "agents.yaml has scripted"),
        (("build", "--agent", "scripted", "--task", "none"), "there is no task none"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(repository: Path, words: tuple[str, ...], told: str) -> None:
    said = typed(repository, "prompt", "show", *words)
    assert said.status == 1 and told in said.err


def test_a_run_can_be_read_like_a_chat_and_read_again(repository: Path, tmp_path: Path) -> None:
    pullwright(repository, "run")
    file = tmp_path / "t.jsonl"
    for name in (TASK, f"{TASK}/design", f"{TASK}/design.1"):
        assert "finish(summary='A second line is added.')" in typed(repository, "replay", name).out
    away = clone(bare_hub(repository, tmp_path / "hub.git"), tmp_path / "away")
    assert typed(away, "replay", TASK).out == typed(repository, "replay", TASK).out
    assert "no run of greet" in typed(away, "replay", f"{TASK}/design.2").err
    file.write_text(git(repository, "show", f"refs/pullwright/trajectories/{TASK}/design.1:trajectory.jsonl") + "\n")
    said = typed(repository, "replay", str(file))
    assert said.status == 0 and "1 · model" in said.out and "finish(summary='A second line is added.')" in said.out
    assert typed(repository, "replay", str(file), "--again").out == "every turn is read as it was\n"
    file.write_text(
        file.read_text().replace('"kind":"result","call":{"name":"write"', '"kind":"result","call":{"name":"view"')
    )
    assert "1 turns are read otherwise today" in typed(repository, "replay", str(file), "--again").out


@pytest.mark.parametrize(
    ("text", "told"), [(None, "No such file"), ("", "there is nothing in it"), ("{}\n", "line 1 is damaged")]
)
def test_a_file_that_is_no_trajectory_is_said(tmp_path: Path, text: str | None, told: str) -> None:
    file = tmp_path / "t.jsonl"
    if text is not None:
        file.write_text(text)
    said = typed(tmp_path, "replay", str(file))
    assert said.status == 1 and told in said.err and "→" in said.err
