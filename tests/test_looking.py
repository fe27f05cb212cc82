"""Looking at all tasks costs as many processes as looking at a few, and shows what looking afresh shows."""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_tasks import crowded
from repositories import add_task, project, pullwright
from repositories import settings as agents_yaml
from service.histories import World
from service.moves import MOVES, play

from runner import git
from runner.errors import UserError
from runner.host import Site, site_at
from runner.lifecycle import Stage
from runner.observe import Looks, View, fetch_refs, look, observe
from runner.progress import Afresh
from runner.sight import Sight
from runner.sight.lineage import Lineage

_started: list[str] = []
_counting = False


def _hear(event: str, args: tuple[object, ...]) -> None:
    if _counting and event == "subprocess.Popen":
        _started.append(str(args[1]))


sys.addaudithook(_hear)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The processes that this process starts meanwhile."""
    global _counting
    _started.clear()
    _counting = True
    try:
        yield _started
    finally:
        _counting = False


def afresh(site: Site) -> View | str:
    """The same with eyes that ask Git each time; a complaint where there is one."""
    try:
        return look(site, fetch_refs(site), Afresh(site))
    except UserError as error:
        return error.what


def remembering(looks: Looks) -> View | str:
    """What those show who remember what they saw before."""
    try:
        return looks()
    except UserError as error:
        return error.what


@given(st.integers(0, 10**9), st.lists(st.sampled_from(sorted(MOVES)), min_size=4, max_size=24))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_history_it_shows_what_looking_afresh_shows(
    tmp_path_factory: pytest.TempPathFactory, seed: int, moves: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("world")
    world = World(folder, seed)
    site = replace(world.site(folder / "state"), clock=lambda: 0.0)
    with closing(world), closing(Looks(site)) as long, closing(Looks(site)) as once:
        for number, move in enumerate(moves):
            play(world, move)
            if number % 5 == 4:
                world.publish()
                remembering(long)
        world.publish()
        assert remembering(long) == remembering(once) == afresh(site)


def test_a_process_that_ended_between_two_looks_is_started_again(tmp_path: Path) -> None:
    site = crowded(tmp_path, 1)
    with closing(Looks(site)) as looks:
        before = looks()
        for process in looks.pipes.processes():
            process.kill()
            process.wait()
        looks.sight = Sight(looks.pipes)
        assert looks() == before


def test_a_proposal_is_seen_with_what_it_would_change(tmp_path: Path, person: Path) -> None:
    review = {"design": "auto", "build": "human"}
    folder = project(tmp_path / "r", agents=agents_yaml(review=review))
    add_task(folder)
    assert pullwright(folder, "run").status == 0
    site = site_at(folder)
    opened = observe(site).state("greet").open
    assert opened is not None and opened.ref.stage is Stage.BUILD and opened.change is not None
    assert "greeting.txt" in opened.change.paths and opened.change.as_gated and opened.change.base_inside
    assert observe(site) == afresh(site)


def test_fifty_tasks_cost_no_more_processes_than_five(tmp_path: Path) -> None:
    processes = []
    for number in (1, 10):
        site = crowded(tmp_path / str(number), number)
        observe(site)
        with counted() as started:
            view = observe(site)
        assert len(view.states) == 6 * number
        processes.append(list(started))
    few, many = processes
    assert len(few) == len(many) < 12, many


def test_lineage_tells_what_git_tells(tmp_path: Path) -> None:
    site = crowded(tmp_path, 2)
    refs = fetch_refs(site)
    heads = sorted(set(refs.branches.values()))
    lineage = Lineage(site.repo, refs.base, heads)
    parents = [oid for head in heads for oid in git.log(site.repo, head, "%H")]
    told = {(new, old): lineage.holds(new, old) for new, old in product(heads, {*heads, *parents})}
    known = {pair: found for pair, found in told.items() if found is not None}
    assert len(known) > len(told) / 3
    sample = sorted(known)[:: max(1, len(known) // 150)]
    for new, old in {*sample, *(pair for pair in known if refs.base in pair)}:
        assert known[new, old] == git.is_ancestor(site.repo, old, new)
