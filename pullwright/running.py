"""`pullwright run` and `pullwright plan`: turns taken in front of a person, or in a pipe."""

import json
import sys
from pathlib import Path

import click

from runner import wiring, worker
from runner.decide import Action, Claim, Escalate, Finish, Hold, Nothing
from runner.errors import UserError
from runner.host import Site, site_at
from runner.lifecycle import STAGES, Stage
from runner.observe import View, observe
from runner.state import TaskState
from runner.worker import Step


def run_here(folder: Path, *, task: str | None, stage: str | None, once: bool, forever: bool) -> None:
    """Take turns in the repository around `folder`, and say at the end where everything stands."""
    if stage is not None and stage not in STAGES:
        raise UserError(f"there is no stage {stage}", f"the stages are {', '.join(STAGES)}")
    site = site_at(folder)
    view = observe(site)
    from pullwright.screen import Screen

    with Screen(sys.stdout) as screen:
        host = wiring.host(site, view.settings, say=screen.say)
        host.sandbox.check()
        screen.say(f"sandbox: {host.sandbox.level}")
        turns = worker.watch(host, task=task) if forever else worker.run(host, task=task, once=once, view=view)
        for step in turns:
            if stage is not None and step.state.current != stage:
                break
            screen.step(step)
    for line in standing(observe(site), task):
        click.echo(line)


def standing(view: View, task: str | None = None) -> list[str]:
    """A line for each task (or `task`): where it stands and what is next; then what is wrong with task files."""
    lines = [summary(step) for step in worker.plan(view) if task in (None, step.state.task.id)]
    problems = [f"{problem.path}: {problem.what}\n  → {problem.remedy}" for problem in view.backlog.problems]
    if not lines and not problems:
        lines = ['no tasks yet: pullwright task new "…"']
    return lines + problems


def summary(step: Step) -> str:
    """One task in one line, with what a person can do about it."""
    state = step.state
    where = f"{state.task.id}  {state.status}"
    if state.current is not None and state.status != "not_started":
        where += f" {state.progress} %"
    reason, remedy = words(step)
    return f"{where}  {reason}" + (f"\n  → {remedy}" if remedy else "")


def words(step: Step) -> tuple[str, str]:
    """`(what is next and why, what a person can do)`. Pure."""
    state, action = step.state, step.action
    id = state.task.id
    match action:
        case Hold(reason, remedy):
            return f"held: {reason}", remedy
        case Nothing(reason):
            review = "waits for review" in reason
            return (
                reason,
                f"{proposal(state)}, then pullwright review {id} --approve | --comment … | --reject …"
                if review
                else "",
            )
        case Finish():
            return "done", ""
        case Claim(stage, attempt, agent):
            return f"next: {agent.name} takes {stage}" + (f", attempt {attempt}" if attempt > 1 else ""), ""
        case Escalate(agent, _):
            return f"next: {agent.name} takes over", ""
        case _:
            return f"next: {type(action).__name__.lower()} {state.current}", ""


def proposal(state: TaskState) -> str:
    """The command that shows what waits."""
    opened = state.open
    return f"look: git fetch; git log -p {opened.branch}" if opened else ""


def plan_here(folder: Path, as_json: bool) -> None:
    """Print what the next turn would do."""
    site: Site = site_at(folder)
    view = observe(site)
    steps = worker.plan(view)
    if as_json:
        click.echo(json.dumps({"tasks": [as_data(step) for step in steps], "matrix": matrix(steps)}, indent=2))
        return
    for line in standing(view):
        click.echo(line)


def as_data(step: Step) -> dict[str, object]:
    """A step as JSON."""
    reason, remedy = words(step)
    agent = _agent(step.action) or (step.state.open.entry.agent if step.state.open else None)
    return {
        "task": step.state.task.id,
        "status": step.state.status,
        "stage": step.state.current and str(step.state.current),
        "stage_progress": step.state.progress,
        "action": type(step.action).__name__.lower(),
        "agent": agent,
        "reason": reason,
        "remedy": remedy,
    }


def _agent(action: Action) -> str | None:
    return action.agent.name if isinstance(action, Claim | Escalate) else None


def matrix(steps: tuple[Step, ...]) -> dict[str, list[dict[str, object]]]:
    """The jobs that a workflow would start: one a task with work to do, on the runner that its agent names."""
    jobs: list[dict[str, object]] = []
    for step in steps:
        if worker.is_work(step.action):
            action = step.action
            runs_on = list(action.agent.runs_on) if isinstance(action, Claim | Escalate) else ["self-hosted", "ollama"]
            stage: Stage | None = step.state.current
            jobs.append({"task": step.state.task.id, "stage": str(stage), "runs_on": runs_on})
    return {"include": jobs}
