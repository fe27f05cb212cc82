"""Every row of the tables in docs/models.md §2 that a client can meet has its test against a scripted server.

The rows are listed here by their first cell, each with its tests: what the client makes of a fault stands in
test_models_ollama.py and test_models_openai.py, what the loop makes of it in test_wire_loop.py.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

OLLAMA = {
    "lines with `tool_calls`": ["test_calls_are_collected_from_any_chunk", "test_a_call_is_found_wherever_it_stands"],
    "a call as JSON in the text, no `tool_calls`": [
        "test_calls_written_as_text_are_run_and_twice_in_a_row_they_change_the_protocol",
    ],
    "`format` taken and not kept to (Ollama's cloud)": [
        "test_a_server_that_ignores_the_schema_is_asked_for_text_after_three_replies",
    ],
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
    "`{\"error\": …}` as a line, status 200": [
        "test_an_error_in_the_middle_of_a_stream_is_an_error",
        "test_what_may_pass_is_asked_again_and_nothing_of_it_is_done",
    ],
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
        "test_a_model_that_is_gone_is_a_persons_and_the_next_run_goes_on",
    ],
    "401, 403": ["test_what_only_a_person_can_mend_names_the_remedy"],
    "499, 502, 503, 504, other 500": [
        "test_a_busy_server_is_asked_again_with_growing_pauses",
        "test_retries_are_bounded",
        "test_a_busy_server_ends_the_run_with_its_words_and_nothing_is_lost",
        "test_what_may_pass_is_asked_again_and_nothing_of_it_is_done",
    ],
    "429": [
        "test_a_429_waits_as_long_as_it_is_told",
        "test_a_429_is_waited_for_as_long_as_it_says_and_no_turn_is_lost",
        "test_a_wait_that_is_too_long_is_left_to_the_caller",
        "test_a_429_for_longer_than_is_waited_ends_the_run_and_the_next_goes_on",
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
    "the connection is cut": [
        "test_a_connection_cut_in_the_middle_is_tried_again",
        "test_what_may_pass_is_asked_again_and_nothing_of_it_is_done",
    ],
    "a line that is no JSON": [
        "test_a_line_that_is_no_reply_is_an_error_of_the_server",
        "test_what_may_pass_is_asked_again_and_nothing_of_it_is_done",
    ],
    "`thinking` in a chunk": ["test_thinking_is_not_part_of_the_text", "test_a_call_is_found_wherever_it_stands"],
    "`done_reason: load`": ["test_an_empty_load_answer_is_no_reply"],
    "`/api/pull` that does not end in `success`": ["test_a_pull_that_does_not_end_in_success_failed"],
}  # fmt: skip

OPENROUTER = {
    "`tools` or `response_format` dropped in silence": [
        "test_openrouter_is_told_not_to_drop_parameters_and_not_to_cut_prompts",
        "test_an_endpoint_without_the_parameters_asked_for_lowers_the_protocol",
        "test_an_endpoint_that_lacks_what_was_asked_for_falls_one_step",
    ],
    "a prompt cut in the middle": ["test_openrouter_is_told_not_to_drop_parameters_and_not_to_cut_prompts"],
    "200 with `error` in the body; `choices[0].error`; an error chunk in the stream": [
        "test_an_error_is_found_wherever_it_hides_and_asked_again",
        "test_an_error_wherever_it_hides_is_asked_again_and_nothing_of_it_is_done",
    ],
    "a stream that ends without `finish_reason`": [
        "test_a_stream_without_a_finish_reason_is_aborted",
        "test_a_stream_without_an_end_is_asked_again_in_another_way",
    ],
    "comments in the stream": [
        "test_comments_that_keep_the_connection_open_are_skipped",
        "test_a_stream_of_comments_alone_is_silence",
    ],
    "402": [
        "test_a_budget_of_requests_in_flight_frees_itself_and_credits_do_not",
        "test_credits_that_are_used_up_are_told_with_the_keys_name",
        "test_credits_that_are_used_up_hold_and_name_the_key",
        "test_what_frees_itself_is_waited_for_as_told",
    ],
    "429 with Retry-After": [
        "test_a_429_waits_as_long_as_it_is_told",
        "test_a_wait_until_a_date_is_measured_by_the_servers_own_clock",
        "test_what_frees_itself_is_waited_for_as_told",
    ],
    "`error.availability.retryable`": [
        "test_the_servers_own_advice_on_retrying_is_obeyed",
        "test_what_frees_itself_is_waited_for_as_told",
    ],
    "401, 403, 404": [
        "test_what_only_a_person_can_mend_names_the_key_and_never_tells_it",
        "test_a_wrong_key_is_a_persons_and_is_never_told",
    ],
    "the context, a grammar or tools are refused": [
        "test_an_error_that_would_come_again_is_told_by_its_kind_and_not_retried",
        "test_an_overflow_over_openrouter_makes_the_prompt_shorter",
        "test_an_endpoint_that_lacks_what_was_asked_for_falls_one_step",
    ],
    "`usage.cost`, another `model`": [
        "test_a_reply_is_streamed_counted_and_priced",
        "test_the_model_that_answered_is_told_when_it_is_another",
        "test_what_was_billed_and_who_answered_are_in_the_trajectory_and_the_cost_is_a_limit",
    ],
    "no text and no tokens": [
        "test_an_error_is_found_wherever_it_hides_and_asked_again",
        "test_an_error_wherever_it_hides_is_asked_again_and_nothing_of_it_is_done",
    ],
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
