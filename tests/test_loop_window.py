"""A conversation of any length stays inside the model's window, and its beginning stays the same while it can."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from talk_parts import Desk, Model, action, call, entries, run

from runner.loop.dialogue import Bounds, Failed, Finished
from runner.loop.teaching import notes
from runner.loop.trajectory import Ran, Told, Trajectory
from runner.loop.window import Window, compact, corrected, crowded, size, turns_of
from runner.models import Message, Reply, Request, ToolCall

TASK = "The task: rename parse() to read() everywhere, and keep the old name working."
OPENING = (Message("system", "You are an agent. " * 40), Message("user", TASK))


def wire(request: Request) -> str:
    """What a server reads: everything that was sent."""
    return "".join(f"{m.role}\n{m.text}\n{json.dumps([c.arguments for c in m.calls])}\n" for m in request.messages)


def counted(request: Request, per_token: float) -> int:
    tools = json.dumps([[tool.name, tool.description, tool.parameters] for tool in request.tools])
    return int((len(wire(request)) + len(tools)) / per_token)


def busy(per_token: float, turns: int, constrained: bool = False) -> Model:
    """Works on for so many turns, with long commands, files and results, and counts tokens as a server does."""

    def answer(request: Request) -> Reply:
        tokens = counted(request, per_token)
        if request.turn >= turns:
            said = {"tool": "finish", "arguments": {"summary": "done"}}
        elif request.turn % 5 == 3:
            said = {"tool": "write", "arguments": {"path": f"f{request.turn}.py", "content": "z = 1\n" * 120}}
        else:
            said = {"tool": "bash", "arguments": {"command": f"cat part-{request.turn}"}}
        if not constrained:
            return Reply(
                "I go on.", (ToolCall(said["tool"], said["arguments"]),), prompt_tokens=tokens, completion_tokens=50
            )
        if request.schema is None:
            return Reply("```\n" + "z = 1\n" * 120 + "```", prompt_tokens=tokens, completion_tokens=300)
        if said["tool"] == "write":
            said["arguments"].pop("content")
        return Reply(json.dumps({"thought": "I go on.", **said}), prompt_tokens=tokens, completion_tokens=50)

    return Model(answer)


class LongDesk(Desk):
    def _bash(self, command: str):  # type: ignore[no-untyped-def]
        answer = super()._bash(command)
        return type(answer)(answer.text + "\nsome line of output that is long enough" * 44, answer.exit)


@pytest.mark.parametrize("per_token", [4.4, 3.3, 2.4])
@pytest.mark.parametrize("protocol", ["native", "json"])
def test_two_hundred_turns_in_four_thousand_tokens(tmp_path: Path, protocol: str, per_token: float) -> None:
    path = tmp_path / "t"
    model = busy(per_token, 200, constrained=protocol == "json")
    bounds = Bounds(steps=300, context=4096, max_output=600)
    outcome, _ = run(path, model, desk=LongDesk(), protocol=protocol, bounds=bounds, opening=OPENING)
    assert outcome == Finished("done") and len(model.requests) > 200
    assert all(TASK in wire(request) for request in model.requests), "the task is never lost"
    prompts = [counted(request, per_token) for request in model.requests]
    assert max(prompts) <= 4096 - 600, "the prompt never exceeds the window"
    assert all(request.max_tokens <= 600 for request in model.requests)
    asked = [request for request in model.requests if protocol == "native" or request.schema is not None]
    kept = sum(wire(after).startswith(wire(before)) for before, after in pairwise(asked))
    compactions = sum(line.get("why") == "window" for line in entries(path, "start"))
    assert kept == len(asked) - 1 - compactions, "between two compactions the prefix is the same, byte for byte"
    assert compactions < 100


def test_the_files_that_were_changed_are_noted_when_their_turns_are_gone(tmp_path: Path) -> None:
    model = busy(3.3, 40)
    run(tmp_path / "t", model, desk=LongDesk(), bounds=Bounds(steps=99, context=4096, max_output=600), opening=OPENING)
    last = wire(model.requests[-1])
    assert "files changed so far: " in last and "f3.py" in last and "f38.py" in last
    assert last.count("earlier turns were left out") == 1


def test_notes_are_short_whatever_they_are_of(tmp_path: Path) -> None:
    with Trajectory.open(tmp_path / "t") as trajectory:
        for number in range(30):
            for tool, arguments in (
                ("write", {"path": f"{number}" + "/x" * 500, "content": "y"}),
                ("note", {"text": "z" * 2000}),
                ("bash", {"command": "c" * 9000}),
            ):
                trajectory.append(Ran(ToolCall(tool, arguments), "", "exit 0\n" + "o" * 5000, 0.0, exit=0))
            trajectory.append(Told("p" * 9000, "person", id=str(number)))
        assert len(notes(trajectory)) < 600 * 4.4


def test_a_task_that_leaves_no_room_is_said(tmp_path: Path) -> None:
    opening = (Message("system", "s"), Message("user", "word " * 4000))
    outcome, model = run(tmp_path / "t", [call("bash", command="ls")], opening=opening, bounds=Bounds(context=4096))
    assert isinstance(outcome, Failed) and outcome.kind == "window" and "4096" in outcome.reason
    assert model.requests == []


def test_a_server_that_counts_more_tokens_is_believed() -> None:
    window = Window(8192, 1000)
    assert corrected(window, 3300, 2000).ratio == pytest.approx(2.0)
    assert corrected(window, 3300, 10).ratio == 0.75, "cached tokens that are left out are no reason to send more"
    assert corrected(window, 3300, 0) == window


def test_the_reply_never_gets_more_than_a_quarter_of_the_window() -> None:
    assert [Window(context, 2048).output for context in (2048, 4096, 8192, 131072)] == [512, 1024, 2048, 2048]
    assert Window(2048, 2048).budget > 1000


TURN = st.tuples(
    st.text(max_size=30), st.sampled_from(["bash", "view", "write"]), st.text(max_size=900), st.text(max_size=3000)
)


def turn(thought: str, tool: str, argument: str, result: str) -> list[Message]:
    return [
        Message("assistant", thought, calls=(ToolCall(tool, {"path": argument}, "c"),)),
        Message("tool", result, answers="c", tool=tool),
    ]


@given(st.lists(TURN, max_size=30), st.integers(2048, 20_000), st.floats(0.75, 3.0))
def test_compacting_fits_keeps_the_front_and_whole_turns(turns, context, ratio) -> None:  # type: ignore[no-untyped-def]
    window = Window(context, 2048, ratio)
    messages = [message for each in turns for message in turn(*each)]
    shorter = compact(messages, OPENING, window, 500)
    if shorter is None:
        assert window.tokens(size(OPENING) + 500 + 2 * 160) > window.budget * 0.4
        return
    assert shorter[:2] == OPENING
    assert window.tokens(size(shorter) + 500) <= window.budget
    assert all([m.role for m in each] == ["assistant", "tool"] for each in turns_of(shorter[2:]))
    if len(turns) > 1:
        assert not crowded(window, size(OPENING) + 500, size(shorter) + 500) or len(turns_of(shorter[2:])) == 1


def test_an_old_result_is_masked_by_what_it_was_and_new_ones_stay() -> None:
    messages = [
        m
        for number in range(8)
        for m in turn("t", "view", f"f{number}.py", f"f{number}.py: lines 1-40\n" + "x\n" * 300)
    ]
    shorter = compact(messages, OPENING, Window(16_000, 2048), 500)
    assert shorter is not None
    results = [message.text for message in shorter if message.role == "tool"]
    assert results[0] == "[view f0.py: 302 lines, seen: f0.py: lines 1-40]" and len(results) == 8
    assert results[-4:] == [message.text for message in messages if message.role == "tool"][-4:]


def test_json_bodies_do_not_grow_the_prompt_beyond_the_window(tmp_path: Path) -> None:
    outcome, _ = run(
        tmp_path / "t",
        [action("write", path="a"), Reply("```\n" + "x\n" * 500 + "```"), action("finish", summary="s")],
        protocol="json",
        bounds=Bounds(context=4096),
    )
    assert outcome == Finished("s")
