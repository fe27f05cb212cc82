"""What ended tasks leave behind goes, and nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from repositories import AUTO, add_task, at_home, bare_hub, git, project, settings
from scenes import Scene, copied

from runner import cleaning


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A hub and a clone of it in which a task was done to its end, to be copied."""
    top = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        clone = project(top / "clone", agents=settings(review=AUTO))
        add_task(clone)
        bare_hub(clone, top / "hub.git")
        add_task(clone, "other")
        git(clone, "push", "-q", "origin", "main")
        Scene(clone).run(task="greet")
    yield top


@pytest.fixture
def done(once: Path, person: Path, tmp_path: Path) -> Scene:
    """A clone of a hub in which `greet` is complete and `other` not begun."""
    return copied(once, tmp_path)


def later(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def names(scene: Scene, now: datetime, *, everything: bool = False) -> set[str]:
    return {item.name for item in cleaning.leftovers(scene.site, scene.look(), now, everything=everything)}


def on_hub(scene: Scene) -> set[str]:
    return set(git(Path(scene.site.hub.url), "for-each-ref", "--format=%(refname:short)", "refs/heads").split())


def test_branches_and_workspaces_of_a_complete_task_go_after_the_time_that_the_policy_keeps_them(
    done: Scene,
) -> None:
    assert done.state().current is None
    assert names(done, later(13)) == set()
    found = cleaning.leftovers(done.site, done.look(), later(15))
    assert {"work/greet", "agents/greet/build"} <= {item.name for item in found}
    assert list((done.site.state / "workspaces").glob("*/tasks/greet"))
    list(cleaning.remove(done.site, found))
    assert on_hub(done) == {"main"}
    assert not list((done.site.state / "workspaces").glob("*/tasks/greet"))
    assert done.state().current is None, "the record on main is what counts"
    assert done.run(task="greet") == []


def test_a_task_under_way_keeps_its_branches_even_where_its_task_branch_is_an_ancestor_of_base(
    repository: Path,
) -> None:
    scene = Scene(repository)
    scene.run()
    assert "work/greet" in git(repository, "branch", "--list", "work/*")
    assert names(scene, later(99), everything=True) == set()


def test_a_cancelled_task_may_go_and_its_next_attempt_still_has_a_number_of_its_own(hub: tuple[Path, Path]) -> None:
    scene = Scene(hub[1])
    scene.run(turns=1)
    scene.say("cancel")
    list(cleaning.remove(scene.site, cleaning.leftovers(scene.site, scene.look(), later(1), everything=True)))
    assert on_hub(scene) == {"main"}
    scene.say("retry")
    scene.run(turns=1)
    assert "agents/greet/design.2" in on_hub(scene)


def test_a_branch_that_moved_since_it_was_seen_stays(done: Scene) -> None:
    found = cleaning.leftovers(done.site, done.look(), later(15))
    done.push_onto("agents/greet/build", {"more.txt": "more\n"})
    lines = list(cleaning.remove(done.site, found))
    assert "agents/greet/build" in on_hub(done)
    assert any("kept, it has moved: agents/greet/build" in line for line in lines)


def test_other_branches_are_never_touched(done: Scene) -> None:
    git(done.folder, "push", "-q", "origin", "main:refs/heads/agents/own-thing", "main:refs/heads/work-greet")
    found = names(done, later(15))
    assert "work/greet" in found
    assert "agents/own-thing" not in found and "work-greet" not in found and "main" not in found
