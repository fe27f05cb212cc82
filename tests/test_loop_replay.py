"""A trajectory read by a person, and read again by today's rules."""

from pathlib import Path

from talk_parts import Desk, call, run

from runner.loop.replay import Reread, chat, reread
from runner.loop.trajectory import Entry, entries
from runner.models import Reply, ToolCall
from runner.protocols import Act

STORY = [
    call("view", "I look.", path="a"),
    Reply("no idea"),
    call("bash", command="printf '\x1b[2J'"),
    call("write", path="b", content="x" * 9000),
    call("finish", summary="done"),
]


def kept(path: Path) -> list[Entry]:
    run(path, STORY, desk=Desk({"a": "the text of a"}), seeds=(Act(ToolCall("view", {"path": "a"}), "First."),))
    return list(entries(path.read_bytes(), path.name))


def test_a_trajectory_reads_like_a_chat(tmp_path: Path) -> None:
    text = "\n".join(chat(kept(tmp_path / "t")))
    for part in (
        "── model, native",
        "The task: make it so.",
        "1 · model (10 + 5 tokens",
        "view(path='a')",
        "the text of a",
    ):
        assert part in text
    assert "runner, because of: format" in text and "── Finished\ndone" in text
    assert "\x1b" not in text and len(text) < 6000 < len("\n".join(chat(kept(tmp_path / "u"), everything=True)))


def test_what_the_run_understood_is_understood_the_same_today(tmp_path: Path) -> None:
    assert list(reread(kept(tmp_path / "t"))) == []


def test_a_reply_that_is_read_otherwise_today_is_shown(tmp_path: Path) -> None:
    kept(tmp_path / "t")
    changed = (
        (tmp_path / "t")
        .read_bytes()
        .replace(b'"text":"no idea"', b'"text":"{\\"tool\\": \\"bash\\", \\"arguments\\": {\\"command\\": \\"ls\\"}}"')
    )
    assert list(reread(entries(changed, "t"))) == [Reread(2, "unreadable: format", "bash(command='ls')")]
