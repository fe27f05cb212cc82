"""What people sent in a task's discussion, as files in the workspace of whoever is at work on the task.

They lie in `/workspace/discussion`, which commands can read and not write, and which is no part of what is proposed.
"""

import contextlib
import os
from pathlib import Path

from runner import git
from runner.host import Site
from runner.talk import discussions
from runner.talk.papers import Words, wordless
from runner.workspace import Workspace, remove

FOLDER = "discussion"
SEEN = f"/workspace/{FOLDER}"


def deliver(site: Site, task: str, space: Workspace, commit: str, words: Words = wordless) -> tuple[str, ...]:
    """Lay the files of a task's discussion at `commit` into its workspace; the names of all of them.

    One that is there already is left; each takes its place whole. Beside a PDF lie its `words`, where it has any.
    """
    found = discussions.at(site.repo, task, commit)
    if found is None or not found.files:
        return ()
    folder = space.root / FOLDER
    if folder.is_symlink():  # where commands have no mounts an agent may have put one there
        remove(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, size in found.files.items():
        path = folder / name
        if not (path.is_file() and path.stat().st_size == size and _same(site, task, path, commit)):
            _put(path, git.read(site.repo, commit, discussions.FILES + name) or b"")
    papers = [name for name in found.files if name.lower().endswith(".pdf") and f"{name}.txt" not in found.files]
    return (*found.files, *(f"{name}.txt" for name in papers if _read_out(site, commit, folder, name, words)))


def _read_out(site: Site, commit: str, folder: Path, name: str, words: Words) -> bool:
    """Write down what stands in a PDF, beside it, unless that is there; whether it is."""
    beside = folder / f"{name}.txt"
    if beside.is_file():
        return True
    text = words(git.read(site.repo, commit, discussions.FILES + name) or b"")
    if text:
        _put(beside, text.encode("utf-8", "replace"))
    return bool(text)


def _same(site: Site, task: str, path: Path, commit: str) -> bool:
    return path.read_bytes() == discussions.content(site, task, path.name, commit)


def _put(path: Path, data: bytes) -> None:
    scratch = path.with_name(f".new-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        scratch.unlink()
    handle = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o444)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    scratch.replace(path)
