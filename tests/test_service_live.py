"""Following along, and runners that the service wakes: a whole task with nothing but `serve` running."""

import json
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from repositories import add_task, git
from service.running import Service, serving, until

from runner.errors import UserError
from webhook.dispatch import TRIES, Dispatcher, Job, Workflow
from webhook.steps import Live

COMMAND = (sys.executable, "-c", "from pullwright.cli import main; main()")


class Follower:
    """A client of /api/events that comes back with the last id it has heard."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, dict[str, Any]]] = []
        self.last = ""

    def follow(self, service: Service) -> threading.Thread:
        """Listen until the service ends."""
        ready = threading.Event()
        thread = threading.Thread(target=self._listen, args=(service.url, ready), daemon=True)
        thread.start()
        assert ready.wait(60)
        return thread

    def _listen(self, url: str, ready: threading.Event) -> None:
        headers = {"last-event-id": self.last} if self.last else {}
        try:
            with httpx.stream("GET", f"{url}/api/events", headers=headers, timeout=60) as answer:
                ready.set()
                fields: dict[str, str] = {}
                for line in answer.iter_lines():
                    name, _, value = line.partition(": ")
                    if line:
                        fields[name] = value
                    elif "event" in fields:
                        self._hear(fields)
                        fields = {}
        except httpx.HTTPError:
            return  # the service ended

    def _hear(self, fields: dict[str, str]) -> None:
        self.last = fields.get("id", self.last)
        self.heard.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))

    def updates(self) -> list[str]:
        """The ids of the updates that were heard."""
        return [data["id"] for kind, _, data in self.heard if kind == "update"]


def test_a_task_goes_all_the_way_while_a_client_follows_across_restarts(hub: tuple[Path, Path]) -> None:
    _, clone = hub
    follower = Follower()
    with serving(clone) as service:
        thread = follower.follow(service)
        until(lambda: any(kind == "hello" for kind, _, _ in follower.heard))
    thread.join(60)
    with serving(clone, dispatch="local", command=COMMAND, poll=0.2) as service:
        thread = follower.follow(service)
        until(lambda: len(follower.updates()) > 3, service.log, 60)
    thread.join(60)
    with serving(clone, dispatch="local", command=COMMAND, poll=0.2) as service:
        thread = follower.follow(service)
        until(lambda: bool(service.client.get("/api/tasks/greet").json()["completed_at"]), service.log, 300)
        everything = service.client.get("/api/tasks/greet/updates?limit=200").json()["items"]
        until(lambda: set(follower.updates()) >= {update["id"] for update in everything}, "the feed lags")
        assert service.faults() == []
    thread.join(60)
    assert sorted(follower.updates()) == sorted({update["id"] for update in everything})
    assert "reset" not in [kind for kind, _, _ in follower.heard]
    assert [data["status"] for kind, _, data in follower.heard if kind == "stage"][-1] == "complete"
    assert any(kind == "step" and data["task"] == "greet" for kind, _, data in follower.heard)


def test_live_lines_are_told_whole_and_once(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    path = tmp_path / "live" / "a.jsonl"
    path.write_text('{"old": 1}\n')
    live = Live(tmp_path)
    with path.open("a") as file:
        file.write('{"new": 1}\n{"ha')
        file.flush()
        assert live.new() == ['{"new":1}']
        file.write('lf": 2}\nnot json\n')
        file.flush()
        assert live.new() == ['{"half":2}']
    assert live.new() == []


def runners(tmp_path: Path, script: str, times: list[float]) -> Dispatcher:
    return Dispatcher((sys.executable, "-c", script), tmp_path, tmp_path / "logs", lambda: times[0])


def end(dispatcher: Dispatcher) -> None:
    until(lambda: bool(dispatcher.reap()))


def test_a_runner_that_fails_is_tried_again_later_and_left_alone_in_the_end(tmp_path: Path) -> None:
    times = [0.0]
    dispatcher = runners(tmp_path, "import sys; print('no key'); sys.exit(3)", times)
    job = Job("greet", "build", "1")
    pauses = []
    for _ in range(TRIES):
        assert dispatcher.wanted([job], 1) == [job]
        dispatcher.start(job)
        end(dispatcher)
        pauses.append(dispatcher.trouble["greet"].again - times[0])
        assert dispatcher.wanted([job], 1) == []
        times[0] = dispatcher.trouble["greet"].again
    assert pauses == [5, 10, 20, 40, 80]
    assert dispatcher.wanted([job], 1) == []
    assert dispatcher.held()["greet"] == "its runner ended with exit 3, 5 times in a row: no key"
    assert dispatcher.wanted([job._replace(version="2")], 1) != []  # something about it has changed


def test_a_runner_that_ends_well_and_changes_nothing_rests_until_something_is_heard(tmp_path: Path) -> None:
    times = [0.0]
    dispatcher = runners(tmp_path, "", times)
    job = Job("greet", "build", "1")
    for pause in (5, 10, 20, 40, 80, 160, 300, 300):
        dispatcher.start(job)
        end(dispatcher)
        assert dispatcher.wanted([job], 1) == []
        assert dispatcher.trouble["greet"].again - times[0] == pause
        times[0] = dispatcher.trouble["greet"].again
        assert dispatcher.wanted([job], 1) == [job]
    times[0] -= 1
    assert dispatcher.wanted([job], 1) == []
    assert dispatcher.held() == {}
    dispatcher.stir(["other"])
    assert dispatcher.wanted([job], 1) == []
    dispatcher.stir(["greet"])
    assert dispatcher.wanted([job], 1) == [job]


def test_a_run_of_the_workflow_is_asked_for_once_for_what_there_is_to_do() -> None:
    times, asked = [0.0], list[float]()
    workflow = Workflow(lambda: asked.append(times[0]), lambda: times[0])
    one, other = Job("greet", "build", "1"), Job("later", "build", "1")
    for jobs in ([], [one], [one], [one, other], [other], [one._replace(version="2"), other]):
        workflow.ask(jobs)
    assert len(asked) == 3
    for _ in range(7 * 3600):  # nothing comes of it
        times[0] += 1
        workflow.ask([other])
    assert [round(at) for at in asked[3:]] == [300, 900, 2100, 4500, 8100, 11700, 15300, 18900, 22500]


def test_a_run_of_the_workflow_that_github_did_not_take_is_asked_for_again() -> None:
    asked = list[int]()

    def start() -> None:
        asked.append(len(asked))
        if len(asked) == 1:
            raise UserError("GitHub is away", "try it again")

    workflow, job = Workflow(start, lambda: 0.0), Job("greet", "build", "1")
    with pytest.raises(UserError):
        workflow.ask([job])
    workflow.ask([job])
    workflow.ask([job])
    assert len(asked) == 2


def test_a_runner_that_ends_while_the_hub_is_away_is_known_to_have_ended(hub: tuple[Path, Path]) -> None:
    there, clone = hub
    script = "import pathlib, time\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)\nexit('it stops')"
    with serving(clone, dispatch="local", command=(sys.executable, "-c", script)) as service:
        until(lambda: any(line["what"] == "runner started" for line in service.log), service.log, 60)
        away = there.rename(there.with_name("away"))
        (clone / "go").touch()
        until(lambda: any(line["what"] == "runner ended" for line in service.log), service.log, 60)
        assert service.front.inner.state.room.keeper.dispatcher.running == {}
        away.rename(there)


def test_no_more_runners_than_there_is_room_for_and_none_twice(tmp_path: Path) -> None:
    dispatcher = runners(tmp_path, "import time; time.sleep(60)", [0.0])
    jobs = [Job(name, "build", "1") for name in ("a", "b", "c")]
    for job in dispatcher.wanted(jobs, 2):
        dispatcher.start(job)
    assert set(dispatcher.running) == {"a", "b"}
    assert dispatcher.wanted(jobs, 2) == []
    assert dispatcher.wanted(jobs, 3) == [jobs[2]]
    children = [running.process.pid for running in dispatcher.running.values()]
    dispatcher.stop()
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []


def test_a_task_that_is_left_alone_says_why_until_something_changes(hub: tuple[Path, Path]) -> None:
    _, clone = hub
    ticks = count(0, 400)
    command = (sys.executable, "-c", "import sys; sys.exit('no key')")
    with serving(clone, dispatch="local", command=command, poll=0.1) as service:
        dispatcher = service.front.inner.state.room.keeper.dispatcher
        dispatcher.clock = lambda: next(ticks)  # every pause is over at once

        def why() -> str:
            return service.client.get("/api/tasks/greet").json()["left_alone"] or ""

        until(lambda: why() == f"its runner ended with exit 1, {TRIES} times in a row: no key", dispatcher.trouble, 60)
        runs = sum(line["what"] == "runner started" for line in service.log)
        assert runs == TRIES
        ended = {"what": "runner ended", "task": "greet", "how": "exit 1", "said": "no key"}
        assert any(ended.items() <= line.items() for line in service.log)
        add_task(clone, "other", priority=1)
        git(clone, "push", "-q", "origin", "main")
        until(lambda: service.client.get("/api/tasks/other").status_code == 200)
        until(lambda: dispatcher.trouble.keys() == {"greet", "other"}, "one task that fails keeps others waiting")
    with serving(clone) as service:
        until(lambda: not service.client.get("/api/tasks/greet").json()["left_alone"], "the next one tries it")


def test_of_a_runner_that_failed_both_is_told_what_is_wrong_and_the_way_out_of_it(tmp_path: Path) -> None:
    dispatcher = runners(tmp_path, "print('hello\\npullwright: no model\\n  → pull it\\n'); exit(1)", [0.0])
    dispatcher.start(Job("a", "build", "1"))
    end(dispatcher)
    assert dispatcher.trouble["a"].reason.endswith("in a row: pullwright: no model → pull it")


def test_a_runner_that_is_killed_is_seen(tmp_path: Path) -> None:
    dispatcher = runners(tmp_path, "import os; os.kill(os.getpid(), 9)", [0.0])
    dispatcher.start(Job("a", "build", "1"))
    end(dispatcher)
    assert "signal 9" in dispatcher.trouble["a"].reason
