"""An index survives its processes: killed at any statement, two at once, and clients that come back later."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from service.histories import World
from service.moves import MOVES, play

from runner.progress import Refs
from webhook import feed
from webhook.index import Index
from webhook.queries import Reader

KILLED = Path(__file__).parent / "service" / "killed.py"


def moments(world: World, number: int) -> list[Refs]:
    """A history, look by look."""
    names = sorted(set(MOVES) - {"rewrite"})
    found = [world.refs()]
    for _ in range(number):
        play(world, world.chance.choice(["journey", "journey again", "say", *names]))
        found.append(world.refs())
    return found


def told(index: Index) -> list[str]:
    return [row[0] for row in index.conn.execute("SELECT data ->> 'id' FROM events WHERE kind = 'update' ORDER BY seq")]


def dump(index: Index, tables: tuple[str, ...] = ("tasks", "task_updates", "stages", "agents", "refs")) -> list[object]:
    return [sorted(index.conn.execute(f"SELECT * FROM {table}").fetchall(), key=repr) for table in tables]


def test_killed_at_any_write_an_index_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    assert killed_at(tmp_path, (2, 30, 60, 90, 140, 200, 333, 500, 700, 1000)) >= 5


@pytest.mark.soak
def test_killed_at_each_statement_of_a_history_an_index_goes_on(tmp_path: Path) -> None:
    killed = killed_at(tmp_path, range(1, 1500, 5))
    print(f"\nkilled at {killed} statements")
    assert killed >= 100


def killed_at(tmp_path: Path, statements: Iterable[int]) -> int:
    """Kill a process at its nth statement, have another go on, hold it against one that was let be; how many died."""
    world = World(tmp_path, 7)
    site = world.site(tmp_path / "state")
    history = moments(world, 20)
    world.publish()
    path = tmp_path / "moments.json"
    path.write_text(json.dumps([{"base": r.base, "branches": dict(r.branches), "ours": dict(r.ours)} for r in history]))
    whole = Index(tmp_path / "whole.sqlite", site)
    for moment in history:
        whole.refresh(moment)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = 0
    for number in statements:
        file = tmp_path / f"killed-{number}.sqlite"
        words = [file, site.state, world.hub.git_dir, path, number]
        done = subprocess.run([sys.executable, str(KILLED), *map(str, words)], env=env, timeout=60)
        assert done.returncode in (0, -9)
        killed += done.returncode == -9
        index = Index(file, site)
        index.refresh(history[-1])
        assert index.verify(history[-1]) == []
        assert dump(index) == dump(whole)
        assert sorted(told(index)) == sorted(set(told(index)))
        index.close()
    whole.close()
    world.close()
    return killed


def test_two_services_on_one_index_write_each_thing_once(tmp_path: Path) -> None:
    world = World(tmp_path, 11)
    site = world.site(tmp_path / "state")
    first = world.refs()
    indexes = [Index(tmp_path / "index.sqlite", site) for _ in range(2)]
    indexes[0].refresh(first)
    history = moments(world, 30)
    lock, faults = threading.Lock(), []

    def bring(index: Index, seen: list[Refs]) -> None:
        try:
            for moment in seen:
                with lock:  # the mirror that both fetch into is where it is
                    publish_into(site.repo.git_dir, moment)
                index.refresh(moment)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=bring, args=(index, history[at::2])) for at, index in enumerate(indexes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    publish_into(site.repo.git_dir, history[-1])
    indexes[1].refresh(history[-1])
    assert indexes[0].verify(history[-1]) == []
    assert sorted(told(indexes[0])) == sorted(set(told(indexes[0])))
    for index in indexes:
        index.close()
    world.close()


def publish_into(git_dir: Path, refs: Refs) -> None:
    """Have the mirror's remote-tracking refs where a fetch would have them."""
    from runner import git

    repo = git.Repo(git_dir)
    want = {f"refs/remotes/hub/heads/{name}": oid for name, oid in refs.branches.items()}
    want |= {f"refs/remotes/hub/pullwright/{name}": oid for name, oid in refs.ours.items()}
    there = git.refs(repo, "refs/remotes/hub/")
    lines = [f"delete {name}\n" for name in there if name not in want]
    git.git(repo, "update-ref", "--stdin", stdin="".join(lines).encode())
    lines = [f"update {name} {oid}\n" for name, oid in want.items()]
    git.git(repo, "update-ref", "--stdin", stdin="".join(lines).encode())


@pytest.mark.parametrize(
    ("last", "place"),
    [
        (None, feed.Place(9, False)),
        ("line-5", feed.Place(5, False)),
        ("line-9", feed.Place(9, False)),
        ("line-2", feed.Place(2, False)),
        ("line-1", feed.Place(9, True)),  # what came next is no longer kept
        ("line-10", feed.Place(9, True)),
        ("other-5", feed.Place(9, True)),
        ("line-x", feed.Place(9, True)),
        ("", feed.Place(9, False)),
    ],
)
def test_a_client_goes_on_where_it_was_or_is_told_that_it_cannot(last: str | None, place: feed.Place) -> None:
    assert feed.place(last, ("line", 3, 9)) == place


def test_an_index_that_is_read_tells_when_it_was_written(tmp_path: Path) -> None:
    world = World(tmp_path, 1)
    index = Index(tmp_path / "index.sqlite", world.site(tmp_path / "state"))
    index.refresh(world.refs())
    reader = Reader(tmp_path / "index.sqlite")
    before = reader.version()
    index.refresh(world.refs())
    assert reader.names() is not None
    world.add("ape")
    index.refresh(world.refs())
    assert reader.version() != before
    reader.close()
    index.close()
    world.close()
