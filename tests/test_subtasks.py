"""A design may propose tasks: they live on the parent's branch until the whole goes into main."""

from pathlib import Path

import pytest
from repositories import AUTO, Story, add_task, bare_hub, first_parents, git, project, settings, story
from scenes import Scene

PARTS = {
    "tasks/greet-one.yaml": "title: One\nparent: greet\nstages: [build]\ncomplexity: 1\n",
    "tasks/greet-two.yaml": "title: Two\nparent: greet\nstages: [build]\ncomplexity: 1\ndepends_on: [greet-one]\n",
}


def with_parts(parts: dict[str, str]) -> Story:
    told = story()
    told["design"] = [("write", {"path": path, "content": text}) for path, text in parts.items()] + told["design"]
    return told


def scene_with(tmp_path: Path, parts: dict[str, str]) -> Scene:
    clone = project(tmp_path / "clone", agents=settings(review=AUTO), replies=with_parts(parts))
    add_task(clone)
    bare_hub(clone, tmp_path / "hub.git")
    return Scene(clone)


@pytest.fixture
def scene(tmp_path: Path, person: Path) -> Scene:
    return scene_with(tmp_path, PARTS)


def test_a_proposal_that_adds_tasks_waits_for_a_person_even_where_the_policy_is_auto(scene: Scene) -> None:
    scene.run()
    assert scene.hold() == "it adds tasks, which a person accepts"
    assert [state.task.id for state in scene.look().states] == ["greet"]


def test_subtasks_go_into_the_parents_branch_in_order_and_the_parent_goes_on_after_them(scene: Scene) -> None:
    scene.run()
    scene.approve()
    taken = scene.run()
    order = [line for line in taken if "Merge" in line]
    assert order == [
        "greet-one build Merge",
        "greet-two build Merge",
        "greet build Merge",
        "greet test Merge",
        "greet review Merge",
        "greet complete Merge",
    ]
    assert len([line for line in first_parents(Path(scene.site.hub.url)) if line.startswith("Merge")]) == 1
    done = {state.task.id: state.status for state in scene.look().states}
    assert done == {"greet": "complete", "greet-one": "complete", "greet-two": "complete"}


def test_the_parent_says_for_which_subtasks_it_waits(scene: Scene) -> None:
    scene.run()
    scene.approve()
    assert scene.hold() == "waits for greet-one, greet-two"
    assert scene.hold("greet-two") == "waits for greet-one"
    assert scene.state("greet-one").base_name == "work/greet"


def test_a_subtask_whose_id_comes_to_exist_elsewhere_holds(scene: Scene) -> None:
    scene.run()
    scene.approve()
    (scene.folder / "tasks" / "elsewhere").mkdir()
    add_task(scene.folder, "elsewhere/greet-one")
    git(scene.folder, "push", "-q", "origin", "main")
    assert any((state.trouble or "").startswith("duplicate id") for state in scene.look().states)


def test_a_task_that_is_no_subtask_cannot_come_with_a_design(tmp_path: Path, person: Path) -> None:
    scene = scene_with(tmp_path, {"tasks/stray.yaml": "title: Stray\n"})
    scene.run()
    assert any("tasks/stray.yaml is no subtask" in line for line in scene.said)
    assert "stray" not in {state.task.id for state in scene.look().states}
