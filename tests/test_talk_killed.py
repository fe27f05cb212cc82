"""A real `serve` is killed wherever it may be while a question is asked and answered: each message is there once."""

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from answer_parts import MODELS, agent
from repositories import COMMAND, add_task, bare_hub, git, project, settings
from service.running import WRITE, until
from wire import ScriptedOllama
from wire.ollama import chunk, last, stream
from wire.server import Answer, Asked

from runner.talk.messages import answer_id, new_id

# Where it is killed: when the question or the answer is about to be taken by the hub, or was; when the model is asked;
# in the middle of what it says.
POINTS = ("question pre-receive", "question post-receive", "asked", "speaking", "answer pre-receive",
          "answer post-receive")  # fmt: skip


class Deadly(ScriptedOllama):
    """Answers with the number of the question; at the point `now` it kills the service that asks."""

    def __init__(self) -> None:
        super().__init__(models=MODELS)
        self.now, self.kill = "", lambda: None

    def answer(self, asked: Asked) -> Answer:
        messages = (asked.body or {}).get("messages") or []
        if not messages:
            return super().answer(asked)
        self.requests.append(asked)
        words = f"The answer to {messages[-1]['content']}".split(" ")
        if self.now == "asked":
            self.kill()
        if self.now == "speaking":
            threading.Timer(0.1, self.kill).start()
            return stream(*[chunk(f"{word} ") for word in words * 2000], last())
        return stream(*[chunk(f"{word} ") for word in words], last())


@contextmanager
def serve(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The real command in a process of its own, until it is killed or the test goes on."""
    env = {**os.environ, "PULLWRIGHT_API_TOKEN": WRITE}
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"], cwd=folder, env=env, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert found is not None
        headers = {"authorization": f"Bearer {WRITE}"}
        with httpx.Client(base_url=found[0], headers=headers, timeout=60) as client:
            until(lambda: _ready(client), "it does not get ready", 60)
            yield process, client
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _ready(client: httpx.Client) -> bool:
    return client.get("/readyz").status_code == 200


def hook(hub: Path, name: str, number: int, pid: int) -> None:
    """A hook of the hub that kills a process at the next pushes but `number` of discussions."""
    path = hub / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    (hub / "left").write_text(str(number))
    path.write_text(
        f"#!/bin/sh\ngrep -q discussions/ || exit 0\nleft=$(cat {hub}/left)\necho $((left - 1)) > {hub}/left\n"
        f'[ "$left" -eq 0 ] && kill -9 {pid}\nexit 0\n'
    )
    path.chmod(0o755)


def disarm(hub: Path) -> None:
    for path in (hub / "hooks").glob("*-receive"):
        path.unlink()


@pytest.mark.parametrize("points", [("speaking", "answer post-receive"), pytest.param(POINTS, marks=pytest.mark.soak)])
def test_a_service_that_is_killed_anywhere_answers_each_question_once(
    tmp_path: Path, person: Path, points: tuple[str, ...]
) -> None:
    with Deadly() as server:
        here = project(tmp_path / "clone", agents=settings(agent(server.url)))
        add_task(here)
        hub = bare_hub(here, tmp_path / "hub.git")
        asked: dict[str, str] = {}
        pending: list[dict[str, Any]] = [{"text": "nothing yet", "id": new_id()}]
        with serve(here) as (_, client):
            client.post("/api/discussions", json={"task": "greet"}).raise_for_status()
        for point in points:
            with serve(here) as (process, client):
                for body in pending:  # whoever got no answer says it again, under the same id
                    assert client.post("/api/discussions/greet/messages", json=body).status_code in (200, 202)
                    asked[body["id"]] = body["text"]
                until(lambda client=client: _answered(client, asked), point, 60)  # type: ignore[misc]
                body = {"text": f"question {point}", "id": new_id()}
                arm(server, hub, point, process)
                try:
                    client.post("/api/discussions/greet/messages", json=body).raise_for_status()
                except httpx.TransportError:
                    pending = [body]
                else:  # nobody says it again: the next service finds it
                    pending, asked[body["id"]] = [], body["text"]
                assert process.wait(60) == -signal.SIGKILL, point
                server.now = ""
                disarm(hub)
        with serve(here) as (_, client):
            for body in pending:
                client.post("/api/discussions/greet/messages", json=body).raise_for_status()
                asked[body["id"]] = body["text"]
            until(lambda: _answered(client, asked), "the last", 60)
            messages = client.get("/api/discussions/greet").json()["messages"]
    assert [m["text"] for m in messages if m["role"] == "person"] == list(asked.values())
    answers = {m["answers"]: m["text"] for m in messages if m["role"] == "agent"}
    assert len(messages) == 2 * len(asked) == 2 * len(answers)
    assert all(answers[id].strip().endswith(text) for id, text in asked.items())
    assert [m["id"] for m in messages if m["role"] == "agent"] == [answer_id(id) for id in answers]
    subjects = git(hub, "log", "--format=%s", "refs/pullwright/discussions/greet").splitlines()
    assert len(subjects) == len(messages) + 1


def arm(server: Deadly, hub: Path, point: str, process: subprocess.Popen[str]) -> None:
    what, _, name = point.partition(" ")
    server.now, server.kill = point, process.kill
    if name:
        hook(hub, name, 0 if what == "question" else 1, process.pid)


def _answered(client: httpx.Client, asked: dict[str, str]) -> bool:
    found = client.get("/api/discussions/greet").json()
    return found["waiting"] is None and {m["answers"] for m in found["messages"]} >= asked.keys()
