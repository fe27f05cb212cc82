"""`pullwright task show ID --follow`: what happens on this host and on another, told once, until a person is wanted."""

import subprocess
from pathlib import Path

from repositories import COMMAND, Story, add_task, as_replies, clone, commit, git, pullwright, story, typed

from pullwright.follow import Tail, retold
from runner import live
from runner.lifecycle import Stage, StageRef
from runner.loop.entries import Ended, Ran, Replied
from runner.models import Reply, ToolCall
from runner.record import Entry


def test_following_a_task_that_waits_for_review_tells_how_it_came_there_and_ends(repository: Path) -> None:
    pullwright(repository, "run", "--once")
    followed = typed(repository, "task", "show", "greet", "--follow")
    assert followed.status == 0
    told = followed.out.partition("greet  design 100 %\n")[2].splitlines()
    assert told[0] == "greet  design    scripted  step 1  write tasks/greet/design.md"
    assert told[-3] == "greet  design waits for review"
    assert told[-1].startswith("  → pullwright review greet --approve")


def test_following_begins_before_the_work_and_ends_with_it(repository: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "task", "show", "greet", "--follow"], cwd=repository, stdout=subprocess.PIPE, text=True
    ) as follower:
        assert follower.stdout
        assert next(line for line in follower.stdout if line == "greet  not started\n")
        pullwright(repository, "run", "--once")
        told = [line.rstrip() for line in follower.stdout]
    assert follower.returncode == 0
    assert told.count("greet  design    scripted  step 1  write tasks/greet/design.md") == 1
    assert told[-3] == "greet  design waits for review"


def test_a_task_that_another_host_works_on_is_followed_from_what_that_pushed(
    hub: tuple[Path, Path], tmp_path: Path
) -> None:
    told: Story = story()
    told["design"] = [("write", {"path": "notes.md", "content": "looked"}), ("ask", {"question": "Which?"})]
    commit(hub[1], "Asks", {".pullwright/replies.yaml": as_replies(told)})
    git(hub[1], "push", "-q", "origin", "main")
    pullwright(hub[1], "run")
    other = clone(hub[0], tmp_path / "other")
    said = typed(other, "task", "show", "greet", "--follow").out
    assert "greet  design    scripted  step 1  write notes.md\n" in said
    assert 'greet  held: needs input: Which?\n  → pullwright answer greet "…"\n' in said


def test_following_and_json_exclude_each_other(repository: Path) -> None:
    assert typed(repository, "task", "show", "greet", "--follow", "--json").status == 2
    add_task(repository, "other")
    assert typed(repository, "task", "show", "nobody", "--follow").status == 1


def test_a_log_is_read_on_from_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    tail = Tail(path)
    assert tail.more() == []
    line = b'{"at":"t","task":"a","stage":"build","attempt":1,"agent":"x","kind":"reply","steps":%d}\n'
    path.write_bytes(line % 1 + b"no step\n" + (line % 2)[:20])
    assert [step.steps for step in tail.more()] == [1]
    assert tail.more() == []
    path.write_bytes(line % 1 + b"no step\n" + line % 2 + line % 3)
    assert [step.steps for step in tail.more()] == [2, 3]
    path.write_bytes(line % 4)
    assert [step.steps for step in tail.more()] == [4]


def test_a_pushed_conversation_counts_as_the_live_lines_do() -> None:
    import msgspec

    reply = Reply(text="hm", prompt_tokens=10, completion_tokens=5, cost=0.25)
    happened = [
        Replied(reply, "", 0, 1.0),
        Ran(ToolCall("bash", {"command": "ls"}, "1"), "", "a", 1.0, exit=2),
        Replied(reply, "", 0, 1.0, body=True),
        Ended("Finished"),
    ]
    data = b"".join(msgspec.json.encode(each) + b"\n" for each in happened) + b"damaged\n"
    entry = Entry("working", 1, "gemma", "m", "c", "h", "b", "t", progress=40)
    steps = retold(data, StageRef("greet", Stage.BUILD, 1), entry)
    assert [(step.kind, step.steps, step.tokens, step.cost) for step in steps] == [
        ("reply", 1, 15, 0.25),
        ("result", 1, 15, 0.25),
        ("reply", 1, 30, 0.5),
        ("end", 1, 30, 0.5),
    ]
    assert live.sentence_of(steps[1]) == "gemma  step 1  bash ls → exit 2"
    assert steps[0].progress == 40
