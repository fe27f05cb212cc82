"""Every row of the tables in docs/models.md §2 that a client can meet has its test against a scripted server.

The rows are listed here by their first cell, each with its tests: most stand in test_models_ollama.py and
test_models_openai.py, what the loop makes of a fault stands below.
"""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from repositories import AUTO, add_task, as_chats, project, pullwright, settings, story
from talk_parts import Desk, entries, run
from wire import ScriptedOllama, ScriptedOpenAI
from wire import openai as router
from wire.ollama import chunk, error, last, says, stream
from wire.server import Answer

from runner.loop import Bounds, Failed, Finished, Outcome
from runner.models.ollama import Ollama

ROOT = Path(__file__).parent.parent

OLLAMA = {
    "lines with `tool_calls`": ["test_calls_are_collected_from_any_chunk"],
    "the stream ends without `done: true`, status 200": [
        "test_a_stream_that_ends_without_done_is_aborted",
        "test_an_aborted_reply_is_asked_again_at_another_temperature",
    ],
    "`done_reason: length`": [
        "test_a_reply_cut_by_num_predict_says_length",
        "test_a_cut_reply_is_taught_in_the_same_protocol",
    ],
    "no text, no call, `eval_count` above 0": [
        "test_a_swallowed_call_is_visible_as_tokens_without_text",
        "test_a_swallowed_call_falls_one_step",
    ],
    "`{\"error\": …}` as a line, status 200": ["test_an_error_in_the_middle_of_a_stream_is_an_error"],
    "400 `does not support tools`": [
        "test_an_error_that_would_come_again_is_told_by_its_kind_and_not_retried",
        "test_an_error_that_another_protocol_mends_falls_at_once",
    ],
    "400 `longer than the context length`; 400 with `exceed_context_size_error`, as JSON in a string": [
        "test_an_error_that_would_come_again_is_told_by_its_kind_and_not_retried",
        "test_an_overflow_makes_the_prompt_shorter",
    ],
    "200, but `prompt_eval_count` far below the estimate": [
        "test_a_prompt_that_the_server_cut_silently_is_an_overflow",
        "test_too_small_a_window_is_known_from_the_loaded_one_alone",
        "test_cached_tokens_left_out_of_the_count_are_no_overflow",
    ],
    "404 `model … not found`": [
        "test_what_only_a_person_can_mend_names_the_remedy",
        "test_check_on_an_absent_model_says_pull",
    ],
    "401, 403": ["test_what_only_a_person_can_mend_names_the_remedy"],
    "499, 502, 503, 504, other 500": [
        "test_a_busy_server_is_asked_again_with_growing_pauses",
        "test_retries_are_bounded",
        "test_a_busy_server_ends_the_run_with_its_words_and_nothing_is_lost",
    ],
    "429": [
        "test_a_429_waits_as_long_as_it_is_told",
        "test_a_wait_that_is_too_long_is_left_to_the_caller",
    ],
    "500 `error parsing tool call`, `XML syntax error`": [
        "test_an_error_that_would_come_again_is_told_by_its_kind_and_not_retried",
        "test_an_error_that_another_protocol_mends_falls_at_once",
    ],
    "500 out of memory, load failure": ["test_what_only_a_person_can_mend_names_the_remedy"],
    "nothing for ten minutes": [
        "test_silence_ends_after_the_time_out_and_is_not_repeated",
        "test_a_slow_first_byte_within_the_time_out_is_waited_for",
    ],
    "less window loaded than asked for, in `/api/ps`": [
        "test_a_window_smaller_than_asked_for_is_what_prompts_are_kept_to",
        "test_a_model_that_only_partly_fits_into_memory_is_said_to_be_slow",
    ],
    "the connection is cut": ["test_a_connection_cut_in_the_middle_is_tried_again"],
    "a line that is no JSON": ["test_a_line_that_is_no_reply_is_an_error_of_the_server"],
    "`thinking` in a chunk": ["test_thinking_is_not_part_of_the_text"],
    "`done_reason: load`": ["test_an_empty_load_answer_is_no_reply"],
    "`/api/pull` that does not end in `success`": ["test_a_pull_that_does_not_end_in_success_failed"],
}  # fmt: skip

OPENROUTER = {
    "`tools` or `response_format` dropped in silence": [
        "test_openrouter_is_told_not_to_drop_parameters_and_not_to_cut_prompts",
        "test_an_endpoint_without_the_parameters_asked_for_lowers_the_protocol",
    ],
    "a prompt cut in the middle": ["test_openrouter_is_told_not_to_drop_parameters_and_not_to_cut_prompts"],
    "200 with `error` in the body; `choices[0].error`; an error chunk in the stream": [
        "test_an_error_is_found_wherever_it_hides_and_asked_again",
    ],
    "a stream that ends without `finish_reason`": ["test_a_stream_without_a_finish_reason_is_aborted"],
    "comments in the stream": ["test_comments_that_keep_the_connection_open_are_skipped"],
    "402": [
        "test_a_budget_of_requests_in_flight_frees_itself_and_credits_do_not",
        "test_credits_that_are_used_up_are_told_with_the_keys_name",
        "test_credits_that_are_used_up_hold_and_name_the_key",
    ],
    "429 with Retry-After": [
        "test_a_429_waits_as_long_as_it_is_told",
        "test_a_wait_until_a_date_is_measured_by_the_servers_own_clock",
    ],
    "`error.availability.retryable`": ["test_the_servers_own_advice_on_retrying_is_obeyed"],
    "401, 403, 404": ["test_what_only_a_person_can_mend_names_the_key_and_never_tells_it"],
    "the context, a grammar or tools are refused": [
        "test_an_error_that_would_come_again_is_told_by_its_kind_and_not_retried"
    ],
    "`usage.cost`, another `model`": [
        "test_a_reply_is_streamed_counted_and_priced",
        "test_the_model_that_answered_is_told_when_it_is_another",
    ],
    "no text and no tokens": ["test_an_error_is_found_wherever_it_hides_and_asked_again"],
}


def existing() -> set[str]:
    """The names of all tests."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "tests").glob("test_*.py")]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def rows(heading: str) -> list[str]:
    """The first cells of the table below a heading of docs/models.md."""
    text = (
        (ROOT / "docs/models.md")
        .read_text()
        .partition(f"### {heading}\n")[2]
        .partition("\n### ")[0]
        .partition("\n## ")[0]
    )
    return [row.partition(" | ")[0].strip("| ") for row in re.findall(r"^\|.*\|$", text, re.MULTILINE)][2:]


@pytest.mark.parametrize(("heading", "table"), [("2.1 Ollama native API", OLLAMA), ("2.3 OpenRouter", OPENROUTER)])
def test_every_row_of_the_wire_tables_has_its_test(heading: str, table: dict[str, list[str]]) -> None:
    assert rows(heading) == list(table)
    missing = {name for names in table.values() for name in names} - existing()
    assert missing == set()


# --- what the loop makes of them -----------------------------------------------------------------------------------

DONE = says(json.dumps({"thought": "It is done.", "tool": "finish", "arguments": {"summary": "done"}}), prompt=800)
LOOK = says(json.dumps({"thought": "I look.", "tool": "bash", "arguments": {"command": "ls"}}), prompt=800)
CALLED = stream(chunk("", ("finish", {"summary": "done"})), last(prompt=0))


def told(tmp_path: Path, *answers: Answer, protocol: str = "json", **more: Any) -> tuple[Outcome, list[Any], list[Any]]:
    """A conversation over HTTP with a scripted Ollama: its outcome, the questions, the lines of the trajectory."""
    pauses: list[float] = []
    with ScriptedOllama(answers, **more) as server:
        model = Ollama("gemma3:4b", server.url, 8192, 2048, sleep=pauses.append)
        outcome, _ = run(tmp_path / "t", model, desk=Desk(), protocol=protocol, bounds=Bounds(context=8192))
        return outcome, server.chats, entries(tmp_path / "t")


def protocols(lines: list[Any]) -> list[str]:
    return [line["protocol"] for line in lines if line["kind"] == "start"]


def test_an_aborted_reply_is_asked_again_at_another_temperature(tmp_path: Path) -> None:
    outcome, chats, lines = told(tmp_path, stream(chunk("na "), chunk("na ")), DONE)
    assert outcome == Finished("done") and protocols(lines) == ["json"]
    assert [body["options"]["temperature"] for body in chats] == [0.1, 0.7]
    assert chats[0]["messages"] != chats[1]["messages"], "never the same request twice"


def test_a_cut_reply_is_taught_in_the_same_protocol(tmp_path: Path) -> None:
    outcome, chats, lines = told(tmp_path, says('{"thought": "I th', reason="length"), DONE)
    assert outcome == Finished("done") and protocols(lines) == ["json"]
    assert "too long" in chats[1]["messages"][-1]["content"]


def test_a_swallowed_call_falls_one_step(tmp_path: Path) -> None:
    outcome, chats, lines = told(tmp_path, stream(last(generated=40)), DONE, protocol="native")
    assert outcome == Finished("done") and protocols(lines) == ["native", "json"]
    assert "tools" in chats[0] and "format" in chats[1]


@pytest.mark.parametrize(
    "fault",
    [
        error(400, "registry.ollama.ai/library/gemma3:4b does not support tools"),
        error(500, "error parsing tool call: raw='{', err=unexpected end of JSON input"),
        stream(chunk("I call"), {"error": "XML syntax error on line 3: unexpected EOF"}),
    ],
)
def test_an_error_that_another_protocol_mends_falls_at_once(tmp_path: Path, fault: Answer) -> None:
    outcome, chats, lines = told(tmp_path, fault, DONE, protocol="native")
    assert outcome == Finished("done") and protocols(lines) == ["native", "json"]
    assert len(chats) == 2, "never resent as it was"


def test_a_grammar_that_is_refused_falls_to_text(tmp_path: Path) -> None:
    outcome, chats, lines = told(tmp_path, error(400, "failed to parse grammar"), says("```finish\ndone\n```"))
    assert outcome == Finished("done") and protocols(lines) == ["json", "text"]
    assert "format" not in chats[1]


def long_look(number: int) -> Answer:
    call = ("bash", {"command": f"echo {number} {'y' * 2000}"})
    return stream(chunk("I look.", call), last(prompt=200 + 1000 * (number - 1)))


@pytest.mark.parametrize(
    "cut",
    [
        error(400, json.dumps({"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error"}})),
        says("I beg your pardon?", prompt=2050),  # of a window of 4096 Ollama keeps half and two, and says nothing
    ],
    ids=["said", "silent"],
)
def test_an_overflow_makes_the_prompt_shorter(tmp_path: Path, cut: Answer) -> None:
    looks = [long_look(number) for number in range(1, 4)]
    outcome, chats, lines = told(tmp_path, *looks, cut, CALLED, protocol="native", loaded=4096)
    assert outcome == Finished("done")
    before, after = (len(json.dumps(body["messages"])) for body in chats[-2:])
    assert after < before
    assert [line["why"] for line in lines if line["kind"] == "start" and "why" in line] == ["overflow"]
    assert "I beg your pardon" not in str(chats[-1]), "what was said to half a prompt is not heard"


def test_a_busy_server_ends_the_run_with_its_words_and_nothing_is_lost(tmp_path: Path) -> None:
    outcome, _, lines = told(tmp_path, LOOK, *[error(503, "server busy, please try again.")] * 4)
    assert isinstance(outcome, Failed) and outcome.kind == "unavailable" and "server busy" in outcome.reason
    assert [line["kind"] for line in lines].count("result") == 1


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
