"""A model that its Ollama server does not have is offered to be fetched, where somebody can answer."""

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from pullwright.watching import is_terminal
from runner import wiring
from runner.agents import Agent
from runner.errors import UserError
from runner.lifecycle import Stage
from runner.models import Missing

AT_ONCE = 8


def offer(folder: Path, agents: Iterable[Agent]) -> None:
    """Ask about every model that is missing, and fetch it with a progress bar on a yes. In a pipe nobody is asked.

    Endpoints that are down are left to the run, which says so. Raises `UserError` where a model cannot be fetched.
    """
    if not (sys.stdin.isatty() and is_terminal(sys.stdout)):
        return
    for model, endpoint in missing(folder, agents):
        if click.confirm(f"{model} is not on {endpoint}. Fetch it now?", default=True):
            _fetch(model, endpoint)


def missing(folder: Path, agents: Iterable[Agent]) -> list[tuple[str, str]]:
    """Model and endpoint of what has to be fetched, each once; all servers are asked at the same time."""
    ours = {(agent.model, agent.endpoint): agent for agent in agents if agent.provider == "ollama"}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        absent = pool.map(lambda agent: _is_missing(folder, agent), ours.values())
        return [place for place, gone in zip(ours, absent, strict=True) if gone]


def _is_missing(folder: Path, agent: Agent) -> bool:
    try:
        wiring.model(agent, Stage.DESIGN, folder).check()
    except Missing:
        return True
    except UserError:
        return False
    return False


def _fetch(model: str, endpoint: str) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from runner.models.ollama_pull import pull

    what = TextColumn("{task.description}")
    with Progress(what, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as bar:
        shown = bar.add_task(model, total=None)

        def progress(status: str, done: int, total: int) -> None:
            bar.update(shown, description=status[:30])
            if total:  # the last lines name no sizes
                bar.update(shown, completed=done, total=total)

        pull(model, endpoint, progress)
    click.echo(f"{model} is there")
