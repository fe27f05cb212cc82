"""`pullwright doctor` on real repositories, hubs and scripted servers: what is amiss is named with its remedy."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mail_parts import PASSWORD, USER, mail_server
from repositories import add_task, bare_hub, commit, git, project, pullwright, settings, typed
from wire.ollama import MODEL, ScriptedOllama, says
from wire.openai import MODEL as SERVED
from wire.openai import ScriptedOpenAI

from pullwright.checkup import room
from pullwright.doctor import conclusion, shown
from pullwright.finding import Finding, Verdict
from pullwright.preflight import judged
from runner.agents import Agent
from runner.models import Abilities
from runner.protocols.preflight import Memory


@pytest.fixture
def ollama() -> Iterator[ScriptedOllama]:
    with ScriptedOllama(models={MODEL: ("completion",), "qwen3": ("completion", "tools")}, trained=16384) as server:
        yield server


def agent(url: str, **more: Any) -> dict[str, Any]:
    return {"name": "gemma", "model": MODEL, "endpoint": url} | more


def visited(folder: Path, *options: str) -> tuple[int, dict[str, tuple[str, str, str]]]:
    """The exit status, and subject → (verdict, what, remedy); of several findings on a subject the gravest."""
    ran = typed(folder, "doctor", "--json", *options)
    said = json.loads(ran.out)
    assert said["ok"] == (ran.status == 0)
    order = ["fine", "notice", "problem"]
    found = sorted(said["findings"], key=lambda one: order.index(one["verdict"]))
    return ran.status, {one["subject"]: (one["verdict"], one["what"], one["remedy"]) for one in found}


def project_with(folder: Path, *agents: dict[str, Any], **more: Any) -> Path:
    return project(folder, agents=settings(*agents, **more))


def test_a_host_and_a_repository_that_lack_nothing_are_ready(tmp_path: Path, person: Path, ollama: Any) -> None:
    folder = project_with(tmp_path / "all", agent(ollama.url), agent(ollama.url, name="qwen", model="qwen3"))
    status, found = visited(folder)
    assert status == 0
    assert {verdict for verdict, _, _ in found.values()} == {"fine"}
    assert list(found) == ["git", "disk", "hub", "sandbox", "agents.yaml", "gemma", "qwen"]
    assert found["sandbox"][1].startswith("bubblewrap")
    assert "a window of 8,192 tokens, answers as JSON by schema" in found["gemma"][1]
    assert "calls tools by its own account" in found["qwen"][1]
    assert ollama.chats == []  # no token is spent


def test_it_prints_a_line_each_without_escape_codes_in_a_pipe(tmp_path: Path, person: Path, ollama: Any) -> None:
    ran = pullwright(project_with(tmp_path / "all", agent(ollama.url)), "doctor")
    assert ran.status == 0 and "\x1b" not in ran.out
    lines = ran.out.splitlines()
    assert lines[0].startswith("✓ git ") and lines[-1] == "ready to run"


def test_models_that_are_missing_or_out_of_reach_are_problems(tmp_path: Path, person: Path, ollama: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
    keyed = {"provider": "openai", "api_key": "env:NOT_SET_ANYWHERE"}
    folder = project_with(
        tmp_path / "ill",
        agent(ollama.url, model="absent:1b"),
        agent(nowhere, name="down"),
        agent(ollama.url, name="keyless", **keyed),
        agent(ollama.url, name="well"),
    )
    status, found = visited(folder)
    assert status == 1
    assert [found[name][0] for name in ("gemma", "down", "keyless", "well")] == ["problem"] * 3 + ["fine"]
    assert "ollama pull absent:1b" in found["gemma"][2]
    assert nowhere in found["down"][1] and "ollama serve" in found["down"][2]
    assert found["keyless"][2] == "export NOT_SET_ANYWHERE=…"


def test_what_an_openai_compatible_endpoint_serves_is_looked_up(
    tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", "k")
    with ScriptedOpenAI() as server:
        served = {"provider": "openai", "api_key": "env:SOME_KEY", "endpoint": server.base}
        folder = project_with(
            tmp_path / "open",
            agent("", **served, name="here", model=SERVED),
            agent("", **served, model="qwen/qwen3-3b"),
        )
        status, found = visited(folder)
        assert server.chats == []
    assert status == 1 and found["here"][0] == "fine"
    assert found["gemma"][0] == "problem" and SERVED in found["gemma"][2]


def test_a_smaller_window_than_asked_for_is_a_notice(tmp_path: Path, person: Path, ollama: Any) -> None:
    status, found = visited(project_with(tmp_path / "small", agent(ollama.url, context=32768)))
    assert status == 0
    assert found["gemma"][0] == "notice" and "context: 16384" in found["gemma"][2]


def test_a_loaded_model_shows_its_real_window_and_whether_it_fits(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama(loaded=4096, memory=(8 * 10**9, 3 * 10**9)) as server:
        folder = project_with(tmp_path / "loaded", agent(server.url))
        assert visited(folder)[1]["gemma"][0] == "fine"
        status, found = visited(folder, "--load")
    assert status == 0 and found["gemma"][0] == "notice"
    assert "a window of 4,096 tokens" in found["gemma"][1] and "3.0 of 8.0 GB" in found["gemma"][1]
    assert "context: 4096" in found["gemma"][2]


def test_what_a_real_question_showed_of_tool_calls_is_told(tmp_path: Path, person: Path, ollama: Any) -> None:
    folder = project_with(tmp_path / "tried", agent(ollama.url, model="qwen3"))
    memory = Memory(folder / ".git" / "pullwright" / "protocols.json")
    memory.keep("sha256:qwen3@0.33.0", "json")
    assert "did not when tried" in visited(folder)[1]["gemma"][1]
    memory.keep("sha256:qwen3@0.33.0", "native")
    assert visited(folder)[1]["gemma"][1].endswith("calls tools, as tried")


def test_with_load_tool_calls_are_tried_once_with_a_stages_own_prompt(tmp_path: Path, person: Path) -> None:
    written = says('{"tool": "view", "arguments": {"path": "README.md"}}')
    with ScriptedOllama([written], models={"qwen3": ("completion", "tools"), MODEL: ("completion",)}) as server:
        folder = project_with(
            tmp_path / "load", agent(server.url, model="qwen3"), agent(server.url, name="small", protocol="json")
        )
        assert visited(folder)[1]["gemma"][1].endswith("by its own account")
        for _ in range(2):
            assert "did not when tried" in visited(folder, "--load")[1]["gemma"][1]
        (asked,) = server.chats
    assert "This is the first stage, the design" in asked["messages"][0]["content"]
    assert "finish" in [tool["function"]["name"] for tool in asked["tools"]]


@pytest.mark.parametrize(
    ("protocol", "tools", "context", "verdict"),
    [
        ("auto", False, 8192, "fine"),
        ("native", True, 8192, "fine"),
        ("native", False, 8192, "problem"),
        ("auto", True, 4096, "notice"),
    ],
)
def test_a_preflights_answer_is_judged_by_what_the_agent_asks_for(
    protocol: Any, tools: bool, context: int, verdict: Verdict
) -> None:
    assert judged(Agent(name="a", model="m", protocol=protocol), Abilities(context, tools)).verdict == verdict


@pytest.mark.parametrize(
    ("gibibytes", "verdict"), [(0.5, "problem"), (1, "notice"), (4.9, "notice"), (5, "fine"), (500, "fine")]
)
def test_little_room_is_a_notice_and_hardly_any_a_problem(gibibytes: float, verdict: Verdict) -> None:
    finding = room(int(gibibytes * (1 << 30)), Path("/there"))
    assert finding.verdict == verdict
    assert ("PULLWRIGHT_STATE" in finding.remedy) == (verdict != "fine")


def test_settings_that_cannot_be_read_are_named_with_file_and_key(tmp_path: Path, person: Path, ollama: Any) -> None:
    folder = project_with(tmp_path / "broken", agent(ollama.url, concurency=2))
    git(folder, "rm", "-q", "--cached", "agents.yaml")
    status, found = visited(folder)
    assert status == 1
    assert "agents.yaml" in found["agents.yaml"][1] and "concurrency" in found["agents.yaml"][2]
    assert found["sandbox"][0] == "fine"


def test_settings_that_are_not_on_base_yet_are_not_in_force(tmp_path: Path, person: Path, ollama: Any) -> None:
    folder = project_with(tmp_path / "newer", agent(ollama.url))
    (folder / "agents.yaml").write_text(settings(agent(ollama.url, name="other")))
    status, found = visited(folder)
    assert status == 0
    assert found["agents.yaml"][0] == "notice" and "merge it into main" in found["agents.yaml"][2]
    assert "gemma" in found and "other" not in found


def test_complexities_that_nobody_takes_are_named(tmp_path: Path, person: Path, ollama: Any) -> None:
    narrow = agent(ollama.url, max_complexity=6)
    status, found = visited(project_with(tmp_path / "narrow", narrow))
    assert status == 0
    assert found["agents.yaml"][:2] == ("notice", "no agent takes complexity 7, 8, 9, 10")
    status, found = visited(project_with(tmp_path / "gap", narrow, policy={"default_complexity": 8}))
    assert status == 1 and found["agents.yaml"][0] == "problem"


def test_a_task_file_that_cannot_be_read_and_missing_checks_are_notices(
    tmp_path: Path, person: Path, ollama: Any
) -> None:
    folder = project_with(tmp_path / "task", agent(ollama.url), checks=[])
    add_task(folder, "good")
    commit(folder, "bad", {"tasks/bad.yaml": "title: x\ncomplexity: 11\n"})
    status, found = visited(folder)
    assert status == 0
    assert found["tasks"][0] == "notice" and "tasks/bad.yaml" in found["tasks"][1]
    assert found["agents.yaml"][0] == "notice" and "no checks" in found["agents.yaml"][1]


def test_github_without_credentials_is_a_problem(
    tmp_path: Path, person: Path, ollama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PULLWRIGHT_GITHUB_TOKEN", "PULLWRIGHT_GITHUB_APP_ID", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    status, found = visited(project_with(tmp_path / "github", agent(ollama.url), forge="github"))
    assert status == 1
    assert found["forge" if "forge" in found else "agents.yaml"][0] == "problem"
    assert found["gemma"][0] == "fine"


def test_outside_of_a_repository_the_host_is_looked_at_all_the_same(tmp_path: Path, person: Path) -> None:
    status, found = visited(tmp_path)
    assert status == 1
    assert found["repository"][0] == "problem" and "pullwright init" in found["repository"][2]
    assert found["git"][0] == found["sandbox"][0] == "fine"


def test_a_hub_that_is_gone_or_takes_no_branches_is_a_problem(
    tmp_path: Path, person: Path, ollama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project_with(tmp_path / "clone", agent(ollama.url))
    hub = bare_hub(folder, tmp_path / "hub.git")
    assert visited(folder)[1]["hub"] == ("fine", f"{hub}, base branch main", "")
    assert git(hub, "for-each-ref", "--format=%(refname)") == "refs/heads/main"  # the push was only tried

    config = tmp_path / "gitconfig"
    config.write_text(
        f'[url "{tmp_path}/nowhere"]\n\tpushInsteadOf = {hub}\n[user]\n\tname = P\n\temail = p@q.invalid\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    status, found = visited(folder)
    assert status == 1 and "takes no branches" in found["hub"][1] and found["gemma"][0] == "fine"

    hub.rename(tmp_path / "elsewhere.git")
    status, found = visited(folder)
    assert status == 1 and "cannot read the hub" in found["hub"][1]
    assert "gemma" not in found and found["sandbox"][0] == "fine"


def test_a_password_in_the_hubs_address_is_not_printed(tmp_path: Path, person: Path, ollama: Any) -> None:
    folder = project_with(tmp_path / "clone", agent(ollama.url))
    bare_hub(folder, tmp_path / "hub.git")
    git(folder, "remote", "set-url", "origin", "https://ann:hunter2@127.0.0.1:9/x.git")
    ran = pullwright(folder, "doctor")
    assert ran.status == 1 and "127.0.0.1:9" in ran.out and "hunter2" not in ran.out + ran.err


def test_an_unknown_person_and_a_sandbox_without_walls_are_notices(
    tmp_path: Path, person: Path, ollama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project_with(tmp_path / "all", agent(ollama.url))
    (tmp_path / "empty").write_text("[user]\n\tuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "empty"))
    monkeypatch.setenv("PULLWRIGHT_SANDBOX", "external")
    status, found = visited(folder)
    assert status == 0
    assert found["git"][0] == "notice" and "git config" in found["git"][2]
    assert found["sandbox"][0] == "notice" and "PULLWRIGHT_SANDBOX" in found["sandbox"][2]
    monkeypatch.setenv("PULLWRIGHT_SANDBOX", "walls")
    status, found = visited(folder)
    assert status == 1 and found["sandbox"][0] == "problem"


def test_a_mail_server_is_called_and_gets_no_letter(
    tmp_path: Path, person: Path, ollama: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(tmp_path) as (box, server):
        mail = {"server": f"localhost:{server.port}", "sender": "bot@example.org", "to": ["a@example.org"]}
        named = mail | {"user": "env:MAIL_USER", "password": "env:MAIL_WORD"}
        folder = project_with(tmp_path / "r", agent(ollama.url), notifications={"mail": named})
        status, found = visited(folder)
        assert (status, "MAIL_USER" in found["mail"][1]) == (1, True), found  # a run would be refused as well
        for name, value in {"MAIL_USER": USER, "MAIL_WORD": PASSWORD, "SSL_CERT_FILE": server.ca}.items():
            monkeypatch.setenv(name, value)
        assert visited(folder)[1]["mail"] == ("fine", f"localhost:{server.port}, from bot@example.org", "")
    status, found = visited(folder)  # the server is gone
    assert (status, found["mail"][0]) == (0, "notice")
    assert "refused" in found["mail"][1] and "notifications.mail" in found["mail"][2]
    assert box.letters == []


def test_without_git_that_is_what_is_said(tmp_path: Path, person: Path) -> None:
    (tmp_path / "bin").mkdir()
    ran = pullwright(tmp_path, "doctor", PATH=str(tmp_path / "bin"))
    assert ran.status == 1
    assert "× git" in ran.out and "apt-get install git" in ran.out


def test_long_findings_are_wrapped_and_a_remedy_is_said_once() -> None:
    finding = Finding("gemma", "problem", "it is down. " * 9 + "Start it.", "Start it.")
    lines = shown(finding, 60).splitlines()
    assert all(len(line) <= 60 + len("\x1b[31m\x1b[0m") for line in lines)
    assert sum("Start it." in line for line in lines) == 1 and lines[-1].endswith("→ Start it.")
    assert all(line.startswith(" " * 18) for line in lines[1:])


def test_the_conclusion_counts_what_is_to_be_done() -> None:
    fine, notice, problem = (Finding("x", verdict, "y") for verdict in ("fine", "notice", "problem"))  # type: ignore[arg-type]
    assert conclusion([fine]) == "ready to run"
    assert conclusion([fine, notice]) == "ready to run; 1 to think about"
    assert conclusion([problem, problem, notice]) == "2 to mend before work can go on, 1 to think about"
