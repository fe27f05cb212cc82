"""`pullwright demo`: a real task on a throw-away repository, from its file to one merge into main."""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from pullwright.screen import Screen
from runner import wiring, worker
from runner.errors import UserError
from runner.host import site_at
from runner.observe import observe

ASSETS = Path(__file__).with_name("demo")


def demonstrate(folder: Path | None, model: str | None, endpoint: str | None) -> None:
    """Make the repository in `folder` (None: a temporary one that goes at the end), run the task, show what came of it.

    Raises `UserError` when the task does not end complete.
    """
    kept = folder is not None
    place = _empty(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="pullwright-demo-"))
    try:
        task = _make(place, model, endpoint)
        _introduce(place, task, model)
        started = time.monotonic()
        _run(place, task)
        _show(place, task, kept, time.monotonic() - started)
    finally:
        if not kept:
            shutil.rmtree(place, ignore_errors=True)


def _empty(folder: Path) -> Path:
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", "name a folder that is not there yet")
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _make(place: Path, model: str | None, endpoint: str | None) -> str:
    """The demo's repository: the project, its task, its agents. Returns the task's id."""
    shutil.copytree(ASSETS / "project", place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (place / ".pullwright").mkdir()
    shutil.copy(ASSETS / "replies.yaml", place / ".pullwright" / "replies.yaml")
    text = (ASSETS / "agents.yaml").read_text()
    (place / "agents.yaml").write_text(_with_model(text, model, endpoint) if model else text)
    _git(place, "init", "--quiet", "--initial-branch=main")
    _git(place, "add", "--all")
    _git(place, "commit", "--quiet", "-m", "A small project, and a task for it")
    return next((place / "tasks").glob("*.yaml")).stem


def _with_model(text: str, model: str, endpoint: str | None) -> str:
    """The demo's settings with the reader's own model in place of the recorded one."""
    provider, _, name = model.partition(":")
    if provider not in ("ollama", "openai") or not name:
        raise UserError(f"--model {model!r} names no provider", "write ollama:NAME or openai:NAME")
    where = endpoint or ("http://localhost:11434" if provider == "ollama" else "https://openrouter.ai/api/v1")
    key = "    api_key: env:OPENROUTER_API_KEY\n" if provider == "openai" else ""
    head, _, tail = text.partition("agents:\n")
    policy = tail[tail.index("policy:") :]
    agent = f"  - name: mine\n    model: {name}\n    provider: {provider}\n    endpoint: {where}\n{key}"
    return f"{head}agents:\n{agent}{policy}"


def _introduce(place: Path, task: str, model: str | None) -> None:
    click.echo(f"A throw-away repository with a small project and one task: {place}/tasks/{task}.yaml")
    if model is None:
        click.echo("The model's words are recorded; the commands in them, the tests and the merges are real.")
    click.echo("In your own repository people approve the design and the result; here the policy merges by itself.\n")


def _run(place: Path, task: str) -> None:
    site = site_at(place)
    view = observe(site)
    with Screen(sys.stdout) as screen:
        host = wiring.host(site, view.settings, say=screen.say)
        host.sandbox.check()
        screen.say(f"sandbox: {host.sandbox.level}")
        for step in worker.run(host, task=task, view=view):
            screen.step(step)


def _show(place: Path, task: str, kept: bool, seconds: float) -> None:
    """The graph, the history, and the commands to look closer. Raises `UserError` for a task that is not complete."""
    state = observe(site_at(place)).state(task)
    graph = ("log", "--graph", "--first-parent", "--format=%h %s", "main")
    click.echo("\n" + _git(place, "log", "--graph", "--format=%h %s", "--exclude=refs/pullwright/*", "main"))
    click.echo("\nmain alone, which saw one merge:\n" + _git(place, *graph))
    click.echo(f"\nThe history, tasks/{task}/updates.jsonl:")
    for update in state.updates:
        who = update.actor or update.agent or "runner"
        click.echo(f"  {who}: {' '.join(update.content.split())[:110]}")
    click.echo(f"\n{task}: {state.status}, {state.progress} %, in {seconds:.0f} s")
    if state.current is not None:
        step = worker.plan(observe(site_at(place)))[0]
        raise UserError(f"the task is not complete: {step.action}", "run the demo again, or with another model")
    if kept:
        click.echo(f"\nLook closer:\n  cd {place}\n  pullwright task show {task}")
        click.echo(f"  git show main:tasks/{task}/record.yaml\n  git diff main^1 main --stat")
    else:
        click.echo("\nTo keep the repository and look closer: pullwright demo DIR")


def _git(place: Path, *args: str) -> str:
    """Git in the demo's repository, with an identity of its own and nobody's hooks."""
    names = ("-c", "user.name=You", "-c", "user.email=you@example.invalid", "-c", "core.hooksPath=/dev/null")
    done = subprocess.run(["git", *names, *args], cwd=place, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"git {args[0]} failed: {done.stderr.strip()}", "")
    return done.stdout.rstrip()
