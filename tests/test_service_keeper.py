"""What wakes the service's one thread that looks, and that no wake-up is lost."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from service.running import Service, serving, until

from runner import live
from runner.host import site_at
from webhook.beginnings import Beginnings
from webhook.front import Front
from webhook.options import Options
from webhook.queries import Reader
from webhook.sessions import sessions
from webhook.steps import KEPT, Live, Steps


def line(kind: str, task: str = "greet") -> str:
    fields = {"at": "", "task": task, "stage": "build", "attempt": 1, "agent": "gemma", "kind": kind}
    return json.dumps(fields) + "\n"


def test_a_file_of_live_lines_that_is_made_anew_is_read_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "greet.jsonl"
    path.write_text(4 * line("reply"))
    lines = Live(tmp_path)
    path.unlink()
    assert lines.new() == []
    path.write_text(5 * line("result"))
    assert len(lines.new()) == 5
    path.write_text(line("start"))  # one that took its place between two looks
    assert len(lines.new()) == 1


@pytest.mark.parametrize(
    ("said", "begun"),
    [
        (["start"], True),
        (["reply", "result", "end"], False),
        (["end", "told"], True),  # the same runner goes on, with an answer
        (["end", "end"], False),
    ],
)
def test_a_beginning_is_seen_in_the_live_lines(tmp_path: Path, said: list[str], begun: bool) -> None:
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "greet.jsonl"
    path.write_text(line("start") + line("reply"))
    beginnings = Beginnings(tmp_path)
    with path.open("a") as file:
        file.writelines(line(kind) for kind in said)
    assert beginnings.any() is begun
    assert not beginnings.any(), "it is told once"


def test_a_line_that_was_cut_short_hides_no_beginning(tmp_path: Path) -> None:
    path = live.path_of(tmp_path, "greet")
    for before in ("", line("reply"), line("reply") + line("result")[:40]):
        path.unlink(missing_ok=True)
        if before:
            path.write_text(before)
        beginnings = Beginnings(tmp_path)
        live.make_ready(path)
        live.make_ready(path)
        with path.open("a") as file:
            file.write(line("start"))
        assert beginnings.any(), before
        assert len(live.read(path.read_bytes())) == before.count("\n") + 1


def test_what_a_runner_does_first_is_a_beginning_and_what_another_goes_on_with_is_not(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    beginnings = Beginnings(tmp_path)
    beginnings.rests("greet")
    (tmp_path / "live" / "later.jsonl").write_text(line("result", "later"))
    assert not beginnings.any()
    (tmp_path / "live" / "greet.jsonl").write_text(line("result"))
    assert beginnings.any()


def test_all_who_follow_hear_each_step_once_from_when_they_came(tmp_path: Path) -> None:
    now = [0.0]
    path = tmp_path / "live" / "greet.jsonl"
    path.parent.mkdir()
    path.write_text(line("start"))
    steps = Steps(tmp_path, lambda: now[0])

    def told(kind: str) -> None:
        now[0] += 1
        with path.open("a") as file:
            file.write(line(kind))

    def kinds(found: list[str]) -> list[str]:
        return [json.loads(each)["kind"] for each in found]

    first = steps.newest()
    told("reply")
    second = steps.newest()
    told("result")
    first, heard = steps.after(first)
    assert kinds(heard) == ["reply", "result"]
    assert kinds(steps.after(second)[1]) == ["result"], "though somebody else has read the file"
    assert steps.after(first) == (first, [])
    now[0] += 60
    told("end")
    assert steps.newest() == first, "what was written while nobody followed is nobody's"
    with path.open("a") as file:
        file.writelines(line("reply") for _ in range(KEPT + 100))
    now[0] += 1
    assert len(steps.after(first)[1]) == KEPT


def count(service: Service, query: str) -> int:
    with sqlite3.connect(service.front.options.index) as conn:
        return int(conn.execute(query).fetchone()[0])


def test_a_task_is_looked_at_again_when_the_first_look_came_to_nothing(hub: tuple[Path, Path]) -> None:
    there, clone = hub
    with serving(clone) as service:
        away = there.rename(there.with_name("away"))
        (service.front.options.site.state / "workspaces" / "gemma" / "tasks" / "greet").mkdir(parents=True)
        service.front.inner.state.room.keeper.look_at(frozenset({"greet"}))
        until(lambda: bool(service.faults()), service.log)
        assert count(service, "SELECT count(*) FROM agent_workspaces") == 0
        away.rename(there)
        until(lambda: count(service, "SELECT count(*) FROM agent_workspaces") == 1, service.log)


def test_whoever_waits_for_an_answer_need_not_wait_for_what_may_come_after(hub: tuple[Path, Path]) -> None:
    with serving(hub[1], debounce=3600.0) as service:
        made = service.client.post("/api/tasks", json={"title": "One more"})
        assert made.status_code == 201
        assert service.client.get("/api/tasks/one-more").status_code == 200


def test_an_answer_that_was_overtaken_is_not_kept(hub: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE words (word)")
        conn.execute("INSERT INTO words VALUES ('old')")
    reader, slow = Reader(path), asyncio.Event()

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        (word,) = reader.conn.execute("SELECT word FROM words").fetchone()
        if word == "old":
            await slow.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": word.encode()})

    options = Options(site_at(hub[1]))
    front = Front(options, sessions(options), inner, None, lambda: reader, lambda what, **more: None)  # type: ignore[arg-type]

    async def asked(meanwhile: Callable[[], None] = lambda: None) -> bytes:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        meanwhile()
        target = {
            "path": "/api/tasks",
            "raw_path": b"/api/tasks",
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
        }
        await front({"type": "http", "method": "GET", **target}, None, send)
        return bytes(sent[-1]["body"])

    def write() -> None:
        with sqlite3.connect(path) as conn:
            conn.execute("UPDATE words SET word = 'new'")

    async def story() -> list[bytes]:
        first = asyncio.create_task(asked())
        await asyncio.sleep(0)
        second = await asked(write)
        slow.set()
        return [await first, second, await asked()]

    assert asyncio.run(story()) == [b"old", b"new", b"new"]


def test_a_log_that_nobody_reads_ends_nothing() -> None:
    script = "from webhook.app import to_stderr\nto_stderr('one')\nto_stderr('two')\nprint('on')"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=writing, timeout=60)
    finally:
        os.close(writing)
    assert (done.stdout, done.returncode) == (b"on\n", 0)
