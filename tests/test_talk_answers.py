"""Answers: with what matters, after looking, over each protocol, streamed, stopped, once."""

import json
import threading
from pathlib import Path

import pytest
from answer_parts import MODELS, NATIVE, WEAK, agent, answered, ask, calls, desk_at
from repositories import add_task, bare_hub, commit, git, project, settings
from service.running import until
from wire import ScriptedOllama
from wire.ollama import chunk, error, last, says, stream
from wire.server import Answer

from runner.errors import UserError
from runner.talk import discussions
from runner.talk.answering import Hears, answer

FREE = "0f0e7f2e-6f2b-4a43-9a0a-0c3f2b1d4e5f"


def home(top: Path, url: str, **entry: object) -> Path:
    """A clone of a hub with the project and one task."""
    folder = project(top / "clone", agents=settings(agent(url, **entry)))
    add_task(folder)
    bare_hub(folder, top / "hub.git")
    return folder


def prompts(server: ScriptedOllama, number: int = -1) -> str:
    return "\n".join(message["content"] for message in server.chats[number]["messages"])


def test_an_answer_streams_word_by_word_and_is_stored_once(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama([says("It says hello, as greeting.txt:1 shows.")], models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        question = ask(desk.site, "greet", "What does it say?")
        made, heard = answered(desk, "greet", question)
        assert made.text == "It says hello, as greeting.txt:1 shows."
        assert len(heard.texts) > 3
        assert all(made.text.startswith(text) for text in heard.texts)
        assert (made.who, made.model, made.answers, made.tokens) == ("gemma", WEAK, question.id, 105)
        again, _ = answered(desk, "greet", question)
        assert (again, len(server.chats)) == (made, 1)
    found = discussions.read(desk.site, "greet")
    assert found is not None and [message.role for message in found.messages] == ["person", "agent"]


def test_the_agent_looks_before_it_answers_with_file_and_line(tmp_path: Path, person: Path) -> None:
    script = [
        calls("view", path="greeting.txt"),
        calls("search", text="hello"),
        calls("log", path="greeting.txt"),
        calls("view", path="../../etc/passwd"),
        says("See greeting.txt:1."),
    ]
    with ScriptedOllama(script, models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        made, heard = answered(desk, FREE, ask(desk.site, FREE, "Where?"))
        seen = [message["content"] for message in server.chats[-1]["messages"] if message["role"] == "tool"]
    assert "   1 hello" in seen[0]
    assert "greeting.txt:1:hello" in seen[1]
    assert "A small project" in seen[2]
    assert "Give a path of the repository" in seen[3]
    assert [look.tool for look in made.read] == ["view", "search", "log", "view"] == [look.tool for look in heard.looks]
    assert made.text == "See greeting.txt:1."


@pytest.mark.parametrize(
    ("model", "protocol", "script"),
    [
        (WEAK, "json", ['{"thought": "I look.", "tool": "view", "arguments": {"path": "greeting.txt"}}',
                        '{"thought": "I know.", "tool": "answer", "arguments": {}}',
                        "````\nIt says:\n```text\nhello\n```\nin greeting.txt:1.\n````"]),
        (WEAK, "text", ["I look.\n```view greeting.txt\n```", "It says:\n```text\nhello\n```\nin greeting.txt:1."]),
        (NATIVE, "native", ['{"name": "view", "arguments": {"path": "greeting.txt"}}',
                            "It says:\n```text\nhello\n```\nin greeting.txt:1."]),
    ],
)  # fmt: skip
def test_weak_models_answer_by_their_own_protocol(
    tmp_path: Path, person: Path, model: str, protocol: str, script: list[str]
) -> None:
    with ScriptedOllama([says(text) for text in script], models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url, model=model, protocol=protocol))
        made, heard = answered(desk, FREE, ask(desk.site, FREE, "What?"))
        assert made.text == "It says:\n```text\nhello\n```\nin greeting.txt:1."
        assert [look.what for look in made.read] == ["greeting.txt"]
        assert not any("tool" in text or "arguments" in text or "view" in text for text in heard.texts)
        assert heard.texts[-1].startswith("It says:")
        assert "   1 hello" in prompts(server)


def test_a_server_without_tool_calls_is_asked_in_another_way(tmp_path: Path, person: Path) -> None:
    script = [
        error(400, f"{NATIVE} does not support tools"),
        says('{"thought": "", "tool": "answer", "arguments": {}}'),
        says("````\nYes.\n````"),
    ]
    with ScriptedOllama(script, models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        assert answered(desk, FREE, ask(desk.site, FREE, "Well?"))[0].text == "Yes."


def test_a_prompt_that_was_too_long_is_made_shorter_and_an_answer_that_was_cut_says_so(
    tmp_path: Path, person: Path
) -> None:
    long = error(400, "the prompt is longer than the context length currently available to the model")
    cut = stream(chunk("It is so because"), last(reason="length"))
    with ScriptedOllama([calls("view", path="greeting.txt"), long, cut], models=MODELS) as server:
        folder = home(tmp_path, server.url, context=16384)
        add_task(folder, "long", description="word " * 9000)
        git(folder, "push", "-q", "origin", "main")
        desk = desk_at(folder)
        made, _ = answered(desk, "long", ask(desk.site, "long", "Why?"))
        first, *_, shortened = [sum(len(m["content"]) for m in chat["messages"]) for chat in server.chats]
    assert made.text == "It is so because"
    assert "window of 9830 tokens" in made.cut and "ended at the" in made.cut
    assert shortened < 0.7 * first


def test_what_cannot_be_read_is_told_a_few_times_and_then_a_person_hears_of_it(tmp_path: Path, person: Path) -> None:
    bad = '{"name": "view", "arguments": {"paths": 3}}'
    with ScriptedOllama([says(bad), says("Yes.")] + [says(bad)] * 9, models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        assert answered(desk, FREE, ask(desk.site, FREE, "Well?"))[0].text == "Yes."
        with pytest.raises(UserError, match="no answer that can be read"):
            answered(desk, FREE, ask(desk.site, FREE, "And now?"))
        assert len(server.chats) < 8


def test_an_answer_may_be_json_and_a_call_in_its_place_is_none(tmp_path: Path, person: Path) -> None:
    call, words = '{"thought": "", "tool": "answer", "arguments": {}}', '{"hello": 1}'
    look = '{"thought": "I look.", "tool": "log", "arguments": {}}'
    with ScriptedOllama([says(words), says(words)], models=MODELS) as server:
        desk = desk_at(home(tmp_path / "native", server.url))
        assert answered(desk, FREE, ask(desk.site, FREE, "As JSON?"))[0].text == words
    half = '{"thought": "The task is'
    with ScriptedOllama([says(text) for text in (call, half, words, call, look, look)], models=MODELS) as server:
        desk = desk_at(home(tmp_path / "weak", server.url, model=WEAK))
        assert answered(desk, FREE, ask(desk.site, FREE, "As JSON?"))[0].text == words
        with pytest.raises(UserError, match="no answer that can be read"):
            answered(desk, FREE, ask(desk.site, FREE, "And now?"))


def test_an_agent_that_goes_in_circles_has_to_answer_sooner(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama([calls("view", path=".")] * 4 + [says("Enough.")], models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        assert answered(desk, FREE, ask(desk.site, FREE, "Well?"))[0].text == "Enough."


def test_an_agent_that_only_looks_has_to_answer_in_the_end(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama(
        [calls("view", path="greeting.txt", start=n) for n in range(1, 9)] + [says("Enough.")], models=MODELS
    ) as server:
        desk = desk_at(home(tmp_path, server.url))
        assert answered(desk, FREE, ask(desk.site, FREE, "Well?"))[0].text == "Enough."
        assert "tools" not in server.chats[-1] or not server.chats[-1]["tools"]


def test_a_stopped_answer_keeps_what_was_said_and_closes_the_connection(tmp_path: Path, person: Path) -> None:
    long = stream(*(chunk(f"word{number} ") for number in range(2000)), last())
    with ScriptedOllama([long], models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        question = ask(desk.site, FREE, "Tell me everything")
        heard_so_far: list[str] = []
        stop: list[object] = []

        def hear(text: str) -> None:
            heard_so_far.append(text)
            if "word20" in text:
                stop[0].set()  # type: ignore[attr-defined]

        stop.append(threading.Event())
        made = answer(desk, FREE, question.id, Hears(hear, lambda look: None, stop[0]))  # type: ignore[arg-type]
    assert made is not None and made.cancelled
    assert made.text.startswith("word0 word1") and "word1999" not in made.text


def test_a_model_that_says_nothing_is_stopped_at_once(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama([Answer((), pause=3600.0)], models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        question = ask(desk.site, FREE, "Well?")
        stop = threading.Event()

        def stop_once_asked() -> None:
            until(lambda: bool(server.chats), "nobody asks")
            stop.set()

        threading.Thread(target=stop_once_asked).start()
        made = answer(desk, FREE, question.id, Hears(lambda text: None, lambda look: None, stop))
        assert made is not None and (made.cancelled, made.text) == (True, "")
        until(lambda: not any(thread.name == "asking" for thread in threading.enumerate()), "the line is open", 60)
        assert len(server.chats) == 1, "and it is not asked again"


def test_an_endpoint_that_is_down_is_told_with_what_to_do(tmp_path: Path, person: Path) -> None:
    desk = desk_at(home(tmp_path, "http://127.0.0.1:9"))
    with pytest.raises(UserError) as told:
        answered(desk, FREE, ask(desk.site, FREE, "Well?"))
    assert told.value.remedy


def test_the_conversation_so_far_belongs_to_the_question(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama([says("Forty-two."), says("I said 42.")], models=MODELS) as server:
        desk = desk_at(home(tmp_path, server.url))
        answered(desk, FREE, ask(desk.site, FREE, "How many?"))
        answered(desk, FREE, ask(desk.site, FREE, "What did you say?"))
        roles = [message["role"] for message in server.chats[-1]["messages"]]
        assert roles == ["system", "user", "assistant", "user"]
        assert "Forty-two." in prompts(server) and "Pat: How many?" in prompts(server)


def test_secrets_reach_neither_the_model_nor_those_who_follow(
    tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr3t-Canary-Value-77"
    monkeypatch.setenv("DEPLOY_TOKEN", secret)
    with ScriptedOllama(
        [calls("view", path="leak.txt"), says(f"The token is {secret} indeed.")], models=MODELS
    ) as server:
        folder = home(tmp_path, server.url)
        commit(folder, "A leak", {"leak.txt": f"token={secret}\n", "AGENTS.md": f"Use {secret}.\n"})
        git(folder, "push", "-q", "origin", "main")
        desk = desk_at(folder)
        made, heard = answered(desk, FREE, ask(desk.site, FREE, f"Is it {secret}?"))
        sent = json.dumps(server.chats)
    assert secret not in sent and "AGENTS.md" in sent
    assert secret not in made.text and made.text == "The token is <secret removed> indeed."
    assert not any(secret[:12] in text for text in heard.texts)
