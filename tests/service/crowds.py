"""A world with many tasks: each somewhere on its way, most of them at its end, with what was done and said."""

from collections.abc import Iterator

import msgspec
import yaml

from runner.lifecycle import Stage, stage_branch, work_branch
from runner.parsing.yamldoc import dump
from runner.task import TaskFile
from service.histories import World

WAYS: tuple[tuple[Stage, ...], ...] = (
    (Stage.BUILD,),
    (Stage.DESIGN, Stage.BUILD),
    (Stage.BUILD, Stage.TEST),
)
ROUND = 50  # tasks that come to main in one commit


def crowd(world: World, tasks: int, updates: int) -> Iterator[int]:
    """Fill a world with so many tasks that have so many updates together; yields after each round."""
    each = updates // tasks
    for first in range(0, tasks, ROUND):
        slugs = [f"task-{number}" for number in range(first, min(first + ROUND, tasks))]
        world.on_main({f"tasks/{slug[-2:]}/{slug}.yaml": _file(world, slug) for slug in slugs})
        for slug in slugs:
            _live(world, slug, each)
        yield first + len(slugs)


def _file(world: World, slug: str) -> bytes:
    number = int(slug.rpartition("-")[2])
    depends = (f"task-{world.chance.randrange(number)}",) if number and world.chance.random() < 0.2 else ()
    stages = world.chance.choice(WAYS)
    return dump(
        TaskFile(title=f"Do {slug}", description="As said", stages=stages, depends_on=depends, priority=number % 10)
    )


def _live(world: World, slug: str, updates: int) -> None:
    """A task's life, which for one in twenty stops in the middle of a stage."""
    text = world.files["main"][f"tasks/{slug[-2:]}/{slug}.yaml"]
    stages = msgspec.convert(yaml.safe_load(text), TaskFile, strict=False).stages
    left = max(2 * len(stages), updates)
    for place, stage in enumerate(stages):
        branch = stage_branch(slug, stage, 1)
        world.claim(slug, stage, 1, world.chance.choice(world.agents))
        more = max(1, (left - 1) // (len(stages) - place))
        for number in range(more - 1):
            world.step(branch, slug, stage, "working", f"step {number}")
        if world.chance.random() < 0.05:
            world.step(branch, slug, stage, world.chance.choice(["held", "working", "ready"]), "here it stands")
            return
        world.step(branch, slug, stage, "ready", "it is ready")
        left -= more + 1
        last = stage == stages[-1]
        world.merge(branch, "main" if last else work_branch(slug), "merge" if world.chance.random() < 0.5 else "squash")
        world.delete(branch)
    world.delete(work_branch(slug))
