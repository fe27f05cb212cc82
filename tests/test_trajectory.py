"""An attempt's file: append-only, on disk line by line, read back after any crash."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UserError
from runner.loop.trajectory import Entry, Ran, Replied, Started, Told, Totals, Trajectory, durable
from runner.models import Message, Reply, ToolCall

START = Started("m", "native", (Message("system", "s"), Message("user", "u")), opening=2)
REPLY = Reply("I look.", (ToolCall("bash", {"command": "ls"}, "c1"),), prompt_tokens=10, completion_tokens=2, cost=0.5)
REPLIED = Replied(REPLY, "digest", 100, 1.5)
RAN = Ran(ToolCall("bash", {"command": "ls"}, "c1"), "I look.", "exit 0\nfile", 0.25, exit=0, snapshot="abc")
TOLD = Told("Say it as a call.", "format", after="hm")


def kept(path: Path, *said: Entry) -> Trajectory:
    with Trajectory.open(path) as trajectory:
        for entry in said:
            trajectory.append(entry)
    return trajectory


def state(trajectory: Trajectory) -> tuple[object, ...]:
    return (
        trajectory.messages,
        trajectory.pending,
        trajectory.replies,
        trajectory.totals,
        list(trajectory.recent),
        trajectory.snapshot,
        trajectory.heard,
        trajectory.changed,
        trajectory.notes,
        trajectory.asked,
        trajectory.segment,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "er" / "trajectory.jsonl"


def test_what_was_written_is_read_back_as_it_was(path: Path) -> None:
    written = kept(path, START, REPLIED, RAN, REPLIED, TOLD)
    with Trajectory.open(path) as read:
        assert state(read) == state(written)
    assert written.messages == [
        *START.messages,
        Message("assistant", "I look.", calls=RAN.call and (RAN.call,)),
        Message("tool", "exit 0\nfile", answers="c1", tool="bash"),
        Message("assistant", "hm"),
        Message("user", "Say it as a call."),
    ]
    assert written.totals == Totals(steps=2, tokens=24, cost=1.0, seconds=3.25)


def test_a_reply_is_pending_until_something_came_of_it(path: Path) -> None:
    body = Replied(Reply("```\nx\n```"), "digest", 100, 0.5, body=True)
    trajectory = kept(path, START, REPLIED, body)
    assert trajectory.pending == (REPLIED, body)
    assert (trajectory.replies, trajectory.totals.steps) == (2, 1)
    assert kept(path, RAN).pending == ()


def test_a_new_segment_replaces_the_conversation_and_abandons_what_is_pending(path: Path) -> None:
    shorter = Started("m", "native", (Message("system", "s"),), opening=1, why="window")
    trajectory = kept(path, START, REPLIED, RAN, REPLIED, shorter)
    assert trajectory.messages == [Message("system", "s")]
    assert trajectory.pending == () and trajectory.replies == 2 and list(trajectory.recent) == [RAN]
    other = kept(path, Started("m", "json", (), opening=0, why="no-tools"))
    assert list(other.recent) == []


def test_a_last_line_that_was_cut_short_is_dropped_wherever_it_was_cut(path: Path) -> None:
    whole = kept(path, START, REPLIED)
    sound = path.read_bytes()
    kept(path, RAN)
    full = path.read_bytes()
    for end in range(len(sound), len(full)):
        path.write_bytes(full[:end])
        with Trajectory.open(path) as read:
            assert state(read) == state(whole)
            assert path.read_bytes() == sound
    assert state(kept(path, RAN)) == state(kept(path))


def test_damage_elsewhere_names_file_and_line(path: Path) -> None:
    kept(path, START, REPLIED)
    path.write_bytes(path.read_bytes().replace(b'"reply"', b'"rep\xff"', 1))
    with pytest.raises(UserError, match=r"trajectory\.jsonl: line 2 is damaged"):
        Trajectory.open(path)


def test_each_line_is_on_disk_before_it_is_known(path: Path) -> None:
    seen: list[int] = []
    with Trajectory.open(path, watch=lambda entry: seen.append(path.read_bytes().count(b"\n"))) as trajectory:
        for entry in (START, REPLIED, RAN):
            trajectory.append(entry)
    assert seen == [1, 2, 3]


def test_the_digest_tells_conversations_apart_and_not_runs(tmp_path: Path) -> None:
    slower = Ran(RAN.call, RAN.thought, RAN.text, 99.0, exit=0)
    one, same = kept(tmp_path / "1", START, REPLIED, RAN), kept(tmp_path / "2", START, REPLIED, slower)
    other = kept(tmp_path / "3", START, REPLIED, TOLD)
    assert one.asked == same.asked != other.asked


def test_what_later_segments_need_is_remembered(path: Path) -> None:
    def did(tool: str, fault: bool = False, **arguments: object) -> Ran:
        return Ran(ToolCall(tool, arguments), "", "", 0.0, fault=fault)

    trajectory = kept(
        path,
        START,
        did("write", path="a.py", content="1"),
        did("write", path="b.py", content="1"),
        did("edit", path="a.py", change="x"),
        did("edit", fault=True, path="c.py", change="x"),
        did("note", text="dots matter"),
        RAN,
        Told("please", "person", id="cmd-1"),
    )
    assert list(trajectory.changed) == ["b.py", "a.py"]
    assert trajectory.notes == ["dots matter"] and trajectory.command == RAN and trajectory.heard == {"cmd-1"}


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), st.dictionaries(st.text(), ODD, max_size=3))
def test_any_reply_can_be_kept_and_is_the_same_when_read_back(text: str, arguments: dict[str, object]) -> None:
    once = durable(Reply(text, (ToolCall("bash", arguments),)))
    assert durable(once) == once


def test_a_reply_that_no_file_can_hold_is_kept_without_its_calls() -> None:
    deep: dict[str, object] = {}
    inner = deep
    for _ in range(5000):
        inner["a"] = inner = {}
    assert durable(Reply("a\ud800b", (ToolCall("bash", deep),))) == Reply("a?b")
