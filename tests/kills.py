"""Runs that are killed, and what must be the same after them.

`python kills.py CLONE POINT` works in CLONE and kills itself at the step boundary POINT (0: never; it then prints how
many there were). `python kills.py CLONE later` works there as another host that has waited for a lease to expire.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from repositories import AUTO, COMMAND, Story, add_task, bare_hub, clone, first_parents, git, project, settings, story

from runner import wiring, worker
from runner.agents import Agent
from runner.host import Host, site_at
from runner.models import Model, Reply, Request
from runner.observe import observe
from runner.sandbox import Command, Result, Sandbox

HERE = Path(__file__).parent
OUTGOING = ("fetch", "push", "ls-remote")

# First in PATH: counts the commands that talk to the hub, and at one of them kills the runner: `before` it or `after`
# it with all its children, or (`orphan`) alone, so that the command itself comes to its end later. Or it stops all of
# them (`stop`) until somebody lets them go on.
WRAPPER = """#!/bin/sh
for word; do
  case "$word" in fetch|push|ls-remote) break ;; esac
  word=
done
[ -n "$word" ] || exec {git} "$@"
echo "$word" >> {folder}/outgoing
read -r at how < {folder}/plan
[ "$(wc -l < {folder}/outgoing)" -eq "$at" ] || exec {git} "$@"
case "$how" in
  before) kill -9 -"$PPID" ;;
  after) {git} "$@"; kill -9 -"$PPID" ;;
  orphan) kill -9 "$PPID"; sleep 0.3; {git} "$@"; touch {folder}/ended ;;
  stop) kill -STOP -"$PPID"; exec {git} "$@" ;;
esac
"""


def eventful() -> Story:
    """A task in which everything happens that a record tells of: notes, progress, a failing gate and its rework."""
    told = story()
    told["build"] = [
        ("bash", {"command": "echo goodbye > greeting.txt"}),
        ("frobnicate", {"text": "There is no such tool."}),
        ("finish", {"summary": "The line is there."}),
        ("bash", {"command": "{ echo hello; cat greeting.txt; } > new && mv new greeting.txt"}),
        ("finish", {"summary": "Both lines are there."}),
    ]
    told["complete"][0:0] = [("note", {"text": "The greeting has two lines."}), ("progress", {"percent": 40})]
    told["complete"].insert(-1, ("note", {"text": "Nothing else was touched."}))
    return told


class Stand(NamedTuple):
    """A hub with two clones, each a host of its own; `tools` is the folder with the git that kills."""

    hub: Path
    first: Path
    second: Path
    tools: Path


def template(folder: Path) -> Path:
    """A hub with one task, to be copied."""
    source = project(folder / "source", agents=settings(review=AUTO), replies=eventful())
    add_task(source)
    hub = bare_hub(source, folder / "hub.git")
    git(hub, "config", "core.logAllRefUpdates", "always")
    return hub


def stand(source: Path, folder: Path) -> Stand:
    """A fresh stand on a copy of the hub `source`."""
    folder.mkdir(parents=True)
    hub = folder / "hub.git"
    shutil.copytree(source, hub)
    tools = folder / "tools"
    tools.mkdir()
    wrapper = tools / "git"
    wrapper.write_text(WRAPPER.replace("{git}", str(shutil.which("git"))).replace("{folder}", str(tools)))
    wrapper.chmod(0o755)
    (tools / "plan").write_text("0 never\n")
    (tools / "outgoing").touch()
    return Stand(hub, clone(hub, folder / "first"), clone(hub, folder / "second"), tools)


class Ended(NamedTuple):
    """How a run ended, and what it said."""

    status: int
    said: str


def run(folder: Path, *command: str, path: Path | None = None) -> Ended:
    """A run in a process group of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    if path is not None:
        env["PATH"] = f"{path}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        start_new_session=True,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout)


def run_whole(folder: Path) -> None:
    """`pullwright run`, undisturbed."""
    ended = run(folder, *COMMAND, "run")
    assert ended.status == 0, ended.said


def run_later(folder: Path) -> None:
    """Another host works, a lease after it has looked for the first time."""
    ended = run(folder, sys.executable, str(HERE / "kills.py"), str(folder), "later")
    assert ended.status == 0, ended.said


def kill_at_git(place: Stand, number: int, how: str) -> Ended:
    """`pullwright run`, killed at its outgoing command `number`."""
    (place.tools / "plan").write_text(f"{number} {how}\n")
    return run(place.first, *COMMAND, "run", path=place.tools)


def orphan_ended(place: Stand) -> None:
    """Wait until the command that outlived its runner has come to its end."""
    deadline = time.monotonic() + 60
    while not (place.tools / "ended").exists():
        assert time.monotonic() < deadline, "the orphan never ended"
        time.sleep(0.02)


def start_at_git(place: Stand, number: int, how: str) -> "subprocess.Popen[str]":
    """`pullwright run`, left alone, to which `how` happens at its outgoing command `number`."""
    (place.tools / "plan").write_text(f"{number} {how}\n")
    env = {**os.environ, "PATH": f"{place.tools}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.Popen(
        [*COMMAND, "run"], cwd=place.first, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip


def refs(place: Stand) -> str:
    """All that the hub holds."""
    return git(place.hub, "for-each-ref")


def outgoing(place: Stand) -> list[str]:
    """The outgoing commands so far."""
    return (place.tools / "outgoing").read_text().split()


def kill_at_step(place: Stand, point: int) -> Ended:
    """A run that kills itself at a step boundary."""
    return run(place.first, sys.executable, str(HERE / "kills.py"), str(place.first), str(point))


# --- what must be the same -----------------------------------------------------------------------------------------

VARIES = {"claim", "host", "started", "finished", "since", "gated", "tokens", "seconds"}


def record(place: Stand) -> Any:
    """The record on main, without what differs from run to run."""
    return _settled(yaml.safe_load(git(place.hub, "show", "main:tasks/greet/record.yaml")))


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _settled(each) for key, each in value.items() if key not in VARIES}
    return [_settled(each) for each in value] if isinstance(value, list) else value


def lines(place: Stand, rev: str = "main") -> list[dict[str, Any]]:
    """The history at a commit, oldest first."""
    return [json.loads(line) for line in git(place.hub, "show", f"{rev}:tasks/greet/updates.jsonl").splitlines()]


def history(place: Stand) -> list[tuple[Any, ...]]:
    """The history on main, without ids and times; how long a check took and which temporary place it saw stay out."""
    return [
        (line["agent"], line["actor"], line["update_type"], re.sub(r"after \d+ s", "after s", line["content"]))
        for line in lines(place)
    ]


def pushed(place: Stand) -> list[list[str]]:
    """The ids of the updates of every commit that the hub ever had of the task, in the order of its reflogs."""
    found = []
    for log in sorted((place.hub / "logs/refs/heads").rglob("*")):
        if log.is_file():
            for line in log.read_text().splitlines():
                new = line.split()[1]
                if set(new) != {"0"} and git(place.hub, "ls-tree", new, "tasks/greet/updates.jsonl"):
                    found.append([update["id"] for update in lines(place, new)])
    return found


def result(place: Stand) -> dict[str, str]:
    """Path → blob of main, but for the two files that carry times and ids."""
    listed = git(place.hub, "ls-tree", "-r", "main").splitlines()
    files = {line.partition("\t")[2]: line.split()[2] for line in listed}
    return {path: blob for path, blob in files.items() if not path.endswith(("record.yaml", "updates.jsonl"))}


def claims(place: Stand) -> list[str]:
    """Every claim that a commit on main names, oldest first, with its stage."""
    form = "%(trailers:key=Pullwright-Stage,valueonly,separator=%x2C) %(trailers:key=Pullwright-Claim,valueonly)"
    found = git(place.hub, "log", "--reverse", "--topo-order", f"--format={form}", "main").splitlines()
    return list(dict.fromkeys(line.strip() for line in found if line.strip()))


TAKEN_OVER = re.compile(r"goes on with \w+: the lease of \S+ has expired")


def check(place: Stand, whole: Stand, *, taken_over: bool, where: str) -> None:
    """The task ended as the undisturbed one did."""
    assert result(place) == result(whole), where
    assert record(place) == record(whole), where
    assert first_parents(place.hub) == first_parents(whole.hub), where
    ours = history(place)
    if taken_over:
        ours = [line for line in ours if not TAKEN_OVER.search(line[3])]
    assert ours == history(whole), where
    ids = [line["id"] for line in lines(place)]
    assert len(set(ids)) == len(ids), where
    for earlier in pushed(place):
        assert [id for id in ids if id in set(earlier)] == earlier, f"{where}: a pushed line is lost or moved"
    if not taken_over:
        assert len(claims(place)) == len(claims(whole)), f"{where}: {claims(place)}"


# --- a run that dies at a step boundary ----------------------------------------------------------------------------


class Fuse:
    """Counts the boundaries that are passed, and ends the process at one of them as a crash does."""

    def __init__(self, point: int) -> None:
        self.point = point
        self.passed = 0

    def burn(self) -> None:
        self.passed += 1
        if self.passed == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalModel:
    """A model; asking it is a boundary, its answer another."""

    def __init__(self, model: Model, fuse: Fuse) -> None:
        self._model, self._fuse = model, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        self._fuse.burn()
        reply = self._model.reply(request, on_text)
        self._fuse.burn()
        return reply


class MortalSandbox:
    """A sandbox; a boundary lies before each command, and one after it."""

    def __init__(self, sandbox: Sandbox, fuse: Fuse) -> None:
        self._sandbox, self._fuse = sandbox, fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sandbox, name)

    def run(self, command: Command) -> Result:
        self._fuse.burn()
        result = self._sandbox.run(command)
        self._fuse.burn()
        return result


def main(folder: Path, what: str) -> None:
    site = site_at(folder)
    view = observe(site)
    if what == "later":
        site = replace(site, clock=lambda: time.time() + 7200)
    host = wiring.host(site, view.settings, print)
    fuse = Fuse(0 if what == "later" else int(what))
    for _ in worker.run(_mortal(host, fuse)):
        pass
    print(f"boundaries: {fuse.passed}")


def _mortal(host: Host, fuse: Fuse) -> Host:
    def model(agent: Agent, stage: Any) -> Model:
        return MortalModel(host.model(agent, stage), fuse)

    return replace(host, model=model, sandbox=MortalSandbox(host.sandbox, fuse))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
