"""`pullwright task new`: a task's file, committed by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pullwright import checkout
from runner.errors import UserError
from runner.host import Site, find_clone, site_at
from runner.observe import base_branch
from runner.parsing import yamldoc
from runner.task import parse_task, slug_of


def new_task(folder: Path, title: str, *, commit: bool, slug: str | None, **given: Any) -> Iterator[str]:
    """Write the task's file, commit just that, and say what is still to be done. Raises `UserError`.

    All that can be refused is refused before anything is written.
    """
    clone = find_clone(folder)
    if clone.work_tree is None:
        raise UserError("this is a bare repository: there is nowhere to write the file", "go into a clone of it")
    id = slug or id_of(title)
    if "/" in id:
        remedy = f"--id {id.rpartition('/')[2] or 'SLUG'}; then move the file, if you want folders below tasks/"
        raise UserError(f"`{id}` is a path, and no id", remedy)
    path = f"tasks/{id}.yaml"
    clash = _clash(clone.work_tree, id)
    if clash is not None:
        raise UserError(f"there is a task {id} already: {clash}", "give another one: --id SLUG")
    data = _yaml(title, given)
    parse_task(path, data)
    site = site_at(folder)
    base = base_branch(site)
    if commit:
        checkout.require_identity(clone.work_tree)
    target = clone.work_tree / path
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(data)
    if not commit:
        yield f"wrote {path}"
        yield "next: commit it, and push or merge it into the base branch; a task counts from there"
        return
    checkout.commit(clone.work_tree, f"Task: {title}", path)
    yield f"wrote and committed {path}"
    yield _after_commit(site, clone.work_tree, base, id)


def id_of(title: str) -> str:
    """An id for a task of this title. Raises `UserError` where none can be made of it."""
    slug = slug_of(title)
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


def _after_commit(site: Site, top: Path, base: str, id: str) -> str:
    here = checkout.branch(top)
    if not (top / "agents.yaml").exists():
        return "next: pullwright init"
    if here != base:
        return f"next: merge {here or 'this detached HEAD'} into {base}; a task counts once it is there"
    if site.hub.own is None:
        return f"next: git push origin {base}; a task counts once it is on the hub's {base}"
    return f"next: pullwright run --task {id}"
