"""What the pages show of a task from Git and from this host: documents, changes, what its agent does just now."""

import subprocess
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from runner import git, live
from runner.host import Site
from runner.lifecycle import Stage, StageRef, stage_branch, work_branch
from runner.live import Step
from runner.parsing.characters import unfit
from webhook.pages.difference import Changed, difference
from webhook.pages.reading import Attempt
from webhook.shapes import FullTask

HEADS = "refs/remotes/hub/heads/"
OWN = ("record.yaml", "updates.jsonl")
"""The runner's own files of a record, whose content the page shows in better ways."""
DOCUMENTS = ("design.md", "test-report.md", "review.md", "summary.md")
MOST_BYTES = 1 << 20  # of a difference, or of a file that is shown
MOST_STEPS, TAIL = 120, 1 << 18
MOST_PATHS = 400


class Place(NamedTuple):
    """Where a task's files stand: the commit (or tree) that is furthest on, and the folder of its record."""

    commit: str
    folder: str


def place(site: Site, base: str, task: FullTask, attempts: Sequence[Attempt]) -> Place:
    """The newest state of a task: that of its open stage, else its task branch; base once it is complete."""
    opened = next((one for one in attempts if one.open), None)
    found = _end(site, task.slug, opened) if opened else None
    if found is None and not task.completed_at:
        found = git.resolve(site.repo, HEADS + work_branch(task.slug))
    return Place(found or base, (task.path or "").removesuffix(".yaml"))


def _end(site: Site, slug: str, opened: Attempt) -> str | None:
    """What an open attempt has come to: as its workspace on this host was after the last step, or as it was pushed."""
    ref = StageRef(slug, Stage(opened.stage), opened.attempt)
    here = live.snapshot(site.state, ref) if opened.state == "working" and opened.host == site.id else None
    return here or git.resolve(site.repo, HEADS + stage_branch(*ref))


class Document(NamedTuple):
    """A text that an agent wrote for people."""

    name: str
    text: str


def documents(site: Site, where: Place) -> tuple[tuple[Document, ...], tuple[str, ...]]:
    """The documents of a record in the order of its stages, and the paths of all its other files."""
    listed = git.files(site.repo, where.commit, f"{where.folder}/") if where.folder else ()
    found = {file.path: file.blob for file in listed if _plain(file)}
    names = {path.removeprefix(f"{where.folder}/"): path for path in found}
    shown = [name for name in DOCUMENTS if name in names]
    texts = git.blobs(site.repo, [found[names[name]] for name in shown])
    told = tuple(Document(name, texts[found[names[name]]].decode("utf-8", "replace")) for name in shown)
    return told, tuple(path for name, path in names.items() if name not in (*shown, *OWN))


def _plain(file: git.File) -> bool:
    return file.mode.startswith("100")


class Content(NamedTuple):
    """A file: its Git blob and its bytes."""

    blob: str
    data: bytes


def content(site: Site, commit: str, path: str) -> Content | None:
    """A regular file at a commit; None also for what no program can be asked for."""
    steps = PurePosixPath(path).parts
    plain = "/".join(steps) == path and ".." not in steps and unfit(path) is None
    data = git.read(site.repo, commit, path) if path and plain else None
    if data is None:
        return None
    return Content(git.git(site.repo, "rev-parse", "--verify", f"{commit}:{path}"), data)


# --- changes -------------------------------------------------------------------------------------------------------


class Change(NamedTuple):
    """What a stage has changed, file by file; `why_not` says in a sentence why that cannot be told."""

    files: tuple[Changed, ...] = ()
    cut: bool = False
    why_not: str = ""


def change(site: Site, base: str, slug: str, stages: Sequence[str], attempts: Sequence[Attempt], stage: str) -> Change:
    """What the newest attempt at `stage` changed, against where it went or will go; `all`: what the task changes.

    What came in with base meanwhile is left out, as are the record's own files.
    """
    newest = {one.stage: one for one in attempts if one.stage in stages}
    wanted = _last(stages, newest) if stage == "all" else newest.get(stage)
    if wanted is None:
        return Change(why_not=f"{stage} has not begun")
    end = _end(site, slug, wanted) if wanted.open else _known(site, wanted.gated)
    if end is None:
        return Change(why_not="its commits are not here any more: the branch was squashed, or deleted before its end")
    start = _start(site, base, slug, stages, newest, wanted) if stage != "all" else None
    return _between(site, start, _known(site, wanted.base) or base, end)


def _last(stages: Sequence[str], newest: dict[str, Attempt]) -> Attempt | None:
    return next((newest[stage] for stage in reversed(stages) if stage in newest), None)


def _start(
    site: Site, base: str, slug: str, stages: Sequence[str], newest: dict[str, Attempt], wanted: Attempt
) -> str | None:
    """The commit before a stage's own work: where its target stands, or what the stage before it came to."""
    if wanted.open:
        work = git.resolve(site.repo, HEADS + work_branch(slug))
        return work if wanted.stage != stages[-1] else None
    before = [newest[stage].gated for stage in stages[: stages.index(wanted.stage)] if stage in newest]
    return next((oid for gated in reversed(before) if (oid := _known(site, gated))), None)


def _known(site: Site, commit: str | None) -> str | None:
    return git.resolve(site.repo, commit) if commit else None


def _between(site: Site, start: str | None, base: str, end: str) -> Change:
    """What differs from `start` (where there is none: from base) and, if base has moved since then, from base too."""
    repo = site.repo
    begin = start or base
    paths = set(git.changed(repo, begin, end))
    if start is not None and not git.is_ancestor(repo, base, start):
        paths &= set(git.changed(repo, base, end))
    shown = sorted(path for path in paths if not _of_record(path))
    if not shown:
        return Change()
    files, cut = difference(_text(repo, begin, end, shown[:MOST_PATHS]))
    return Change(files, cut or len(shown) > MOST_PATHS)


def _of_record(path: str) -> bool:
    parts = path.split("/")
    return parts[0] == "tasks" and parts[-1] in OWN and len(parts) > 2


def _text(repo: git.Repo, start: str, end: str, paths: Sequence[str]) -> str:
    """What `git diff` says, up to a length: an agent may have written any amount."""
    options = ("--no-color", "--no-ext-diff", "--no-textconv", "--find-renames")
    command = ["git", "-c", "core.quotePath=false", "diff", *options, start, end, "--", *paths]
    env = git.environment(repo) | {"GIT_LITERAL_PATHSPECS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, cwd="/") as run:
        assert run.stdout is not None
        found = run.stdout.read(MOST_BYTES)
        run.kill()
    return found.decode("utf-8", "replace")


# --- just now ------------------------------------------------------------------------------------------------------


def steps(site: Site, slug: str) -> tuple[Step, ...]:
    """The last steps of a task's agent on this host, oldest first."""
    try:
        with live.path_of(site.state, slug).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL))
            found = live.read(file.read(TAIL))
    except OSError:
        return ()
    return tuple(step for step in found if step.tool or step.text or step.kind == "start")[-MOST_STEPS:]
