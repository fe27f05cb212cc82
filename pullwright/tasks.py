"""`pullwright task new | list | show`."""

import json
import re
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from pullwright.running import as_data, standing, words
from runner import worker, yamldoc
from runner.errors import UserError
from runner.host import Site, find_clone, site_at
from runner.observe import View, base_branch, observe
from runner.record import Entry
from runner.task import parse_task
from runner.wording import gate_line
from runner.worker import Step


def new_task(folder: Path, title: str, *, commit: bool, slug: str | None, **given: Any) -> Iterator[str]:
    """Write the task's file, commit just that, and say what is still to be done. Raises `UserError`."""
    clone = find_clone(folder)
    if clone.work_tree is None:
        raise UserError("this is a bare repository: there is nowhere to write the file", "go into a clone of it")
    id = slug or slug_of(title)
    path = f"tasks/{id}.yaml"
    target = clone.work_tree / path
    clash = _clash(clone.work_tree, id)
    if clash is not None:
        raise UserError(f"there is a task {id} already: {clash}", "give another one: --id SLUG")
    data = _yaml(title, given)
    parse_task(path, data)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(data)
    yield f"wrote {path}"
    if not commit:
        yield "next: commit it, and push or merge it into the base branch; a task counts from there"
        return
    _git(clone.work_tree, "add", "--", path)
    _git(clone.work_tree, "commit", "--quiet", "-m", f"Task: {title}", "--", path)
    yield _after_commit(site_at(folder), clone.work_tree, id)


def slug_of(title: str) -> str:
    """A title as a task's id: lower-case ASCII words joined by hyphens, at most 50 characters. Pure."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].strip("-")
    if not slug:
        raise UserError(f"no id can be made from the title {title!r}", "give one: --id SLUG")
    return slug


def _clash(top: Path, id: str) -> str | None:
    found = [path for path in (top / "tasks").rglob(f"{id}.y*ml") if path.suffix in (".yaml", ".yml")]
    return str(found[0].relative_to(top)) if found else None


def _yaml(title: str, given: dict[str, Any]) -> bytes:
    """The file's text: only what was given, in the schema's order."""
    stages = [name.strip() for name in given["stages"].split(",")] if given.get("stages") else None
    values = {
        "title": title,
        "description": given.get("description") or None,
        "complexity": given.get("complexity"),
        "priority": given.get("priority"),
        "stages": stages,
        "depends_on": list(given.get("depends_on") or ()) or None,
        "acceptance": list(given.get("accept") or ()) or None,
    }
    return yamldoc.dump({key: value for key, value in values.items() if value is not None})


def _after_commit(site: Site, top: Path, id: str) -> str:
    base = base_branch(site)
    here = _git(top, "symbolic-ref", "--short", "-q", "HEAD", check=False) or "a detached HEAD"
    if site.hub.own is not None and here == base:
        return f"committed it; next: pullwright run --task {id}"
    if here == base:
        return f"committed it; next: git push origin {base} — a task counts once it is on the hub's {base}"
    return f"committed it on {here}; next: merge that into {base} — a task counts once it is there"


def _git(top: Path, *args: str, check: bool = True) -> str:
    done = subprocess.run(["git", *args], cwd=top, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise UserError(
            f"git {args[0]} failed: {(done.stderr or done.stdout).strip()}", "mend that; the file is written"
        )
    return done.stdout.strip()


def list_tasks(folder: Path, as_json: bool) -> None:
    """Print every task with where it stands and what is next."""
    view = observe(site_at(folder))
    if as_json:
        problems = [msgspec.to_builtins(problem) for problem in view.backlog.problems]
        tasks = [as_data(step) | {"title": step.state.task.request.title} for step in worker.plan(view)]
        click.echo(json.dumps({"tasks": tasks, "problems": problems}, indent=2))
        return
    for line in standing(view):
        click.echo(line)


def show_task(folder: Path, id: str, as_json: bool) -> None:
    """Print all that is known of one task."""
    view = observe(site_at(folder))
    view.state(id)
    step = next(step for step in worker.plan(view) if step.state.task.id == id)
    if as_json:
        click.echo(json.dumps(_full(step), indent=2))
        return
    for line in _portrait(view, step):
        click.echo(line)


def _full(step: Step) -> dict[str, object]:
    state = step.state
    return as_data(step) | {
        "title": state.task.request.title,
        "path": state.task.path,
        "record": msgspec.to_builtins(state.record) if state.record else None,
        "open": msgspec.to_builtins(state.open) if state.open else None,
        "updates": [msgspec.to_builtins(update) for update in state.updates],
        "commands": [msgspec.to_builtins(command) for command in state.commands],
    }


def _portrait(view: View, step: Step) -> Iterator[str]:
    state = step.state
    request = state.task.request
    complexity = state.complexity(view.settings.policy.default_complexity)
    yield f"{state.task.id}: {request.title}"
    yield f"{state.task.path}  complexity {complexity}  priority {request.priority}"
    yield ""
    entries = dict(state.record.stages) if state.record else {}
    if state.open is not None:
        entries[state.open.ref.stage] = state.open.entry
    for stage in state.stages:
        yield from _stage_lines(str(stage), entries.get(stage), done=stage in state.done)
    reason, remedy = words(step)
    yield ""
    yield reason + (f"\n  → {remedy}" if remedy else "")
    if state.updates:
        yield ""
        for update in state.updates[-12:]:
            who = update.actor or update.agent or "runner"
            yield f"{update.timestamp}  {who}: {' '.join(update.content.split())[:160]}"


def _stage_lines(name: str, entry: Entry | None, *, done: bool) -> Iterator[str]:
    if entry is None:
        yield f"  {name:<9} –"
        return
    state = "done" if done else entry.state
    yield f"  {name:<9} {state:<8} {entry.agent}, {entry.steps} steps, {entry.tokens} tokens, ${entry.cost:.2f}"
    for gate in entry.gates:
        yield f"            {gate_line(gate)}"
    if entry.hold is not None and not done:
        yield f"            {entry.hold.reason}"
