"""What an agent plants is harmless to those who collect its work, and harmful to a careless collector."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.planting import PLANTS, Plant, Site
from runner import workspace
from runner.sandbox import Mount
from runner.sandbox.bubblewrap import Bubblewrap

EACH = pytest.mark.parametrize("plant", PLANTS, ids=[f"{plant.number:02}-{plant.name}" for plant in PLANTS])


@pytest.fixture(scope="module")
def sandbox() -> Bubblewrap:
    return Bubblewrap()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    workspace.discard(found.space)  # what an attack leaves behind is more than pytest can remove


@EACH
def test_it_is_collected_without_harm(plant: Plant, sandbox: Bubblewrap, site: Site) -> None:
    result = site.agent(sandbox, plant.line)
    assert result.ok, result.text
    text = site.collected()
    assert not plant.worked(site, text), text
    workspace.discard(site.space)
    assert not site.space.root.exists() and not site.space.scratch.exists()
    assert not site.marker.exists()


@EACH
def test_it_harms_a_careless_collector(plant: Plant, sandbox: Bubblewrap, site: Site) -> None:
    assert site.agent(sandbox, plant.line).ok
    text = plant.control(site)
    assert plant.worked(site, text), text


# 24: the place of the git dir
REDIRECT = "rm -rf .git; mv .git x; echo 'gitdir: /workspace/src/evil' > .git; test -f .git && echo replaced"


def test_the_place_of_the_git_dir_cannot_be_taken(sandbox: Bubblewrap, site: Site) -> None:
    assert "replaced" not in site.agent(sandbox, REDIRECT).text
    assert (site.space.src / ".git").is_dir()


def test_the_place_of_the_git_dir_is_taken_where_nothing_is_mounted_on_it(sandbox: Bubblewrap, site: Site) -> None:
    assert "replaced" in site.agent(sandbox, REDIRECT, (Mount(site.space.src, "/workspace/src", True),)).text
