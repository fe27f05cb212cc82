"""`pullwright clean`: what ended tasks left behind."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from runner import cleaning
from runner.cleaning import Leftover
from runner.host import Site, lock, site_at
from runner.observe import observe


def clean_here(folder: Path, *, everything: bool, dry_run: bool) -> Iterator[str]:
    """Remove the leftovers of ended tasks, or (`dry_run`) only name them; yields a line for each. Raises `UserError`.

    With `everything` also of those that ended less long ago than the policy keeps them.
    """
    site = site_at(folder)
    found = cleaning.leftovers(site, observe(site), datetime.now(UTC), everything=everything)
    if not found:
        yield "nothing to remove" + ("" if everything else "; --all takes what policy.keep still keeps")
        return
    if dry_run:
        yield from (f"{item.task}  would remove {item.name}" for item in found)
        return
    for task, items in groupby(sorted(found), key=lambda item: item.task):
        yield from _clean(site, task, tuple(items))
    yield f"{cleaning.free(site) / (1 << 30):.1f} GiB are free now"


def _clean(site: Site, task: str, items: tuple[Leftover, ...]) -> Iterator[str]:
    """A run of this host may still be at a task that was cancelled a moment ago: that one stays."""
    with lock(site.state, f"task-{task}", wait=False) as ours:
        if ours:
            yield from cleaning.remove(site, items)
        else:
            yield f"{task}  kept: another process on this host is at it"
