"""One conversation through the API, the terminal and an issue's thread, with service and runner killed in between.

In the end each of the three shows the same messages, none is lost and none is there twice.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from answer_parts import agent
from fake_github.office import Office
from repositories import COMMAND, commit, git, settings
from service.running import WRITE, until
from test_github_kills import RUNNER
from test_talk_killed import Deadly
from test_talk_threads import resting

from runner.talk.messages import answer_id, new_id

SERVE = f"""
import socket, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import uvicorn
from runner.host import site_at
from service.running import SECRET, WRITE
from service.visitors import hosting, wire
from webhook.app import create_app
from webhook.options import Options
given = dict(poll=0.3, sweep=1.0, debounce=0.01, wire=wire, hosting=hosting)
options = Options(site_at(Path(sys.argv[1])), writers=(WRITE,), secrets=(SECRET,), **given)
app = create_app(options)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])
"""
"""`pullwright serve`, to which GitHub's pauses cost no time."""
LONG = 300.0
WAYS = ("api", "terminal", "thread")


class Street:
    """An office whose people talk with an agent, a service that is killed at will, and what was asked so far."""

    def __init__(self, office: Office, server: Deadly, chance: random.Random) -> None:
        self.office, self.server, self.chance = office, server, chance
        self.asked: dict[str, str] = {}
        self.killed: Counter[str] = Counter()
        self.process: subprocess.Popen[str] | None = None
        self.client: httpx.Client | None = None
        self.left = -1
        self.lacking: list[str] = []
        office.fake.on_request = self._on_request
        server.kill = lambda: self._kill("the model")

    # --- the service -----------------------------------------------------------------------------------------------

    def start(self) -> httpx.Client:
        """A client of the service, which is started unless it runs."""
        if self.process is not None and self.process.poll() is None and self.client is not None:
            return self.client
        self.stop()
        self.process = self._spawn(SERVE)
        assert self.process.stdout is not None
        port = self.process.stdout.readline().strip()
        headers = {"authorization": f"Bearer {WRITE}"}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60)
        until(self._ready, "the service does not get ready", LONG)
        return self.client

    def _ready(self) -> bool:
        assert self.client is not None and self.process is not None
        with suppress(httpx.TransportError):
            return self.client.get("/readyz").status_code == 200
        return self.process.poll() is not None  # killed while it began: the next one will do

    def stop(self) -> None:
        for thing in (self.process, self.client):
            if isinstance(thing, subprocess.Popen):
                thing.kill()
                thing.communicate()
            elif thing is not None:
                thing.close()

    def run(self) -> None:
        """A runner, which may be killed too."""
        self.stop()
        self.process = self._spawn(RUNNER)
        self.process.wait(LONG)

    def _spawn(self, program: str) -> "subprocess.Popen[str]":
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
        command = [sys.executable, "-c", program, str(self.office.clone)]
        with (self.office.clone.parent / "service.log").open("a") as log:  # to be read where one of these tests fails
            return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=log)

    # --- what kills it ---------------------------------------------------------------------------------------------

    def arm(self, kind: str = "") -> None:
        """It dies at one of its next writes, before or after, or while the model speaks; or it lives."""
        self.left, self.server.now = -1, ""
        kind = kind or self.chance.choice(["write", "write", "write", "asked", "speaking", "none"])
        if kind == "write":
            self.left, self.phase = self.chance.randrange(5), self.chance.choice(["before", "after"])
        elif kind != "none":
            self.server.now = kind

    def disarm(self) -> None:
        self.left, self.server.now = -1, ""

    def _on_request(self, number: int, phase: str, method: str, path: str) -> None:
        if self.left >= 0 and phase == self.phase:
            self.left -= 1
            if self.left < 0:
                self._kill(f"{phase} {'a comment' if path.endswith('/comments') else 'a push or mark'}")

    def _kill(self, when: str) -> None:
        self.disarm()
        if self.process is not None and self.process.poll() is None:
            self.killed[when] += 1
            os.kill(self.process.pid, signal.SIGKILL)

    # --- people ----------------------------------------------------------------------------------------------------

    def by_api(self, text: str) -> None:
        """Said again under the same id until somebody says that it is stored."""
        body = {"text": text, "id": new_id(), "who": "Ada"}
        refused: list[str] = []

        def stored() -> bool:
            with suppress(httpx.TransportError):
                client = self.start()
                client.post("/api/discussions", json={"task": "issue-1", "who": "Ada"})
                answer = client.post("/api/discussions/issue-1/messages", json=body)
                if answer.status_code in (200, 202):
                    return True
                refused.append(answer.text)
            self.disarm()
            return False

        until(stored, refused, LONG)
        self.asked[body["id"]] = text
        until(lambda: not self.server.now, "nobody asks the model", LONG)

    def by_terminal(self, text: str) -> None:
        """In a process of its own, which no service needs."""
        done = subprocess.run(
            [*COMMAND, "chat", "issue-1", "--json"], cwd=self.office.clone, input=text, text=True, timeout=LONG,
            capture_output=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["said"]["text"], told["answer"]["answers"]) == (text, told["said"]["id"])
        self.asked[told["said"]["id"]] = text

    def by_thread(self, text: str) -> None:
        """A runner or the service hears it."""
        self.asked[f"github:{self.office.comment(1, text)}"] = text
        if self.chance.random() < 0.5:
            self.run()
        else:
            self.start()

    # --- what there is ---------------------------------------------------------------------------------------------

    def in_thread(self) -> list[str]:
        """The ids of messages in the order in which the thread has them."""
        with self.office.world.lock:
            found = [each for each in self.office.world.comments.values() if each.number == 1]
        return [_shown(each.id, each.body) for each in found if _shown(each.id, each.body)]

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.start().get("/api/discussions/issue-1").json().get("messages", [])
        return found

    def settled(self) -> bool:
        """Whether every question has its answer, and the thread all that was said."""
        with suppress(httpx.TransportError):
            there = {message["id"] for message in self.messages()}
            wanted, shown = {*self.asked, *map(answer_id, self.asked)}, {*self.in_thread()}
            self.lacking[:] = [*(f"{id} in Git" for id in wanted - there), *(f"{id} below" for id in there - shown)]
            return not self.lacking
        return False


def _shown(number: int, body: str) -> str:
    """The message that a comment is; nothing for a note or a command."""
    marker = re.match(r"<!-- pullwright:said (\S+) -->", body)
    return marker[1] if marker else "" if body.startswith(("<!--", "/pullwright")) else f"github:{number}"


@contextmanager
def street(office: Office, seed: int) -> Iterator[Street]:
    """A task that rests, so that all there is to do is to talk."""
    with Deadly() as server:
        text = settings(agent(server.url), forge="github")
        commit(office.clone, "Somebody to talk with", {"agents.yaml": text})
        git(office.clone, "push", "-q", str(office.world.git_dir), "main")
        since = datetime.now(UTC) - datetime(2026, 3, 1, tzinfo=UTC)  # when the fake's clock begins
        office.world.minutes = int(since.total_seconds())  # what was asked long ago nobody answers
        resting(office)
        made = Street(office, server, random.Random(seed))
        try:
            yield made
        finally:
            made.stop()


def talked(office: Office, seed: int, rounds: int) -> Counter[str]:
    """A conversation, in the end the same wherever one looks; what was killed when."""
    with street(office, seed) as place:
        for number in range(rounds):
            for way in place.chance.sample(WAYS, len(WAYS)):
                place.arm("speaking" if (number, way) == (0, "api") else "")
                if way == "terminal" and place.server.now == "speaking":
                    place.server.now = "asked"  # it may speak to the terminal, which nobody kills, for minutes
                {"api": place.by_api, "terminal": place.by_terminal, "thread": place.by_thread}[way](f"{way} {number}?")
        place.disarm()
        place.start()
        until(place.settled, place.lacking, LONG)
        messages, thread = place.messages(), place.in_thread()
        told = subprocess.run([*COMMAND, "chat", "issue-1", "--json"], cwd=office.clone, input="", text=True,
                              capture_output=True, timeout=LONG)  # fmt: skip
        assert [each["id"] for each in json.loads(told.stdout)["messages"]] == [each["id"] for each in messages]
        assert sorted(thread) == sorted(each["id"] for each in messages)
        assert len({each["id"] for each in messages}) == len(messages) == 2 * len(place.asked)
        said = {each["id"]: each["text"] for each in messages}
        assert {id: said[id] for id in place.asked} == place.asked
        for id, text in place.asked.items():
            assert said[answer_id(id)].strip().endswith(text), (text, said[answer_id(id)])
        return place.killed


def test_one_conversation_three_ways_with_kills_in_between(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    killed = talked(office, 2, 1)
    with capsys.disabled():
        print(f"\nkilled: {dict(killed)}")
    assert killed


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_a_long_conversation_three_ways_with_kills_in_between(office: Office, seed: int) -> None:
    print(f"\nkilled: {dict(talked(office, seed, 4))}")
