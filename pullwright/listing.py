"""Where tasks stand, printed."""

import shutil
import sys

import click

from pullwright import standing
from pullwright.watching import is_terminal
from runner.host import Site
from runner.observe import View
from runner.planning import Step


def show(steps: list[Step], site: Site, view: View) -> None:
    """Print where tasks stand, as wide as the terminal."""
    if not steps:
        click.echo('no tasks yet: pullwright task new "…"')
        return
    for line in standing.lines(steps, site.hub, view.settings.base, width()):
        click.echo(line)


def width() -> int:
    """Columns of the terminal; no limit in a pipe."""
    return shutil.get_terminal_size().columns if is_terminal(sys.stdout) else standing.WIDTH
