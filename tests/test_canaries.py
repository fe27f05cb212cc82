"""Planted secrets never get into what is stored, printed, pushed or sent to a model, whatever an agent tries."""

import base64
import json
from pathlib import Path

import pytest
import repositories as r
from scenes import Scene

from runner import git
from runner.live import path_of
from runner.secrets import MARK, Redactor

CANARY = "cnry-9f3KxQ/72+w=Z"
OTHER = "ghs_1234567_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjM0NTYifQ." + "x-_9" * 30
OURS = (":!tasks/greet.yaml", ":!.pullwright")
"""What the test itself committed is not looked at."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = r.at_home(tmp_path, monkeypatch)
    monkeypatch.setenv("PULLWRIGHT_TEST_TOKEN", CANARY)
    with (home / ".gitconfig").open("a") as file:
        file.write(f'[http "https://hub.example/"]\n\textraheader = AUTHORIZATION: basic {CANARY}\n')
    (home / ".netrc").write_text(f"machine hub.example login x password {CANARY}\n")
    return home


def leaks(scene: Scene) -> list[str]:
    """Every place below the state folder, in a ref of ours or in what was said that holds a canary in any spelling."""
    wanted = Redactor([CANARY])
    places = {"said": "\n".join(scene.said)}
    for file in scene.site.state.rglob("*"):
        apart = {"repo.git", "workspaces"} & set(file.relative_to(scene.site.state).parts)
        if file.is_file() and not apart:
            places[str(file)] = file.read_bytes().decode("utf-8", "replace")
    for name, commit in git.refs(scene.site.repo, "refs/").items():
        places[name] = git.git(scene.site.repo, "log", "-p", "--text", "--format=fuller", commit, "--", *OURS)
    for ref in r.git(scene.folder, "for-each-ref", "--format=%(refname)").splitlines():
        places[f"hub {ref}"] = r.git(scene.folder, "log", "-p", "--text", ref, "--", *OURS)
    return [place for place, text in places.items() if any(CANARY in text or hit for hit in wanted.find(text))]


TRIES = (
    "env; cat /proc/*/environ | tr '\\0' '\\n'",
    "git config --list --show-origin; cat ~/.gitconfig ~/.netrc /root/.netrc; ls /root",
    "keyctl show; keyctl print 1; cat /proc/keys",
    "cat /workspace/../*/*/*; ls -R / 2>/dev/null | grep -i netrc",
    f"echo {CANARY}",
    f"printf %s '{CANARY}' | base64; printf 'x%s' '{CANARY}' | base64 -w 10; printf %s '{CANARY}' | xxd -p",
    f"python3 -c 'print({CANARY!r}[::-1], {CANARY!r}.encode().hex(\":\"))'; exit 3",
    f"echo 'token: {OTHER}'",
)


def with_tries() -> r.Story:
    """A whole story in which the agent has got hold of the secrets, as if a person told it, and says them around."""
    told = r.story()
    told["design"] = [*(("bash", {"command": line}) for line in TRIES), *told["design"]]
    told["complete"][1:1] = [
        ("note", {"text": f"The key is {CANARY}, in base64 {base64.b64encode(CANARY.encode()).decode()}"}),
    ]
    told["complete"][-1] = ("finish", {"summary": f"Done with {json.dumps(CANARY)} and {OTHER}."})
    return told


def test_what_an_agent_says_and_sees_is_stored_without_secrets(home: Path, tmp_path: Path) -> None:
    scene = Scene(r.project(tmp_path / "repo", agents=r.settings(review=r.AUTO), replies=with_tries()))
    r.add_task(scene.folder, description=f"Use the token {CANARY}, please.")
    scene.run()
    assert scene.state().current is None, scene.said
    found = leaks(scene)
    assert found == []
    live = path_of(scene.site.state, "greet").read_text()
    assert MARK in live and MARK in r.git(scene.folder, "log", "-p", "main", "--", "tasks/greet/")


def test_the_control_without_the_wall_it_leaks(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(r.project(tmp_path / "repo", agents=r.settings(), replies=with_tries()))
    r.add_task(scene.folder)
    monkeypatch.delenv("PULLWRIGHT_TEST_TOKEN")
    scene.run()
    monkeypatch.setenv("PULLWRIGHT_TEST_TOKEN", CANARY)
    assert len(leaks(scene)) >= 2


def test_a_file_with_a_secret_holds_the_stage_and_is_never_pushed(home: Path, tmp_path: Path) -> None:
    told = r.story()
    line = f"echo goodbye >> greeting.txt; mkdir conf; printf ghp_%s {'aB3d' * 4}{{X,Y}}{'aB3d' * 4} > conf/token"
    told["build"] = [("bash", {"command": line}), ("finish", {"summary": "The line is there."})]
    scene = Scene(r.project(tmp_path / "repo", agents=r.settings(review=r.AUTO), replies=told))
    r.add_task(scene.folder)
    scene.run(turns=3)
    opened = scene.state().open
    assert opened is not None and opened.entry.hold is not None
    assert opened.entry.hold.reason.startswith("the work cannot be taken: conf/token holds a GitHub token")
    told["build"] += [("bash", {"command": "rm conf/token"}), ("finish", {"summary": "It is out."})]
    r.commit(scene.folder, "More words", {".pullwright/replies.yaml": r.as_replies(told)})
    scene.finish()
    assert "goodbye" in r.git(scene.folder, "show", "main:greeting.txt"), "the work was still there"
    assert leaks(scene) == [] and "ghp_aB3d" not in r.git(scene.folder, "log", "-p", "--all", "--", *OURS)
    assert r.git(scene.folder, "log", "--all", "--", "conf") == ""
    assert "take it out" in r.git(scene.folder, "show", "main:tasks/greet/updates.jsonl")


def test_work_that_is_refused_again_and_again_is_not_lost(home: Path, tmp_path: Path) -> None:
    """The agent says twice that it is done and takes the secret out only then; nobody has pushed its other files."""
    told = r.story()
    line = f"echo goodbye >> greeting.txt; mkdir conf; printf ghp_%s {'aB3d' * 4}{{X,Y}}{'aB3d' * 4} > conf/token"
    done = ("finish", {"summary": "It is done."})
    told["build"] = [("bash", {"command": line}), done, done, ("bash", {"command": "rm conf/token"}), done]
    scene = Scene(r.project(tmp_path / "repo", agents=r.settings(review=r.AUTO), replies=told))
    r.add_task(scene.folder, stages=["build", "complete"])
    scene.run()
    assert scene.state().current is None, "\n".join(scene.said)
    updates = r.git(scene.folder, "show", "main:tasks/greet/updates.jsonl")
    assert updates.count("the work cannot be taken: conf/token holds a GitHub token") >= 2
    assert "goodbye" in r.git(scene.folder, "show", "main:greeting.txt")
    assert "ghp_aB3d" not in r.git(scene.folder, "log", "-p", "--all", "--", *OURS)
