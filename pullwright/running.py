"""`pullwright run` and `pullwright plan`: turns taken in front of a person, or in a pipe."""

import contextlib
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pullwright import actions, pulling, standing
from pullwright.listing import show
from pullwright.screen import Left, Screen
from pullwright.watching import is_terminal
from runner import planning, wiring, worker
from runner.attend import attend
from runner.errors import UserError
from runner.host import Site, site_at
from runner.lifecycle import STAGES, Stage
from runner.observe import View, observe
from runner.planning import Step

if TYPE_CHECKING:
    from pullwright.live.view import LiveView

FEW = 8  # tasks that were complete before and are listed all the same


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    """SIGTERM, as a service or a shutdown sends it, ends a run like ^C: what is there is pushed, and no git stays."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@_ending()
def run_here(
    folder: Path, *, task: str | None, stage: str | None, once: bool, forever: bool, plain: bool = False
) -> int:
    """Take turns in the repository around `folder`, and say at the end where everything stands. `plain`: in lines.

    Tasks that were complete before are only counted where they are more than a `FEW`.
    Returns the exit status: 1 where a task file has to be mended, which hides none of the others.
    """
    if stage is not None and stage not in STAGES:
        raise UserError(f"there is no stage {stage}", f"the stages are {', '.join(STAGES)}")
    site = site_at(folder)
    view = observe(site)
    before = frozenset(state.task.id for state in view.states if state.current is None)
    if not plain:
        pulling.offer(site.folder, view.settings.agents)
    screen = _screen(site, view, task, plain)
    held = _take_turns(site, view, task, Stage(stage) if stage else None, once, forever, screen)
    view = _of(observe(site), task)
    steps = [held.get(step.state.task.id, step) for step in planning.plan(view)]
    click.echo()
    shown = recent(steps, before)
    if len(shown) < len(steps):
        click.echo(f"{len(steps) - len(shown)} tasks were complete before")
    if shown or not steps:
        show(shown, site, view)
    actions.tell(_plan(tuple(steps), site, view), "Where it stands")
    problems = [problem for problem in view.backlog.problems if task is None]
    for line in standing.problem_lines(problems):
        click.echo(f"pullwright: {line}", err=True)
    return 1 if problems else 0


def recent(steps: list[Step], before: frozenset[str]) -> list[Step]:
    """The steps without the tasks that were complete `before`, where those are more than a `FEW`. Pure."""
    others = [step for step in steps if step.state.task.id not in before]
    return others if len(steps) - len(others) > FEW else steps


def _screen(site: Site, view: View, task: str | None, plain: bool) -> "Screen | LiveView":
    """The live view where somebody watches; plain lines in a pipe, on a dumb terminal, or where they are wanted."""
    if plain or not is_terminal(sys.stdout):
        return Screen(sys.stdout, plain=True)
    from pullwright.live.view import LiveView

    return LiveView(sys.stdout, site, view, task)


def _take_turns(
    site: Site, view: View, task: str | None, stage: Stage | None, once: bool, forever: bool,
    screen: "Screen | LiveView",
) -> dict[str, Step]:  # fmt: skip
    """The turns themselves; returns the steps that came to nothing because of something outside of the task's state."""
    held: dict[str, Step] = {}
    host = wiring.host(site, view.settings, say=screen.say)
    host.sandbox.check()
    with screen:
        screen.say(f"sandbox: {host.sandbox.level}")
        if forever:
            turns = worker.watch(host, task=task, stage=stage, sleep=screen.pause)
        else:
            turns = worker.run(host, task=task, stage=stage, once=once, view=view)
        try:
            for step in turns:
                screen.step(step)
                held.pop(step.state.task.id, None)
                if not planning.is_work(step.action):
                    held[step.state.task.id] = step
        except Left:
            pass  # the person stops here; how things stand is told as after any other run
    return held


def plan_here(folder: Path, as_json: bool, task: str | None = None) -> None:
    """Print what the next turn would do, for one `task` or all. As JSON it is for a workflow, which hears first what
    people said. Raises `UserError` where there is no such task."""
    site = site_at(folder)
    view = observe(site)
    if as_json and view.settings.forge != "local":
        view = attend(wiring.host(site, view.settings, say=lambda line: None), view)
    if task is not None:
        view.state(task)
    view = _of(view, task)
    steps = planning.plan(view)
    if as_json:
        plan = _plan(steps, site, view)
        actions.tell(plan, "What is to be done")
        click.echo(json.dumps(plan, indent=2))
        return
    show(list(steps), site, view)
    for line in standing.problem_lines(view.backlog.problems):
        click.echo(line, err=True)


def _of(view: View, task: str | None) -> View:
    """The view with this task alone, where one is named; who is busy is known all the same."""
    if task is None:
        return view
    return view._replace(states=tuple(s for s in view.states if s.task.id == task), claimed=view.crew().busy)


def _plan(steps: tuple[Step, ...], site: Site, view: View) -> dict[str, object]:
    runs_on = {agent.name: agent.runs_on for agent in view.settings.agents}
    return {
        "tasks": [standing.as_data(step, site.hub, view.settings.base) for step in steps],
        "problems": msgspec.to_builtins(view.backlog.problems),
        "matrix": standing.matrix(steps, runs_on),
    }
