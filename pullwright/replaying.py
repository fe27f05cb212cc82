"""`pullwright replay`: what a model said, and what came of it."""

from pathlib import Path

import click

from runner.errors import UserError
from runner.loop.replay import chat, reread
from runner.loop.trajectory import entries
from runner.tools.text import plain


def replay_file(file: Path, again: bool, everything: bool) -> None:
    """Print a trajectory as a chat; `again`: only what today's reading of the replies makes different."""
    try:
        data = click.open_file(str(file), "rb").read()
    except OSError as problem:
        remedy = "name the file of a trajectory, or - for standard input"
        raise UserError(f"{file}: {problem.strerror}", remedy) from problem
    found = list(entries(data, str(file)))
    if not found:
        raise UserError(f"{file}: there is nothing in it", "name the file of a trajectory")
    if not again:
        for paragraph in chat(found, everything):
            click.echo(paragraph)
        return
    changes = list(reread(found))
    for change in changes:
        click.echo(f"turn {change.turn}: {plain(change.then)}\n     now: {plain(change.now)}")
    click.echo(f"{len(changes)} turns are read otherwise today" if changes else "every turn is read as it was")
