"""The loop's course: turns, words, outcomes, and what a crash leaves."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talk_parts import Desk, Model, action, call, entries, run

from runner.loop.dialogue import Asked, Bounds, Exhausted, Failed, Finished, Said, Stopped
from runner.loop.trajectory import Trajectory
from runner.models import Message, ModelError, Reply, Request, ToolCall
from runner.protocols import Act

DONE = call("finish", summary="done")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trajectory.jsonl"


def texts(request: Request) -> list[str]:
    return [message.text for message in request.messages]


def test_a_model_is_asked_its_call_is_run_and_it_is_told_what_came_of_it(path: Path) -> None:
    outcome, model = run(path, [call("bash", "I look.", command="ls"), DONE])
    assert outcome == Finished("done")
    assert [request.turn for request in model.requests] == [0, 1]
    assert model.requests[1].messages[2:] == (
        Message("assistant", "I look.", calls=(ToolCall("bash", {"command": "ls"}, "call_1"),)),
        Message("tool", "exit 0\nls xxxxxxxxxx", answers="call_1", tool="bash"),
    )


def test_over_json_a_body_is_asked_for_by_itself(path: Path) -> None:
    desk = Desk()
    outcome, model = run(
        path,
        [action("write", path="a.py"), Reply("```\nx = 1\n```"), action("finish", summary="ok")],
        desk=desk,
        protocol="json",
    )
    assert outcome == Finished("ok") and desk.files == {"a.py": "x = 1\n"}
    assert [request.schema is None for request in model.requests] == [False, True, False]
    assert [line["kind"] for line in entries(path)] == ["start", "reply", "reply", "result", "reply", "result", "end"]


def test_what_a_tool_refuses_is_told_to_the_model(path: Path) -> None:
    _, model = run(path, [call("view", path="nope"), DONE])
    assert texts(model.requests[1])[-1] == "no such file"
    assert entries(path, "result")[0]["fault"] is True


def test_a_question_waits_until_a_person_answers(path: Path) -> None:
    replies = [call("ask", question="Which?"), DONE]
    assert run(path, replies)[0] == Asked("Which?")
    outcome, model = run(path, replies)
    assert outcome == Asked("Which?") and model.requests == []
    outcome, model = run(path, replies, said=[Said("c1", "The first.")])
    assert outcome == Finished("done") and texts(model.requests[0])[-1] == "The first."


def test_a_finished_conversation_stays_finished_until_someone_says_something_new(path: Path) -> None:
    replies = [DONE, call("finish", summary="now really")]
    assert run(path, replies)[0] == Finished("done")
    outcome, model = run(path, replies)
    assert outcome == Finished("done") and model.requests == []
    assert run(path, replies, said=[Said("g1", "gate failed: tests")])[0] == Finished("now really")
    assert run(path, replies, said=[Said("g1", "gate failed: tests")])[0] == Finished("now really")


def test_a_persons_words_are_heard_once(path: Path) -> None:
    replies = [call("bash", command="a"), call("bash", command="b"), DONE]
    _, model = run(path, replies, said=[Said("1", "use \ud800 tabs"), Said("2", "and be quick")])
    assert [text for text in texts(model.requests[-1]) if "tabs" in text or "quick" in text] == [
        "use ? tabs",
        "and be quick",
    ]


def test_before_a_step_the_caller_may_stop(path: Path) -> None:
    desk = Desk()
    outcome, model = run(path, [call("bash", command="a"), DONE], desk=desk, stop=lambda: len(desk.ran) == 1)
    assert outcome == Stopped("paused") and len(model.requests) == 1
    assert run(path, [call("bash", command="a"), DONE], desk=desk)[0] == Finished("done")
    assert desk.ran == ["a"]


def test_seeds_are_really_run_and_stand_before_the_first_question(path: Path) -> None:
    desk = Desk({"a.py": "x = 1\n" * 1000})
    seeds = (Act(ToolCall("view", {"path": "a.py"}), "I look."), Act(ToolCall("view", {"path": "gone"}), "And there."))
    _, model = run(path, [DONE], desk=desk, seeds=seeds)
    assert desk.ran == ["view a.py", "view gone"]
    assert [message.role for message in model.requests[0].messages] == ["system", "user", "assistant", "tool"]
    assert len(model.requests[0].messages[-1].text) < 2000
    run(path, [DONE], desk=desk, seeds=seeds, said=[Said("1", "again")])
    assert desk.ran == ["view a.py", "view gone"]


# --- durability


def test_a_reply_is_on_disk_before_its_tool_runs_and_a_result_before_the_next_question(path: Path) -> None:
    desk, seen = Desk(), []
    tools = desk.tools()

    def kinds() -> list[str]:
        return [line["kind"] for line in entries(path)]

    def answer(request: Request) -> Reply:
        seen.append(("asked", kinds()[-1]))
        return call("bash", command="ls") if request.turn == 0 else DONE

    desk.tools = lambda: {  # type: ignore[method-assign]
        name: type(tool)(
            tool.spec, lambda arguments, tool=tool: (seen.append(("ran", kinds()[-1])), tool.run(arguments))[1]
        )
        for name, tool in tools.items()
    }
    run(path, answer, desk=desk, snapshot=lambda tool: seen.append(("kept", kinds()[-1])))
    assert seen[:4] == [("asked", "start"), ("ran", "reply"), ("kept", "reply"), ("asked", "result")]


STORY = [
    call("view", path="a.py"),
    Reply("I am not sure what to do."),
    call("write", path="a.py", content="2"),
    call("nonsense"),
    call("bash", command="test"),
    call("bash", command="test"),
    call("bash", command="test"),
    call("bash", command="test"),
    call("note", text="n"),
    call("write", path="b.py", content="3"),
    DONE,
]
JSON_STORY = [
    action("view", path="a.py"),
    action("write", path="a.py"),
    Reply("no fence"),
    Reply("```\n2\n```"),
    Reply("not json"),
    action("bash", command="test"),
    action("write", path="b.py"),
    Reply("```\n3\n```"),
    action("finish", summary="done"),
]


def timeless(path: Path) -> list[dict[str, object]]:
    return [line for line in entries(path) if line["kind"] != "end"]


@pytest.mark.parametrize(("protocol", "story"), [("native", STORY), ("json", JSON_STORY)])
def test_wherever_it_is_killed_it_goes_on_as_the_same_run(tmp_path: Path, protocol: str, story: list[Reply]) -> None:
    whole, states = tmp_path / "whole", {}
    desk = Desk({"a.py": "1"})

    def keep(tool: str) -> str:
        states[name := json.dumps(desk.files)] = dict(desk.files)
        return name

    outcome, _ = run(whole, story, desk=desk, protocol=protocol, snapshot=keep)
    assert outcome == Finished("done")
    data = whole.read_bytes()
    ends = [at + 1 for at, byte in enumerate(data) if byte == 10]
    for end in [0, *ends, *(at - 3 for at in ends)]:
        cut = tmp_path / f"cut-{end}"
        cut.write_bytes(data[:end])
        with Trajectory.open(cut) as trajectory:
            restored = states.get(trajectory.snapshot or "", {"a.py": "1"})
        again = Desk(restored)
        outcome, model = run(
            cut, story, desk=again, protocol=protocol, snapshot=lambda tool, desk=again: json.dumps(desk.files)
        )
        assert outcome == Finished("done")
        assert again.files == desk.files
        assert timeless(cut) == timeless(whole)
        known = data[: data.rfind(b"\n", 0, end) + 1].count(b'{"kind":"reply"')
        assert [request.turn for request in model.requests] == list(range(known, len(story))), "nobody is asked twice"


def test_a_reply_with_odd_characters_is_no_exception(path: Path) -> None:
    odd = [
        Reply("a\ud800"),
        Reply("", (ToolCall("bash", {"command": "\udc80 x"}),)),
        Reply("", (ToolCall("\ud800", {}),)),
    ]
    for reply in odd:
        path.unlink(missing_ok=True)
        assert run(path, [reply, DONE])[0] == Finished("done")


# --- limits


def test_the_last_turn_offers_only_finish(path: Path) -> None:
    outcome, model = run(
        path, lambda r: DONE if r.turn == 2 else call("bash", command=str(r.turn)), bounds=Bounds(steps=3)
    )
    assert outcome == Finished("done")
    assert [tool.name for tool in model.requests[2].tools] == ["finish"]
    assert "last turn" in texts(model.requests[2])[-1] and len(model.requests[1].tools) == 6


def test_who_does_not_finish_in_the_last_turn_is_out_of_steps(path: Path) -> None:
    outcome, model = run(path, lambda r: call("bash", command=str(r.turn)), bounds=Bounds(steps=3))
    assert outcome == Exhausted("steps") and len(model.requests) == 3
    outcome, model = run(path, lambda r: DONE, bounds=Bounds(steps=3))
    assert outcome == Exhausted("steps") and model.requests == []


def test_a_crash_in_the_last_turn_does_not_lose_it(path: Path) -> None:
    run(path, lambda r: call("bash", command=str(r.turn)), bounds=Bounds(steps=3))
    lines = path.read_bytes().splitlines(keepends=True)
    told = next(at for at, line in enumerate(lines) if b'"last turn"' in line)
    path.write_bytes(b"".join(lines[: told + 1]))
    outcome, model = run(path, lambda r: DONE, bounds=Bounds(steps=3))
    assert outcome == Finished("done") and len(model.requests) == 1


def test_tokens_are_never_exceeded_and_the_last_turn_comes_before(path: Path) -> None:
    bounds = Bounds(tokens=20_000, context=8192, max_output=500)

    def answer(request: Request) -> Reply:
        spent = sum(len(message.text) for message in request.messages) // 4 + 200
        return Reply(
            "", (ToolCall("bash", {"command": str(request.turn)}),), prompt_tokens=spent, completion_tokens=400
        )

    outcome, model = run(path, answer, bounds=bounds)
    with Trajectory.open(path) as trajectory:
        assert 14_000 < trajectory.totals.tokens <= 20_000
    assert outcome == Exhausted("tokens") and [tool.name for tool in model.requests[-1].tools] == ["finish"]


def test_money_and_time_have_a_last_turn_too(tmp_path: Path) -> None:
    costly, model = run(
        tmp_path / "cost",
        lambda r: Reply("", (ToolCall("bash", {"command": str(r.turn)}),), cost=0.1),
        bounds=Bounds(cost=1.0),
    )
    assert costly == Exhausted("cost") and len(model.requests) == 10
    now = iter(float(tick) for tick in range(10_000))
    slow, model = run(
        tmp_path / "time",
        lambda r: call("bash", command=str(r.turn)),
        bounds=Bounds(seconds=30.0),
        clock=lambda: next(now),
    )
    assert slow == Exhausted("seconds") and 10 <= len(model.requests) <= 16
    assert [tool.name for tool in model.requests[-1].tools] == ["finish"]


def test_a_free_model_needs_no_money(path: Path) -> None:
    assert run(path, [call("bash", command="a"), DONE], bounds=Bounds(cost=0.0))[0] == Finished("done")


# --- anything at all


JUNK = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["{", '{"tool":', '{"tool": "bash", "arguments": {"command": "ls"}}', "<tool_call>{}", "```bash\nls\n```"]
    ),
)
CALLS = st.builds(
    ToolCall,
    st.sampled_from(["bash", "view", "write", "finish", "nope", ""]) | st.text(max_size=5),
    st.dictionaries(
        st.sampled_from(["command", "path", "content", "summary"]), st.text(max_size=9) | st.integers(), max_size=2
    ),
)
ANY = st.one_of(
    st.builds(
        Reply,
        JUNK,
        st.lists(CALLS, max_size=2).map(tuple),
        st.sampled_from(["stop", "length", "aborted"]),
        st.integers(0, 9000),
        st.integers(0, 3000),
    ),
    st.builds(
        ModelError,
        st.sampled_from(["overflow", "tool-syntax", "no-tools", "grammar", "rate", "refused"]),
        st.just("no"),
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ANY, max_size=14), st.sampled_from(["native", "json"]))
def test_whatever_a_model_says_the_run_ends_within_its_limits(tmp_path_factory, replies, protocol) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("any") / "t"
    bounds = Bounds(steps=12, context=4096)
    outcome, _ = run(path, replies, protocol=protocol, bounds=bounds)
    assert isinstance(outcome, Finished | Asked | Exhausted | Failed)
    with Trajectory.open(path) as trajectory:
        assert trajectory.totals.steps <= bounds.steps


def test_the_model_may_be_another_one_in_the_next_run(path: Path) -> None:
    run(path, [call("bash", command="a")])
    outcome, model = run(path, Model(lambda request: DONE))
    assert outcome == Finished("done") and "exit 0\na xxxxxxxxxx" in texts(model.requests[0])
