"""`pullwright demo`: a real task on a throw-away repository, from its file to one merge into main."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pullwright import standing
from pullwright.listing import width
from pullwright.screen import Screen
from pullwright.watching import has_colours
from runner import wiring, worker
from runner.errors import UserError
from runner.host import site_at
from runner.observe import observe
from runner.planning import plan
from runner.wording import one_line

ASSETS = Path(__file__).with_name("demo")


def demonstrate(folder: Path | None, model: str | None, endpoint: str | None) -> None:
    """Make the repository in `folder` (None: a temporary one that goes at the end), run the task, show what came of it.

    Raises `UserError` when the task does not end complete.
    """
    with _place(folder) as place:
        task = _make(place, model, endpoint)
        _introduce(place, task, model)
        started = time.monotonic()
        _run(place, task)
        seconds = time.monotonic() - started
        _show(place, task)
        _conclude(place, task, seconds, kept=folder is not None)


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """An empty folder; one without a name goes at the end. Says on ^C what became of it."""
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty", "name a folder that is not there yet")
    place = folder or Path(tempfile.mkdtemp(prefix="pullwright-demo-"))
    place.mkdir(parents=True, exist_ok=True)
    try:
        yield place.resolve()
    except KeyboardInterrupt:
        left = "the throw-away repository is gone" if folder is None else f"cd {place} && pullwright run goes on"
        raise KeyboardInterrupt(f"stopped; {left}") from None
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)


def _make(place: Path, model: str | None, endpoint: str | None) -> str:
    """The demo's repository: the project, its task, its agents. Returns the task's id."""
    text = (ASSETS / "agents.yaml").read_text()
    if model is not None:
        text = _with_model(text, model, endpoint)
    shutil.copytree(ASSETS / "project", place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "agents.yaml").write_text(text)
    (place / ".pullwright").mkdir()
    shutil.copy(ASSETS / "replies.yaml", place / ".pullwright" / "replies.yaml")
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
    click.echo(f"A throw-away repository with a small project and one task:\n  {place}/tasks/{task}.yaml")
    if model is None:
        click.echo("The model's words are recorded; commands, tests and merges are real.")
    click.echo("Elsewhere people approve design and result; here the policy merges by itself.\n")


def _run(place: Path, task: str) -> None:
    site = site_at(place)
    view = observe(site)
    with Screen(sys.stdout) as screen:
        host = wiring.host(site, view.settings, say=screen.say)
        host.sandbox.check()
        screen.say(f"sandbox: {host.sandbox.level}")
        for step in worker.run(host, task=task, view=view):
            screen.step(step)


def _show(place: Path, task: str) -> None:
    """The graph and the history."""
    colour = f"--color={'always' if has_colours(sys.stdout) else 'never'}"
    log = ("log", "--graph", colour, "--format=%C(auto)%h%C(reset) %s")
    click.echo("\n" + _git(place, *log, "main"))
    click.echo("\nmain alone, which saw one merge:\n" + _git(place, *log, "--first-parent", "main"))
    click.echo(f"\nThe history, tasks/{task}/updates.jsonl:")
    for update in observe(site_at(place)).state(task).updates:
        line = f"  {update.actor or update.agent or 'runner'}: {one_line(update.content, 120)}"
        click.echo(standing.cut(line, width()))


def _conclude(place: Path, task: str, seconds: float, *, kept: bool) -> None:
    """How it ended, and how to look closer. Raises `UserError` for a task that is not complete."""
    site = site_at(place)
    view = observe(site)
    (step,) = (step for step in plan(view) if step.state.task.id == task)
    state = step.state
    click.echo(f"\n{task}: {standing.position(step)}, {len(state.done)} of {len(state.stages)} stages, {seconds:.0f} s")
    if kept:
        click.echo(f"\nLook closer:\n  cd {place}\n  pullwright task show {task}")
        click.echo(f"  git show main:tasks/{task}/record.yaml\n  git diff main^1 main --stat")
    else:
        click.echo("\nTo keep the repository and look closer: pullwright demo DIR")
    if state.current is not None:
        reason = standing.words(step, site.hub, view.settings.base).reason
        raise UserError(f"the task is not complete: {reason}", "run the demo again, or with another model")


def _git(place: Path, *args: str) -> str:
    """Git in the demo's repository, with an identity of its own and nobody's hooks."""
    names = ("-c", "user.name=You", "-c", "user.email=you@example.invalid", "-c", "core.hooksPath=/dev/null")
    done = subprocess.run(
        ["git", *names, "-c", "commit.gpgSign=false", *args], cwd=place, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise UserError(f"git {args[0]} failed in {place}: {done.stderr.strip()}", "look at your Git configuration")
    return done.stdout.rstrip()
