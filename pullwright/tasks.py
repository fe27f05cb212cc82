"""`pullwright task list | show`."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from pullwright import standing
from pullwright.follow import follow
from pullwright.listing import show, width
from runner.gates.checks import log_of
from runner.host import Site, logs_of, site_at
from runner.lifecycle import StageRef
from runner.observe import View, observe
from runner.planning import Step, plan
from runner.record import Entry, Update
from runner.wording import gate_line, one_line

HISTORY = 12  # updates that are shown


def list_tasks(folder: Path, as_json: bool) -> None:
    """Print every task with where it stands and what is next."""
    site = site_at(folder)
    view = observe(site)
    steps = plan(view)
    if as_json:
        tasks = [standing.as_data(step, site.hub, view.settings.base) for step in steps]
        problems = msgspec.to_builtins(view.backlog.problems)
        click.echo(json.dumps({"tasks": tasks, "problems": problems}, indent=2))
        return
    show(list(steps), site, view)
    for line in standing.problem_lines(view.backlog.problems):
        click.echo(line, err=True)


def show_task(folder: Path, id: str, as_json: bool) -> None:
    """Print all that is known of one task. Raises `UserError` when there is none of that id."""
    site = site_at(folder)
    view = observe(site)
    view.state(id)
    step = next(step for step in plan(view) if step.state.task.id == id)
    if as_json:
        click.echo(json.dumps(_full(step, site, view), indent=2))
        return
    for line in _portrait(step, site, view):
        click.echo(line)


def follow_task(folder: Path, id: str) -> None:
    """Print where a task stands, then what happens, until nothing goes on without a person. ^C ends it, and nothing
    else: the work goes on. Raises `UserError` when there is none of that id."""
    show_task(folder, id, as_json=False)
    click.echo()
    try:
        for line in follow(folder, id):
            plain = "".join(char if char.isprintable() else " " for char in line)
            click.echo(standing.cut(plain, width()))
    except KeyboardInterrupt:
        click.echo()


def _full(step: Step, site: Site, view: View) -> dict[str, object]:
    state = step.state
    return standing.as_data(step, site.hub, view.settings.base) | {
        "path": state.task.path,
        "request": msgspec.to_builtins(state.task.request),
        "record": msgspec.to_builtins(state.record) if state.record else None,
        "open": msgspec.to_builtins(state.open) if state.open else None,
        "updates": msgspec.to_builtins(state.updates),
        "commands": msgspec.to_builtins(state.commands),
    }


def _portrait(step: Step, site: Site, view: View) -> Iterator[str]:
    """A task on one screen: what it is, its stages with their evidence, what is next, what happened last."""
    state = step.state
    request = state.task.request
    yield click.style(f"{state.task.id}: {request.title}", bold=True)
    complexity = state.complexity(view.settings.policy.default_complexity)
    yield f"{state.task.path}  complexity {complexity}  priority {request.priority}  {standing.position(step)}"
    yield ""
    yield from _stages(step, site)
    said = standing.words(step, site.hub, view.settings.base)
    yield ""
    yield said.reason
    yield from (f"  → {way}" for way in said.ways)
    yield from _history(step)


def _stages(step: Step, site: Site) -> Iterator[str]:
    state = step.state
    entries = dict(state.record.stages) if state.record else {}
    if state.open is not None:
        entries[state.open.ref.stage] = state.open.entry
    for stage in state.stages:
        entry = entries.get(stage)
        if entry is None:
            yield f"  {stage:<9} –"
        else:
            yield from _stage_lines(str(stage), entry, done=stage in state.done)
            yield from _logs(site, StageRef(state.task.id, stage, entry.attempt), entry)


def _stage_lines(name: str, entry: Entry, *, done: bool) -> Iterator[str]:
    state = "done" if done else entry.state
    attempt = f", attempt {entry.attempt}" if entry.attempt > 1 else ""
    cost = f", ${entry.cost:.2f}" if entry.cost else ""
    used = f"{entry.agent}{attempt}, {entry.steps} steps, {entry.tokens} tokens{cost}"
    yield f"  {name:<9} {click.style(f'{state:<8}', fg='green' if state == 'done' else None)} {used}"
    for gate in entry.gates:
        yield standing.cut(f"            {gate_line(gate)}", width())
    if entry.hold is not None and not done:
        yield f"            {entry.hold.reason}"


def _logs(site: Site, ref: StageRef, entry: Entry) -> Iterator[str]:
    """Where to read on about gates that failed, if they ran on this host."""
    for gate in entry.gates:
        log = log_of(logs_of(site.state, ref), gate.name)
        if not gate.passed and log.is_file():
            yield f"            all that it said: {log}"


def _who(update: Update) -> str:
    """A person's name without the address, an agent's, or the runner's."""
    return (update.actor or update.agent or "runner").partition(" <")[0]


def _history(step: Step) -> Iterator[str]:
    updates = step.state.updates
    if not updates:
        return
    yield ""
    if len(updates) > HISTORY:
        yield f"the last {HISTORY} of {len(updates)} updates:"
    names = [one_line(_who(update), 24) for update in updates[-HISTORY:]]
    for update, name in zip(updates[-HISTORY:], names, strict=True):
        content = one_line(update.content, 160)
        line = f"{update.timestamp[:16].replace('T', ' ')}  {name:<{max(map(len, names))}}  {content}"
        yield standing.cut(line, width())
