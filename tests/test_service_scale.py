"""The index at size, and services that are killed at any moment: in the end it says what Git says, each thing once."""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repositories import at_home, clone
from service.crowds import crowd
from service.histories import World
from service.moves import MOVES, play
from service.running import until
from test_service_crashes import dump, told

from runner.host import site_at
from runner.observe import fetch_refs
from webhook import store
from webhook.index import Index

SERVED = Path(__file__).parent / "service" / "served.py"
HISTORIES = st.lists(st.sampled_from(sorted(MOVES)), min_size=10, max_size=60)
QUIET = list(HealthCheck)


def lives(folder: Path, seed: int, moves: list[str], tasks: int, updates: int) -> tuple[int, int]:
    """Bring an index through the lives of many tasks and a random history; returns how many rows it then compared."""
    world = World(folder, seed)
    with contextlib.closing(Index(folder / "index.sqlite", world.site(folder / "state"))) as index:
        for _ in crowd(world, tasks, updates):
            if world.chance.random() < 0.7:
                index.refresh(world.refs())
        index.refresh(world.refs())
        counts = [index.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("tasks", "told")]
        for move in moves:
            play(world, move)
            if world.chance.random() < 0.6:
                index.refresh(world.refs())
        assert index.verify(world.refs()) == []
        ids = told(index)
        assert len(ids) == len(set(ids))
    world.close()
    return counts[0], counts[1]


@given(st.integers(0, 10**9), HISTORIES)
@settings(max_examples=3, deadline=None, suppress_health_check=QUIET)
def test_after_the_lives_of_many_tasks_a_live_index_equals_a_rebuilt_one(
    tmp_path_factory: pytest.TempPathFactory, seed: int, moves: list[str]
) -> None:
    lives(tmp_path_factory.mktemp("lives"), seed, moves, tasks=30, updates=150)


@pytest.mark.soak
@given(st.integers(0, 10**9), HISTORIES)
@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[p for p in settings().phases if p.name == "generate"],
)
def test_two_thousand_tasks_with_ten_thousand_updates_are_the_same_live_and_rebuilt(
    tmp_path_factory: pytest.TempPathFactory, seed: int, moves: list[str]
) -> None:
    began = time.monotonic()
    tasks, updates = lives(tmp_path_factory.mktemp("lives"), seed, moves, tasks=2000, updates=10_000)
    print(f"\n{tasks} tasks, {updates} updates, then {len(moves)} moves: {time.monotonic() - began:.0f} s")
    assert (tasks, updates >= 9_800) == (2000, True)


class Town:
    """A world, a clone beside it, and services that run there as processes of their own."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.world = World(folder, seed)
        self.world.publish()
        self.clone = clone(self.world.hub.git_dir, folder / "clone")
        self.running: list[subprocess.Popen[str]] = []
        self.places: dict[int, str] = {}

    def start(self) -> None:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        words = [sys.executable, str(SERVED), str(self.clone)]
        self.running.append(subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True))

    def kill(self, number: int = 0) -> None:
        process = self.running.pop(number)
        process.kill()
        process.wait(60)
        if process.stdout:
            process.stdout.close()

    def address(self, number: int) -> str:
        """Where a service listens; waits until it does."""
        process = self.running[number]
        if process.pid not in self.places:
            assert process.stdout
            self.places[process.pid] = process.stdout.readline().strip()
        return self.places[process.pid]

    def move(self) -> None:
        for _ in range(3):
            play(self.world, self.world.chance.choice(["journey", "say", *sorted(set(MOVES) - {"bad agents"})]))
        self.world.publish()

    def end(self) -> None:
        """All services have ended; the index was brought up by one more, and is held against Git."""
        self.start()
        address = self.address(0)
        until(lambda: _well(address), "not ready", 60)
        path = site_at(self.clone).state / "index.sqlite"
        wanted = self.world.heads["main"]
        conn = store.connect(path, readonly=True)
        until(lambda: store.refs(conn).get("base") == wanted, "not up with the hub", 60)
        conn.close()
        self.kill()
        self.world.close()


def _well(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{address}/readyz").status_code == 200
    return False


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    at_home(tmp_path, monkeypatch)
    made = Town(tmp_path, 5)
    yield made
    for process in made.running:
        process.kill()
        process.wait(60)


def hold_against_git(town: Town) -> None:
    """Row for row what an index from nothing says, and each update told once."""
    site = site_at(town.clone)
    refs = fetch_refs(site)
    index = Index(site.state / "index.sqlite", site)
    whole = Index(site.state / "whole.sqlite", site)
    try:
        assert index.verify(refs) == []
        whole.refresh(refs)
        assert dump(index) == dump(whole)
        ids = told(index)
        assert len(ids) == len(set(ids))
        assert index.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    finally:
        index.close()
        whole.close()


def killed_at_random(town: Town, services: int, rounds: int) -> None:
    """While the hub moves on, services on one index file are killed and others take their place."""
    chance = random.Random(rounds)
    for _ in range(services):
        town.start()
    for _ in range(rounds):
        victim = chance.randrange(services)
        town.address(victim)
        end = time.monotonic() + chance.random()
        while time.monotonic() < end:
            town.move()
        town.kill(victim)
        town.start()
    while town.running:
        town.kill()
    town.end()
    hold_against_git(town)


def test_services_that_are_killed_while_the_hub_moves_leave_an_index_that_is_right(town: Town) -> None:
    killed_at_random(town, services=2, rounds=3)


@pytest.mark.soak
@pytest.mark.parametrize("services", [1, 2])
def test_a_hundred_times_killed_an_index_is_right(town: Town, services: int) -> None:
    killed_at_random(town, services, rounds=100)
