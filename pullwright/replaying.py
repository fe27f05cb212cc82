"""`pullwright replay`: what a model said, and what came of it."""

import re
from pathlib import Path

import click

from runner import git
from runner.claims.lease import TRAJECTORY
from runner.errors import UserError
from runner.host import Site, site_at
from runner.lifecycle import SLUG, STAGES
from runner.loop.replay import chat, reread
from runner.loop.trajectory import Entry, entries
from runner.observe import OURS, fetch_refs
from runner.tools.text import plain

RUN = re.compile(rf"({SLUG.pattern})(?:/({'|'.join(STAGES)})(\.[0-9]+)?)?")
NAMES = "name a run (ID, ID/STAGE or ID/STAGE.ATTEMPT), the file of a trajectory, or - for standard input"


def replay_here(folder: Path, what: str, again: bool, everything: bool) -> None:
    """Print a trajectory as a chat; `again`: only what today's reading of the replies makes different.

    `what` is a file, `-`, or a run of a task of the repository around `folder`. Raises `UserError`.
    """
    found = _entries(_read(folder, what), what)
    if not again:
        for paragraph in chat(found, everything):
            click.echo(paragraph)
        return
    changes = list(reread(found))
    for change in changes:
        click.echo(f"turn {change.turn}: {plain(change.then)}\n     now: {plain(change.now)}")
    click.echo(f"{len(changes)} turns are read otherwise today" if changes else "every turn is read as it was")


def _entries(data: bytes, what: str) -> list[Entry]:
    try:
        found = list(entries(data, what))
    except UserError as error:  # the run's own remedy is to move the file away, which may be anybody's here
        raise UserError(error.what, NAMES) from error
    if not found:
        raise UserError(f"{what}: there is nothing in it", NAMES)
    return found


def _read(folder: Path, what: str) -> bytes:
    run = RUN.fullmatch(what)
    if run and not (folder / what).is_file():
        return _of_run(site_at(folder), run[1], run[2] or "*", run[3] or ".*")
    try:
        data: bytes = click.open_file(what, "rb").read()
    except OSError as problem:
        raise UserError(f"{what}: {problem.strerror}", NAMES) from problem
    return data


def _of_run(site: Site, task: str, stage: str, attempt: str) -> bytes:
    """The newest of a task's trajectories with these patterns for stage and attempt: this host's, else a pushed one."""
    here = (site.state / "trajectories" / task).glob(f"{stage}{attempt}/{TRAJECTORY}")
    newest = max(here, key=lambda path: path.stat().st_mtime, default=None)
    if newest is not None:
        return newest.read_bytes()
    fetch_refs(site)
    pattern = f"{OURS}trajectories/{task}/{stage}{attempt}"
    by_date = ("--sort=-committerdate", "--count=1", "--format=%(objectname)")
    pushed = git.git(site.repo, "for-each-ref", *by_date, pattern).strip()
    data = git.read(site.repo, pushed, TRAJECTORY) if pushed else None
    if data is None:
        raise UserError(f"no run of {task} is known here or on the hub by that name", NAMES)
    return data
