"""A hub with many tasks, cheaply made: nobody worked on them."""

from pathlib import Path

from service.histories import World

from runner.host import Site
from runner.lifecycle import Stage, stage_branch, work_branch


def crowded(folder: Path, number: int) -> Site:
    """A hub with so many tasks of each kind: not begun, worked on, done in part, done, with a part of their own."""
    world = World(folder)
    for at in range(number):
        for kind in ("new", "open", "half", "done", "split"):
            slug = f"{kind}-{at}"
            world.add(slug, stages=(Stage.DESIGN, Stage.BUILD))
            world.command(slug, "comment", text="Hello.")
            if kind != "new":
                _go_on(world, slug, kind)
    world.publish()
    world.close()
    return world.site(folder / "state")


def _go_on(world: World, slug: str, kind: str) -> None:
    design, build, work = stage_branch(slug, Stage.DESIGN, 1), stage_branch(slug, Stage.BUILD, 1), work_branch(slug)
    world.claim(slug, Stage.DESIGN, 1, "gemma")
    if kind == "split":
        world.propose_subtask(design, slug, f"{slug}-part")
    if kind != "open":
        world.step(design, slug, Stage.DESIGN, "ready", "It is written.")
        world.merge(design, work)
    if kind in ("half", "done"):
        world.claim(slug, Stage.BUILD, 1, "gemma")
    if kind == "done":
        world.step(build, slug, Stage.BUILD, "ready", "It is built.")
        world.merge(build, "main")
