"""What the loop does about models that repeat themselves, and about replies that are none."""

from itertools import pairwise
from pathlib import Path

import pytest
from talk_parts import Desk, Model, action, call, entries, run

from runner.errors import UserError
from runner.loop.dialogue import Bounds, Failed, Finished, Said
from runner.loop.repeats import circling, repeated
from runner.loop.trajectory import Ran, Told
from runner.models import ModelError, Reply, Request, ToolCall
from runner.protocols import PROTOCOLS

DONE = call("finish", summary="done")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trajectory.jsonl"


def ran(
    tool: str = "bash", text: str = "exit 0", fault: bool = False, lifted: bool = False, **arguments: object
) -> Ran:
    return Ran(ToolCall(tool, arguments), "", text, 0.0, fault=fault, lifted=lifted)


# --- repetition


def test_reading_again_at_once_is_repetition_and_a_command_only_when_its_result_was_the_same() -> None:
    view, test = ToolCall("view", {"path": "a "}), ToolCall("bash", {"command": "pytest"})
    assert repeated([ran("view", path="a")], view)
    assert not repeated([ran("view", path="a"), ran(command="ls")], view)
    assert not repeated([], test)
    assert not repeated([ran(command="pytest")], test)
    assert repeated(
        [ran(command="pytest", text="3 passed in 0.12s"), ran(command="pytest", text="3 passed in 0.15s")], test
    )
    assert not repeated([ran(command="pytest", text="2 passed"), ran(command="pytest", text="3 passed")], test)


def test_after_a_persons_words_doing_it_again_is_no_repetition() -> None:
    view = ToolCall("view", {"path": "a"})
    assert not repeated([ran("view", path="a"), Told("look again", "person", id="1")], view)
    assert repeated([ran("view", path="a"), Told("say it as a call", "format")], view)


def test_going_back_and_forth_and_equal_errors_are_circles() -> None:
    a, b = ran("view", "one", path="a"), ran("view", "two", path="b")
    assert circling([a, b] * 2) is None
    assert "back and forth" in (circling([a, b] * 3) or "")
    assert circling([a, b, a, b, a, ran("view", "new", path="b")]) is None
    fault = [ran("write", "line 1: invalid", fault=True, path="a", content=str(number)) for number in range(3)]
    assert "same error 3 times" in (circling(fault) or "")
    assert circling([*fault[:2], a, fault[2]]) is None


def test_a_repeated_call_is_not_run_and_the_model_is_told(path: Path) -> None:
    desk = Desk({"a": "1"})
    outcome, model = run(path, [call("view", path="a"), call("view", path="a"), DONE], desk=desk)
    assert outcome == Finished("done") and desk.ran == ["view a"]
    told = model.requests[2].messages[-1]
    assert told.role == "tool" and "It was not run again" in told.text and "bash, write, note, ask, finish" in told.text


def test_the_second_time_the_repetition_is_out_of_sight_and_the_tool_withdrawn_for_a_turn(path: Path) -> None:
    replies = [call("view", path="a")] * 3 + [call("bash", command="ls"), DONE]
    outcome, model = run(path, replies, desk=Desk({"a": "1"}))
    assert outcome == Finished("done")
    third = model.requests[3]
    assert "view" not in {tool.name for tool in third.tools} and third.temperature == 0.7
    assert next(message.text for message in third.messages if message.role == "tool") == "1"
    assert sum(message.role == "tool" for message in third.messages) == 2
    assert {tool.name for tool in model.requests[4].tools} >= {"view"} and model.requests[4].temperature == 0.1


def test_who_keeps_repeating_starts_anew_once_from_notes_and_then_fails(path: Path) -> None:
    def stubborn(request: Request) -> Reply:
        return call("view", path="a") if any(tool.name == "view" for tool in request.tools) else call("note", text="hm")

    def start(request: Request) -> Reply:
        return call("write", path="w.py", content="1") if request.turn == 0 else stubborn(request)

    outcome, model = run(path, start, desk=Desk({"a": "1"}), bounds=Bounds(steps=100))
    assert isinstance(outcome, Failed) and outcome.kind == "loop"
    anew = [line for line in entries(path, "start") if line.get("why") == "restart"]
    assert len(anew) == 1 and len(model.requests) < 20
    assert [message["role"] for message in anew[0]["messages"]] == ["system", "user", "user"]
    assert "w.py" in anew[0]["messages"][-1]["text"] and "hm" in anew[0]["messages"][-1]["text"]


def test_a_persons_words_give_an_agent_that_went_in_circles_another_chance(path: Path) -> None:
    desk = Desk({"a": "1"})
    outcome, model = run(path, [call("view", path="a")] * 40, desk=desk, bounds=Bounds(steps=99))
    assert isinstance(outcome, Failed) and outcome.kind == "loop"
    used = len(model.requests)
    replies = [call("view", path="a")] * used + [call("bash", command="ls"), DONE]
    assert run(path, replies, desk=desk, bounds=Bounds(steps=99))[0] == outcome
    assert run(path, replies, desk=desk, said=[Said("1", "list the files")])[0] == Finished("done")


def test_a_persons_words_outlive_the_turns_in_which_they_were_said(path: Path) -> None:
    long = [call("bash", command=f"echo {number} {'y' * 300}") for number in range(60)]
    _, model = run(path, [*long, DONE], said=[Said("1", "Use tabs.")], bounds=Bounds(steps=99, context=4096))
    assert [m.text for m in model.requests[0].messages][-1] == "Use tabs."
    assert sum("a person said: Use tabs." in m.text for m in model.requests[-1].messages) == 1


# --- replies that are none, and the ladder


def protocols(path: Path) -> list[str]:
    return [line["protocol"] for line in entries(path, "start")]


@pytest.mark.parametrize("reply", [Reply("I think."), call("nope"), call("view", wrong=1), Reply("", finish="length")])
def test_what_cannot_be_read_is_taught_and_three_in_a_row_are_the_end(path: Path, reply: Reply) -> None:
    outcome, model = run(path, [reply] * 20, bounds=Bounds(steps=20))
    assert isinstance(outcome, Failed) and outcome.kind == "format"
    steps_of_the_ladder = 1 if reply.finish == "length" else len(PROTOCOLS)
    assert len(model.requests) == 3 * steps_of_the_ladder
    assert all(line["text"] for line in entries(path, "told"))


def test_a_good_reply_between_bad_ones_starts_the_count_again(path: Path) -> None:
    bad = Reply("I think.")
    outcome, _ = run(path, [bad, bad, call("bash", command="a"), bad, bad, DONE])
    assert outcome == Finished("done") and protocols(path) == ["native"]


def by_protocol(native: Reply | ModelError, count: int = 99) -> Model:
    """Answers native requests with the same thing `count` times, and does well under constrained JSON."""

    def answer(request: Request) -> Reply:
        if request.schema is not None:
            return action("finish", summary="in JSON")
        if isinstance(native, ModelError):
            raise native
        return native

    return Model(answer)


LIFTED = Reply('{"tool": "bash", "arguments": {"command": "ls"}}')


@pytest.mark.parametrize(
    ("native", "requests"),
    [
        (ModelError("no-tools", "does not support tools"), 1),
        (ModelError("tool-syntax", "error parsing tool call"), 1),
        (Reply("", completion_tokens=40), 1),
        (Reply("I think."), 3),
        (LIFTED, 2),
    ],
)
def test_native_calls_that_do_not_work_fall_to_constrained_json(
    path: Path, native: Reply | ModelError, requests: int
) -> None:
    outcome, model = run(path, by_protocol(native))
    assert outcome == Finished("in JSON") and protocols(path) == ["native", "json"]
    assert sum(request.schema is None for request in model.requests) == requests


@pytest.mark.parametrize("finish", ["length", "aborted"])
def test_a_reply_that_was_cut_is_no_reason_to_change_the_protocol(path: Path, finish: str) -> None:
    cut = Reply("I beg", finish=finish)  # type: ignore[arg-type]
    outcome, model = run(path, [cut, cut, DONE])
    assert outcome == Finished("done") and protocols(path) == ["native"]
    assert model.requests[1].temperature == (0.7 if finish == "aborted" else 0.1)


def test_an_unusable_reply_stays_in_sight_only_in_part(path: Path) -> None:
    _, model = run(path, [Reply("blah " * 2000), DONE])
    assert [len(message.text) < 700 for message in model.requests[1].messages] == [True] * 4


def test_no_request_is_sent_twice(path: Path) -> None:
    bad = Reply("I think.")
    _, model = run(path, [bad, Reply("", finish="aborted"), bad, bad, Reply("", completion_tokens=9), DONE])
    seen = [(request.messages, request.temperature, len(request.tools)) for request in model.requests]
    assert all(one != other for one, other in pairwise(seen))


# --- errors of the endpoint


@pytest.mark.parametrize("kind", ["unavailable", "rate", "payment", "refused"])
def test_an_endpoint_that_fails_ends_the_run_with_its_words_and_the_next_run_goes_on(path: Path, kind: str) -> None:
    replies = [call("bash", command="a"), ModelError(kind, "no route to host", retryable=True), DONE]
    desk = Desk()
    model = Model(replies)
    assert run(path, model, desk=desk)[0] == Failed("no route to host", kind)
    assert run(path, model, desk=desk)[0] == Finished("done") and desk.ran == ["a"]


def test_what_only_a_person_can_mend_goes_to_the_person(path: Path) -> None:
    with pytest.raises(UserError, match="wrong key"):
        run(path, [UserError("wrong key", "set it")])


def test_an_overflow_is_compacted_once_and_then_given_up(path: Path) -> None:
    long = [call("bash", command=f"echo {number} {'y' * 300}") for number in range(6)]
    overflow = ModelError("overflow", "exceeds the available context size")
    outcome, model = run(path, [*long, overflow, DONE], bounds=Bounds(context=100_000))
    assert outcome == Finished("done")
    before, after = (sum(len(m.text) + 300 * len(m.calls) for m in r.messages) for r in model.requests[-2:])
    assert after < before

    def never(request: Request) -> Reply:
        if request.turn == 6:
            raise overflow
        return long[request.turn]

    failed, model = run(path.with_name("other"), never, bounds=Bounds(context=100_000))
    assert failed == Failed("exceeds the available context size", "overflow") and len(model.requests) == 8


def test_notes_are_written_anew_and_not_once_more_with_each_compaction(path: Path) -> None:
    long = [call("bash", command=f"echo {number} {'y' * 300}") for number in range(8)]
    overflow = ModelError("overflow", "too long")
    story = [*long[:6], overflow, *long[6:], call("note", text="halfway"), overflow, DONE]
    outcome, model = run(path, story, bounds=Bounds(context=100_000))
    assert outcome == Finished("done")
    notes = [m.text for m in model.requests[-1].messages if "earlier turns were left out" in m.text]
    assert len(notes) == 1 and "halfway" in notes[0]


def test_an_answer_after_a_failure_lets_it_go_on(path: Path) -> None:
    bad = Reply("I think.")
    assert isinstance(run(path, [bad] * 9, protocol="text")[0], Failed)
    outcome, _ = run(path, [bad] * 3 + [DONE], said=[Said("1", "call a tool, please")])
    assert outcome == Finished("done")
