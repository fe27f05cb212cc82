"""Which tasks get a runner: what had nothing to do is passed over, and found again whatever it was that changed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from repositories import AUTO, commit, settings
from scenes import Scene
from service.histories import REPOSITORY, START, World

from runner.agents import Agent, Settings
from runner.lifecycle import Stage
from runner.observe import fetch_refs
from runner.parsing.yamldoc import dump
from webhook.index import Index
from webhook.jobs import Work


class Desk:
    """A world with one agent, an index beside it, and what is found to be done."""

    def __init__(self, folder: Path) -> None:
        self.now = float(START)
        self.world, self.work = World(folder), Work()
        site = replace(self.world.site(folder / "state"), clock=lambda: self.now)
        self.index = Index(folder / "index.sqlite", site)
        self.world.on_main({"agents.yaml": dump(Settings(1, REPOSITORY, (Agent("gemma", "gemma:1"),)))})
        self.jobs()

    def jobs(self) -> list[str]:
        """What is to be done; found twice, since what was found once must not be lost."""
        refs = self.world.refs()
        self.index.refresh(refs)
        twice = [self.work.jobs(self.index, refs, set(), lambda job: True) for _ in range(2)]
        assert twice[0] == twice[1]
        return [f"{job.task} {job.stage}" for job in twice[0]]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.index.close()
    made.world.close()


def test_a_task_that_is_at_work_elsewhere_is_found_again_when_its_lease_has_expired(desk: Desk) -> None:
    desk.world.add("ape")
    desk.world.claim("ape", Stage.DESIGN, 1, "gemma")
    desk.index.site.__dict__["id"] = "another/2"
    assert desk.jobs() == []
    desk.now += 29 * 60
    assert desk.jobs() == []
    desk.now += 2 * 60
    assert desk.jobs() == ["ape design"]


def test_a_task_that_waits_for_an_agent_is_found_again_when_it_is_free(desk: Desk) -> None:
    desk.world.add("ape", priority=9)
    desk.world.add("bat")
    desk.world.claim("ape", Stage.DESIGN, 1, "gemma")
    desk.index.site.__dict__["id"] = "another/2"
    assert desk.jobs() == []
    desk.world.delete("agents/ape/design")
    desk.world.command("ape", "pause")
    assert desk.jobs() == ["bat design"]
    desk.world.send("gemma", "offline")
    assert desk.jobs() == []
    desk.world.send("gemma", "available")
    assert desk.jobs() == ["bat design"]


def test_other_settings_make_other_work(desk: Desk) -> None:
    desk.world.add("ape", complexity=9)
    few = Agent("gemma", "gemma:1", max_complexity=4)
    desk.world.on_main({"agents.yaml": dump(Settings(1, REPOSITORY, (few,)))})
    assert desk.jobs() == []
    desk.world.on_main({"agents.yaml": dump(Settings(1, REPOSITORY, (few, Agent("sonnet", "s"))))})
    assert desk.jobs() == ["ape design"]


def test_a_task_that_is_at_work_elsewhere_is_found_again_when_a_person_has_spoken(desk: Desk) -> None:
    desk.world.add("ape")
    desk.world.claim("ape", Stage.DESIGN, 1, "gemma")
    desk.index.site.__dict__["id"] = "another/2"
    assert desk.jobs() == []
    desk.world.delete("agents/ape/design")
    assert desk.jobs() == ["ape design"]


def test_a_proposal_that_waits_is_work_once_somebody_comments_or_the_policy_lets_it_through(
    repository: Path, tmp_path: Path
) -> None:
    scene, work = Scene(repository), Work()
    scene.run()
    index = Index(tmp_path / "index.sqlite", scene.site)

    def jobs() -> list[str]:
        refs = fetch_refs(scene.site)
        index.refresh(refs)
        return [f"{job.task} {job.stage}" for job in work.jobs(index, refs, set(), lambda job: True)]

    assert (jobs(), jobs()) == ([], [])
    commit(repository, "Let it through", {"agents.yaml": settings(review=AUTO)})
    assert jobs() == ["greet design"]
    commit(repository, "Do not", {"agents.yaml": settings()})
    assert (jobs(), jobs()) == ([], [])
    scene.say("comment", text="Not so.")
    assert jobs() == ["greet design"]
    index.close()
