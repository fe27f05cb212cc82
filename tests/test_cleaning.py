"""What ended tasks leave behind goes, and nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from repositories import add_task, git
from scenes import Scene

from runner import cleaning


def later(days: int) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def names(scene: Scene, now: datetime, *, everything: bool = False) -> set[str]:
    return {item.name for item in cleaning.leftovers(scene.site, scene.look(), now, everything=everything)}


def on_hub(scene: Scene) -> set[str]:
    return set(git(Path(scene.site.hub.url), "for-each-ref", "--format=%(refname:short)", "refs/heads").split())


def test_branches_and_workspaces_of_a_complete_task_go_after_the_time_that_the_policy_keeps_them(
    hub: tuple[Path, Path],
) -> None:
    scene = Scene(hub[1])
    scene.run()
    assert scene.state().current is None
    assert names(scene, later(13)) == set()
    found = cleaning.leftovers(scene.site, scene.look(), later(15))
    assert {"work/greet", "agents/greet/build"} <= {item.name for item in found}
    list(cleaning.remove(scene.site, found))
    assert on_hub(scene) == {"main"}
    assert not list((scene.site.state / "workspaces").glob("*/tasks/greet"))
    assert scene.state().current is None, "the record on main is what counts"
    assert scene.run() == []


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


def test_a_branch_that_moved_since_it_was_seen_stays(hub: tuple[Path, Path]) -> None:
    scene = Scene(hub[1])
    scene.run()
    found = cleaning.leftovers(scene.site, scene.look(), later(15))
    scene.push_onto("agents/greet/build", {"more.txt": "more\n"})
    lines = list(cleaning.remove(scene.site, found))
    assert "agents/greet/build" in on_hub(scene)
    assert any("kept, it has moved: agents/greet/build" in line for line in lines)


def test_other_branches_are_never_touched(hub: tuple[Path, Path]) -> None:
    scene = Scene(hub[1])
    add_task(scene.folder, "other")
    git(scene.folder, "push", "-q", "origin", "main", "main:refs/heads/agents/own-thing", "main:refs/heads/work-greet")
    scene.run(task="greet")
    found = names(scene, later(15))
    assert "agents/own-thing" not in found and "work-greet" not in found and "main" not in found
