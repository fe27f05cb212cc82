"""The index equals Git: whatever happened, in whatever order it was seen, however often a process died."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from repositories import typed
from service.histories import REPOSITORY, START, World
from service.moves import MOVES, play

from runner.agents import Agent, Settings
from runner.lifecycle import Stage
from runner.observe import observe
from runner.parsing.yamldoc import dump
from webhook.index import Index, standing
from webhook.queries import Page, Reader


def rows(index: Index, query: str) -> list[tuple[object, ...]]:
    return index.conn.execute(query).fetchall()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@given(st.integers(0, 10**9), st.lists(st.sampled_from(sorted(MOVES)), min_size=4, max_size=24))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_live_index_equals_a_rebuilt_one_after_any_history(
    tmp_path_factory: pytest.TempPathFactory, seed: int, moves: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("world")
    world = World(folder, seed)
    index = Index(folder / "index.sqlite", world.site(folder / "state"))
    try:
        index.refresh(world.refs())
        for move in moves:
            play(world, move)
            if world.chance.random() < 0.6:  # what happens between two looks is seen at once
                index.refresh(world.refs())
        assert index.verify(world.refs()) == []
        told = rows(index, "SELECT data ->> 'id' FROM events WHERE kind = 'update'")
        assert len(told) == len(set(told))
        assert set(rows(index, "SELECT id FROM task_updates")) <= set(told)
        same_as_observed(world, index)
    finally:
        index.close()
        world.close()


def same_as_observed(world: World, index: Index) -> None:
    """The runner's own look at everything says the same of every task."""
    world.publish()
    try:
        view = observe(index.site)
    except Exception as error:  # an unreadable agents.yaml or record stops the runner; the index goes on
        assert "agents.yaml" in str(error) or "record.yaml" in str(error), error
        return
    seen = {state.task.id: (state.status, state.progress) for state in reversed(view.states)}
    have = {row[0]: row[1:] for row in rows(index, "SELECT slug, status, stage_progress FROM tasks")}
    assert have == seen
    tasks = {state.task.path for state in view.states}
    problems = {problem.path for problem in view.backlog.problems} - tasks  # a task that waits for ever is a task too
    assert {path for (path,) in rows(index, "SELECT path FROM problems")} == problems


def test_the_foreign_keys_of_an_index_hold(world: World, tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", world.site(tmp_path / "state"))
    for move in sorted(MOVES) * 3:
        play(world, move)
    world.add("zebra")
    index.refresh(world.refs())
    assert rows(index, "PRAGMA foreign_key_check") == []
    assert rows(index, "SELECT count(*) FROM tasks") != [(0,)]
    index.close()


def test_an_agent_whose_lease_has_expired_is_busy_no_more(world: World, tmp_path: Path) -> None:
    now = [float(START)]
    site = replace(world.site(tmp_path / "state"), clock=lambda: now[0])
    index = Index(tmp_path / "index.sqlite", site)
    world.add("ape", stages=(Stage.BUILD,))
    world.on_main({"agents.yaml": dump(Settings(1, REPOSITORY, (Agent("gemma", "gemma:1"),)))})
    index.refresh(world.refs())
    world.claim("ape", Stage.BUILD, 1, "gemma")
    status, busy = "SELECT status FROM agents WHERE name = 'gemma'", ("busy",)
    index.refresh(world.refs())
    assert (rows(index, status), standing.busy(index, world.refs())) == ([busy], {"gemma": 1})
    for minutes, expected in ((29, busy), (2, ("available",))):
        now[0] += 60 * minutes
        index.refresh(world.refs())
        assert rows(index, status) == [expected]
        assert index.verify(world.refs()) == []
    assert standing.busy(index, world.refs()) == {}
    index.close()


def test_a_look_that_finds_nothing_new_writes_nothing(world: World, tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", world.site(tmp_path / "state"))
    world.add("ape")
    index.refresh(world.refs())
    reader = Reader(tmp_path / "index.sqlite")
    before = reader.version()
    index.refresh(world.refs())
    index.refresh(world.refs())
    assert reader.version() == before
    reader.close()
    index.close()


def test_a_task_that_waits_for_what_is_none_says_so_until_it_is_there(world: World, tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", world.site(tmp_path / "state"))
    world.add("ape", depends_on=("ghost",))
    query = "SELECT hold, remedy FROM tasks WHERE slug = 'ape'"
    ways = ("there is no task ghost: add it, or leave it out of what comes first", "it goes on by itself when those")
    index.refresh(world.refs())
    for way in (*ways, ways[0]):
        ((hold, remedy),) = rows(index, query)
        assert hold == "waits for ghost" and str(remedy).startswith(way)
        assert index.verify(world.refs()) == []
        (world.remove if "ghost" in world.tasks() else world.add)("ghost")
        index.refresh(world.refs())
    index.close()


def test_what_is_searched_is_what_stands_in_the_rows(world: World, tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite", world.site(tmp_path / "state"))
    reader = Reader(tmp_path / "index.sqlite")

    def found(word: str) -> int:
        for table in ("tasks_fts", "task_updates_fts"):  # https://sqlite.org/fts5.html#the_integrity_check_command
            index.conn.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
        return reader.tasks(Page(), status=None, agent=None, priority=None, q=word).count(b'"slug":')

    world.add("ape")
    world.claim("ape", Stage.DESIGN, 1, "gemma")
    world.add("zebra")
    index.refresh(world.refs())
    assert (found("zebra"), found("gnu")) == (1, 0)
    world.add("gnu")
    world.edit("zebra", b"title: Do the zebra and the gnu\n")
    index.refresh(world.refs())
    assert (found("zebra"), found("gnu")) == (1, 2)
    world.remove("gnu")
    index.refresh(world.refs())
    assert (found("zebra"), found("gnu")) == (1, 1)
    reader.close()
    index.close()


def test_an_index_that_nothing_has_changed_for_knows_as_much_when_it_is_opened_again(
    world: World, tmp_path: Path
) -> None:
    path, site = tmp_path / "index.sqlite", world.site(tmp_path / "state")
    world.add("ape")
    world.add("bat")
    world.add("dog")
    world.edit("dog", b"title: [")  # there, and no task
    index = Index(path, site)
    index.refresh(world.refs())
    index.close()
    for move in ("", "look", "names", "claim", "command", "add"):
        index = Index(path, site)
        index.refresh(world.refs())  # nothing is read from base for that
        if move == "look":
            state = index.look(world.refs(), "ape")
            assert state is not None and state.task.request.title == "Do ape"
        elif move == "names":
            assert [index.names(world.refs(), name) for name in ("ape", "cow", "dog")] == [True, False, True]
        elif move == "claim":
            world.claim("ape", Stage.DESIGN, 1, "gemma")
        elif move == "command":
            world.command("bat", "pause")
        elif move == "add":
            world.add("cow", depends_on=("ape",))
        assert index.verify(world.refs()) == [], move
        index.close()


@pytest.mark.parametrize(
    "junk", [b"not a database at all, but long enough to look like one" * 99, b"SQLite format 3\0" * 999]
)
def test_an_index_that_is_damaged_is_said_to_be_and_made_anew(repository: Path, junk: bytes) -> None:
    assert typed(repository, "index", "rebuild").status == 0
    path = repository / ".git" / "pullwright" / "index.sqlite"
    path.write_bytes(junk)
    found = typed(repository, "index", "verify")
    assert (found.status, "is damaged" in found.err, "pullwright index rebuild" in found.err) == (1, True, True)
    assert typed(repository, "index", "rebuild").status == 0
    assert typed(repository, "index", "verify").status == 0
