"""What comes of the faults of models' servers (docs/models.md §2) in the real loop, over real HTTP."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from repositories import AUTO, add_task, as_chats, project, pullwright, settings, story
from talk_parts import Desk, entries, run
from wire import ScriptedOllama, ScriptedOpenAI
from wire import openai as router
from wire.ollama import chunk, error, last, says, stream
from wire.server import Answer, as_json

from runner.errors import UserError
from runner.loop.dialogue import Bounds, Exhausted, Failed, Finished, Outcome
from runner.models.ollama import Ollama
from runner.models.openai import OpenAI

DONE = says(json.dumps({"thought": "It is done.", "tool": "finish", "arguments": {"summary": "done"}}), prompt=800)
LOOK = says(json.dumps({"thought": "I look.", "tool": "bash", "arguments": {"command": "ls"}}), prompt=800)
CALLED = stream(chunk("", ("finish", {"summary": "done"})), last(prompt=0))
KEY = "sk-or-v1-secret"
BUSY = error(503, "server busy, please try again.")


class Talked(NamedTuple):
    """What a conversation over HTTP came to: the questions as they arrived, the trajectory, the pauses it made."""

    outcome: Outcome
    chats: list[Any]
    lines: list[Any]
    pauses: list[float]

    @property
    def protocols(self) -> list[str]:
        return [line["protocol"] for line in self.lines if line["kind"] == "start"]

    @property
    def ran(self) -> list[str]:
        return [line["call"]["name"] for line in self.lines if line["kind"] == "result"]


def told(path: Path, *answers: Answer, protocol: str = "json", **more: Any) -> Talked:
    """A conversation with a scripted Ollama."""
    pauses: list[float] = []
    with ScriptedOllama(answers, **more) as server:
        model = Ollama("gemma3:4b", server.url, 8192, 2048, sleep=pauses.append)
        outcome, _ = run(path / "t", model, desk=Desk(), protocol=protocol, bounds=Bounds(context=8192))
        return Talked(outcome, server.chats, entries(path / "t"), pauses)


def routed(path: Path, *answers: Answer, protocol: str = "json", bounds: Bounds = Bounds(context=8192)) -> Talked:  # noqa: B008 (a frozen value)
    """A conversation with a scripted OpenRouter."""
    pauses: list[float] = []
    with ScriptedOpenAI(answers) as server:
        model = OpenAI(router.MODEL, server.base, 8192, 2048, api_key=KEY, openrouter=True, sleep=pauses.append)
        outcome, _ = run(path / "t", model, desk=Desk(), protocol=protocol, bounds=bounds)
        return Talked(outcome, server.chats, entries(path / "t"), pauses)


def test_an_aborted_reply_is_asked_again_at_another_temperature(tmp_path: Path) -> None:
    talk = told(tmp_path, stream(chunk("na "), chunk("na ")), DONE)
    assert talk.outcome == Finished("done") and talk.protocols == ["json"]
    assert [body["options"]["temperature"] for body in talk.chats] == [0.1, 0.7]
    assert talk.chats[0]["messages"] != talk.chats[1]["messages"], "never the same request twice"


def test_a_cut_reply_is_taught_in_the_same_protocol(tmp_path: Path) -> None:
    talk = told(tmp_path, says('{"thought": "I th', reason="length"), DONE)
    assert talk.outcome == Finished("done") and talk.protocols == ["json"]
    assert "too long" in talk.chats[1]["messages"][-1]["content"]


def test_a_swallowed_call_falls_one_step(tmp_path: Path) -> None:
    talk = told(tmp_path, stream(last(generated=40)), DONE, protocol="native")
    assert talk.outcome == Finished("done") and talk.protocols == ["native", "json"]
    assert "tools" in talk.chats[0] and "format" in talk.chats[1]


@pytest.mark.parametrize(
    "fault",
    [
        error(400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
        error(500, "error parsing tool call: raw='{', err=unexpected end of JSON input"),
        stream(chunk("I call"), {"error": "XML syntax error on line 3: unexpected EOF"}),
    ],
)
def test_an_error_that_another_protocol_mends_falls_at_once(tmp_path: Path, fault: Answer) -> None:
    talk = told(tmp_path, fault, DONE, protocol="native")
    assert talk.outcome == Finished("done") and talk.protocols == ["native", "json"]
    assert len(talk.chats) == 2, "never resent as it was"


def test_a_grammar_that_is_refused_falls_to_text(tmp_path: Path) -> None:
    talk = told(tmp_path, error(400, "failed to parse grammar"), says("```finish\ndone\n```"))
    assert talk.outcome == Finished("done") and talk.protocols == ["json", "text"]
    assert "format" not in talk.chats[1]


def long_look(number: int) -> Answer:
    call = ("bash", {"command": f"echo {number} {'y' * 2000}"})
    return stream(chunk("I look.", call), last(prompt=200 + 1000 * (number - 1)))


@pytest.mark.parametrize(
    "cut",
    [
        error(400, json.dumps({"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}})),
        error(400, "the prompt is longer than the context length currently available to the model; shorten it"),
        says("I beg your pardon?", prompt=2050),  # of a window of 4096 Ollama keeps half and two, and says nothing
    ],
    ids=["said in a string", "said", "silent"],
)
def test_an_overflow_makes_the_prompt_shorter(tmp_path: Path, cut: Answer) -> None:
    looks = [long_look(number) for number in range(1, 4)]
    talk = told(tmp_path, *looks, cut, CALLED, protocol="native", loaded=4096)
    assert talk.outcome == Finished("done")
    before, after = (len(json.dumps(body["messages"])) for body in talk.chats[-2:])
    assert after < before
    assert [line["why"] for line in talk.lines if line["kind"] == "start" and "why" in line] == ["overflow"]
    assert "I beg your pardon" not in str(talk.chats[-1]), "what was said to half a prompt is not heard"


def test_a_busy_server_ends_the_run_with_its_words_and_nothing_is_lost(tmp_path: Path) -> None:
    talk = told(tmp_path, LOOK, *[BUSY] * 4)
    assert isinstance(talk.outcome, Failed) and talk.outcome.kind == "unavailable"
    assert "server busy" in talk.outcome.reason and talk.ran == ["bash"]


@pytest.mark.parametrize(
    "fault",
    [
        BUSY,
        stream(chunk('{"tool": "bash", "arguments": {"command": "rm'), cut=True),
        stream(chunk("I th"), {"error": "model runner has unexpectedly stopped"}),
        Answer((b"<html>Bad gateway</html>",)),
    ],
    ids=["busy", "cut", "broken in the middle", "a proxy's page"],
)
def test_what_may_pass_is_asked_again_and_nothing_of_it_is_done(tmp_path: Path, fault: Answer) -> None:
    talk = told(tmp_path, LOOK, fault, fault, DONE)
    assert talk.outcome == Finished("done") and talk.protocols == ["json"]
    assert talk.pauses == [1.0, 2.0] and talk.ran == ["bash", "finish"]
    assert talk.chats[1] == talk.chats[2] == talk.chats[3]


def test_a_429_is_waited_for_as_long_as_it_says_and_no_turn_is_lost(tmp_path: Path) -> None:
    talk = told(tmp_path, error(429, "slow down", Retry_After="17"), LOOK, DONE)
    assert talk.outcome == Finished("done") and talk.pauses == [17.0]
    assert [line["kind"] for line in talk.lines] == ["start", "reply", "result", "reply", "result", "end"]


def test_a_429_for_longer_than_is_waited_ends_the_run_and_the_next_goes_on(tmp_path: Path) -> None:
    talk = told(tmp_path, LOOK, error(429, "weekly limit", Retry_After="3600"))
    assert isinstance(talk.outcome, Failed) and talk.outcome.kind == "rate" and talk.pauses == []
    again = told(tmp_path, DONE)
    assert again.outcome == Finished("done") and again.ran == ["bash", "finish"]


def test_a_model_that_is_gone_is_a_persons_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ollama pull gemma3:4b"):
        told(tmp_path, LOOK, error(404, "model 'gemma3:4b' not found"))
    assert told(tmp_path, DONE).ran == ["bash", "finish"]


def test_calls_written_as_text_are_run_and_twice_in_a_row_they_change_the_protocol(tmp_path: Path) -> None:
    written = says('{"name": "bash", "arguments": {"command": "ls"}}')
    other = says('{"name": "bash", "parameters": {"command": "pwd"}}')
    talk = told(tmp_path, written, other, DONE, protocol="native")
    assert talk.outcome == Finished("done") and talk.ran == ["bash", "bash", "finish"]
    assert talk.protocols == ["native", "json"]


def test_a_server_that_ignores_the_schema_is_asked_for_text_after_three_replies(tmp_path: Path) -> None:
    """Ollama's cloud takes `format` and does not hold its models to it."""
    prose = [says(f"Sure! I will have a look, for the {number}. time.") for number in range(1, 4)]
    talk = told(tmp_path, *prose, says("I look.\n```bash\nls\n```"), says("```finish\ndone\n```"))
    assert talk.outcome == Finished("done") and talk.protocols == ["json", "text"]
    assert [bool(body.get("format")) for body in talk.chats] == [True] * 3 + [False] * 2
    assert len({json.dumps(body["messages"]) for body in talk.chats}) == 5, "never the same request twice"


@pytest.mark.parametrize(
    "answer",
    [
        stream(chunk("I am done."), last(("finish", {"summary": "done"}), prompt=0)),
        stream(chunk("", ("finish", '{"summary": "done"}')), last(prompt=0)),
        stream(chunk(thinking="Or rm -rf?"), chunk("", ("finish", {"summary": "done"})), last(prompt=0)),
    ],
    ids=["in the last line", "its arguments as a string", "after thinking"],
)
def test_a_call_is_found_wherever_it_stands(tmp_path: Path, answer: Answer) -> None:
    talk = told(tmp_path, answer, protocol="native")
    assert talk.outcome == Finished("done") and talk.ran == ["finish"]
    assert "rm -rf" not in json.dumps(talk.lines)


# --- OpenRouter ----------------------------------------------------------------------------------------------------

OVER = router.says(json.dumps({"thought": "", "tool": "finish", "arguments": {"summary": "done"}}), cost=0.25)
BAD_GATEWAY = {"code": 502, "message": "Provider returned error"}
HALF = {"content": '{"tool": "bash", "arguments": {"command": "rm"}}'}


@pytest.mark.parametrize(
    "fault",
    [
        as_json({"error": BAD_GATEWAY}),
        as_json({"choices": [{"message": HALF, "finish_reason": "error", "error": BAD_GATEWAY}]}),
        router.events(router.delta(HALF["content"]), {**router.delta(finish="error"), "error": BAD_GATEWAY}),
        router.events(router.delta(HALF["content"]), router.delta(finish="error")),
        router.events(router.delta(finish="stop"), router.usage(100, 0)),
        router.error(503, "No capacity"),
    ],
    ids=["in a 200", "in a choice", "in the stream", "as the finish reason", "nothing at all", "as a status"],
)
def test_an_error_wherever_it_hides_is_asked_again_and_nothing_of_it_is_done(tmp_path: Path, fault: Answer) -> None:
    talk = routed(tmp_path, fault, fault, OVER)
    assert talk.outcome == Finished("done") and talk.ran == ["finish"]
    assert talk.pauses == [1.0, 2.0] and talk.protocols == ["json"]


@pytest.mark.parametrize(
    "fault",
    [
        router.error(429, "Rate limited", headers={"Retry-After": "12"}),
        router.error(429, "Busy", availability={"retryable": True, "retry_after": 12}),
        router.error(
            402, "Wait", metadata={"limit_source": "openrouter_in_flight_budget"}, headers={"Retry-After": "12"}
        ),
    ],
    ids=["429", "by its advice", "a budget in flight"],
)
def test_what_frees_itself_is_waited_for_as_told(tmp_path: Path, fault: Answer) -> None:
    talk = routed(tmp_path, fault, OVER)
    assert talk.outcome == Finished("done") and talk.pauses == [12.0]


@pytest.mark.parametrize(
    ("refusal", "protocol", "below"),
    [
        ("No endpoints found that support tool use.", "native", "json"),
        ("No endpoints found that can handle the requested parameters.", "native", "json"),
        ("No endpoints found that can handle the requested parameters.", "json", "text"),
    ],
)
def test_an_endpoint_that_lacks_what_was_asked_for_falls_one_step(
    tmp_path: Path, refusal: str, protocol: str, below: str
) -> None:
    done = OVER if below == "json" else router.says("```finish\ndone\n```")
    talk = routed(tmp_path, router.error(404, refusal), done, protocol=protocol)
    assert talk.outcome == Finished("done") and talk.protocols == [protocol, below]
    assert all(body["provider"]["require_parameters"] for body in talk.chats)


def test_a_stream_without_an_end_is_asked_again_in_another_way(tmp_path: Path) -> None:
    talk = routed(tmp_path, router.events(router.delta("I beg"), done=False), OVER)
    assert talk.outcome == Finished("done") and talk.chats[0]["messages"] != talk.chats[1]["messages"]
    assert [body["temperature"] for body in talk.chats] == [0.1, 0.7]


def test_what_was_billed_and_who_answered_are_in_the_trajectory_and_the_cost_is_a_limit(tmp_path: Path) -> None:
    act = json.dumps({"thought": "", "tool": "bash", "arguments": {"command": "ls"}})
    other = {"model": "anthropic/claude-haiku"}
    answer = router.events(
        "OPENROUTER PROCESSING", router.delta(act, finish="stop") | other, router.usage(cost=0.25) | other
    )
    talk = routed(tmp_path, answer, answer, bounds=Bounds(context=8192, cost=0.5))
    replies = [line["reply"] for line in talk.lines if line["kind"] == "reply"]
    assert isinstance(talk.outcome, Exhausted) and talk.outcome.limit == "cost"
    assert {(reply["model"], reply["cost"]) for reply in replies} == {("anthropic/claude-haiku", 0.25)}


def test_an_overflow_over_openrouter_makes_the_prompt_shorter(tmp_path: Path) -> None:
    looks = [
        router.says(json.dumps({"thought": "", "tool": "bash", "arguments": {"command": f"echo {number} {'y' * 390}"}}))
        for number in range(8)
    ]
    full = router.error(400, "This endpoint's maximum context length is 2048 tokens")
    talk = routed(tmp_path, *looks, full, OVER)
    assert talk.outcome == Finished("done")
    assert len(json.dumps(talk.chats[-1]["messages"])) < len(json.dumps(talk.chats[-2]["messages"]))


def test_a_wrong_key_is_a_persons_and_is_never_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="valid key") as caught:
        routed(tmp_path, router.error(401, f"No such key: {KEY}"))
    assert KEY not in str(caught.value) + (tmp_path / "t").read_text()


# --- in a whole stage ----------------------------------------------------------------------------------------------


def test_credits_that_are_used_up_hold_and_name_the_key(tmp_path: Path, person: Path) -> None:
    with ScriptedOpenAI([router.error(402, "Insufficient credits")], key=None) as server:
        agent = {
            "name": "big",
            "model": router.MODEL,
            "provider": "openai",
            "endpoint": server.base,
            "protocol": "json",
        }
        folder = project(tmp_path / "r", agents=settings(agent | {"api_key": "env:SOME_KEY"}, review=AUTO))
        add_task(folder, stages=["build"])
        said = pullwright(folder, "run", SOME_KEY="sk-1")
        again = pullwright(folder, "run", SOME_KEY="sk-1")
        assert len(server.chats) == 1, "a hold waits for a person"
    assert said.status == 0, said.err
    assert "no credit" in again.out and "the key in SOME_KEY" in again.out and "pullwright answer greet" in again.out


def test_tool_calls_are_tried_with_the_stages_own_prompt_before_its_first_turn(tmp_path: Path, person: Path) -> None:
    probe = stream(chunk("", ("bash", {"command": "ls"})), last())
    calls = [stream(chunk("", (name, given)), last()) for name, given in story()["build"]]
    with ScriptedOllama([probe, *calls], models={"llama3.1:8b": ("completion", "tools")}) as server:
        agent = {"name": "big", "model": "llama3.1:8b", "endpoint": server.url}
        folder = project(tmp_path / "r", agents=settings(agent, review=AUTO))
        add_task(folder, stages=["build"])
        assert pullwright(folder, "run").status == 0
        chats = server.chats
    assert len(chats) == 1 + len(calls)
    assert "This is the stage build" in chats[0]["messages"][0]["content"]
    assert chats[0]["messages"] == chats[1]["messages"][:2] and chats[0]["tools"] == chats[1]["tools"]


def test_a_model_that_fails_the_probe_begins_with_constrained_json(tmp_path: Path, person: Path) -> None:
    probe = says('{"name": "bash", "arguments": {"command": "ls"}}')
    models = {"llama3.1:8b": ("completion", "tools")}
    with ScriptedOllama([probe, *as_chats(story()["build"])], models=models) as server:
        agent = {"name": "big", "model": "llama3.1:8b", "endpoint": server.url}
        folder = project(tmp_path / "r", agents=settings(agent, review=AUTO))
        add_task(folder, stages=["build"])
        assert pullwright(folder, "run").status == 0
        assert all("tools" not in body for body in server.chats[1:]) and "format" in server.chats[1]
