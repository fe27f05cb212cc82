"""Which ref belongs to which task. Pure."""

from collections import defaultdict
from functools import lru_cache

from runner.lifecycle import SLUG, parse_stage_branch
from runner.progress import Refs

COMMANDS = "commands/tasks/"
TRAJECTORIES = "trajectories/"


@lru_cache(maxsize=1 << 16)
def owner(name: str) -> str | None:
    """The task to which a ref belongs: `heads/…` a branch, else a name below `refs/pullwright/`."""
    branch = name.removeprefix("heads/")
    if branch != name:
        stage = parse_stage_branch(branch)
        if stage is not None:
            return stage.task
        slug = branch.removeprefix("work/")
    elif name.startswith(TRAJECTORIES):
        slug = name.split("/")[1]
    else:
        slug = name.removeprefix(COMMANDS)
    return slug if slug not in (branch, name) and SLUG.fullmatch(slug) else None


def by_task(refs: Refs) -> dict[str, Refs]:
    """The refs, apart for each task."""
    branches: dict[str, dict[str, str]] = defaultdict(dict)
    ours: dict[str, dict[str, str]] = defaultdict(dict)
    for branch, oid in refs.branches.items():
        if slug := owner(f"heads/{branch}"):
            branches[slug][branch] = oid
    for name, oid in refs.ours.items():
        if slug := owner(name):
            ours[slug][name] = oid
    return {slug: refs._replace(branches=branches[slug], ours=ours[slug]) for slug in {*branches, *ours}}
