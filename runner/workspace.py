"""The folder in which an agent works on one task, and how what it made is collected.

    <workspaces>/<agent>/global/tools/  global/references/    shared by that agent's tasks, read-only to commands
    <workspaces>/<agent>/tasks/<task>/  src/ venv/ output/ research/ README.md     what commands see as /workspace
    <workspaces>/<agent>/scratch/<task>/  git/ tmp/ home/ index                    the rest of it

`src/` holds plain files; its `.git` is an empty folder on which a private throw-away git dir is mounted. What the
agent made is collected by the trusted repository with its own git dir and index, so that no hook, filter or
configuration that an agent planted is ever in force (docs/sandbox.md).
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runner import git
from runner.errors import ToolError
from runner.sandbox import Command, Limits, Mount, Sandbox

FILE_CAP = 50 << 20
TOTAL_CAP = 500 << 20
CARRIED = ("output", "research")


class Workspace(NamedTuple):
    """One agent's folders for one task. `folder` is that of the task's record, relative to the repository."""

    root: Path
    scratch: Path
    shared: Path
    folder: str

    @property
    def src(self) -> Path:
        """The repository's files, as the agent sees and changes them."""
        return self.root / "src"

    def mounts(self) -> tuple[Mount, ...]:
        """What commands of this task see. The root is read-only: nothing writable holds another mount's source."""
        own = [Mount(self.root / name, f"/workspace/{name}", True) for name in ("src", "venv", *CARRIED)]
        return (
            Mount(self.root, "/workspace"),
            *own,
            Mount(self.scratch / "git", "/workspace/src/.git", True),
            Mount(self.shared, "/workspace/global"),
            Mount(self.scratch / "home", "/home/agent", True),
            Mount(self.scratch / "tmp", "/tmp", True),
        )


def at(workspaces: Path, agent: str, task: str, folder: str) -> Workspace:
    """The workspace of a task for an agent; nothing is made yet."""
    place = workspaces / agent
    return Workspace(place / "tasks" / task, place / "scratch" / task, place / "global", folder)


def prepare(space: Workspace, repo: git.Repo, rev: str, readme: str) -> None:
    """Lay the files of `rev` into a clean workspace; `output/` and `research/` come from the task's record folder.

    The environment (`venv/`, home) stays as it is from an earlier stage of the same agent.
    """
    for name in ("src", *CARRIED):
        remove(space.root / name)
    remove(space.scratch / "git")
    for path in _folders(space):
        path.mkdir(parents=True, exist_ok=True)
    (space.root / "README.md").write_text(readme)
    _unlock(space)
    git.check_out(_view(space, repo), rev, space.src)
    for name in CARRIED:
        kept = space.src / space.folder / name
        if kept.is_dir() and not kept.is_symlink():
            remove(space.root / name)
            kept.rename(space.root / name)
    (space.src / ".git").mkdir(exist_ok=True)


def restore(space: Workspace, repo: git.Repo, tree: str, readme: str) -> None:
    """Put the workspace back to a collected tree, so that an interrupted step can run again."""
    prepare(space, repo, tree, readme)


def _folders(space: Workspace) -> tuple[Path, ...]:
    inside = [space.root / name for name in ("src", "venv", "global", *CARRIED)]
    apart = [space.scratch / name for name in ("git", "home", "tmp")]
    return (*inside, *apart, space.shared / "tools", space.shared / "references")


def ensure_git(space: Workspace, sandbox: Sandbox) -> None:
    """Make the private git dir if it is not there: at the start, and again when the agent removed it.

    It is made by a command in the sandbox: git never runs outside on what an agent could have written.
    """
    point = space.src / ".git"
    if point.is_symlink() or not point.is_dir():
        remove(point)
        point.mkdir()
    if (space.scratch / "git" / "HEAD").is_symlink() or (space.scratch / "git" / "HEAD").is_file():
        return
    line = (
        "git init -q . && printf '%s' \"$UNWANTED\" > .git/info/exclude && git config user.name agent"
        " && git config user.email agent@workspace.invalid && git add -A && git commit -qm 'The work so far'"
    )
    sandbox.run(
        Command(("bash", "-c", line), space.mounts(), env={"UNWANTED": git.UNWANTED}, limits=Limits(seconds=60.0))
    )


def collect(space: Workspace, repo: git.Repo) -> str:
    """The tree of what is in the workspace now: `src/`, with `output/` and `research/` in the record folder.

    Symlinks are kept as symlinks and never followed. Raises `ToolError`, which names the path, for what cannot be
    taken: a repository inside the repository, a file or a whole that is too large, a fifo, socket or device.
    """
    _inspect(space.src)
    view = _view(space, repo)
    _add(view)
    tree = git.git(view, "write-tree")
    for name in CARRIED:
        tree = _graft(space, repo, tree, name)
    return tree


def _add(view: git.Repo) -> None:
    try:
        git.git(view, "add", "--all", "--", ".")
    except git.GitError as error:
        raise ToolError(f"the files cannot be taken as they are: {error.stderr.strip()}") from error


def _graft(space: Workspace, repo: git.Repo, tree: str, name: str) -> str:
    """`tree` with the files of `output/` or `research/` at their place in the record folder."""
    source, place = space.root / name, f"{space.folder}/{name}"
    _inspect(source)
    if not any(source.iterdir()):
        return tree
    apart = repo._replace(index_file=space.scratch / f"index.{name}", work_tree=source)
    _add(apart)
    made = git.files(repo, git.git(apart, "write-tree"))
    return git.tree_from(repo, tree, [f"{file.mode} {file.blob}\t{place}/{file.path}" for file in made])


def _view(space: Workspace, repo: git.Repo) -> git.Repo:
    return repo._replace(index_file=space.scratch / "index", work_tree=space.src)


def _inspect(folder: Path) -> None:
    """Refuse what must not reach the trusted repository, before any git looks at it."""
    total = 0
    for path, entry in _walk(folder):
        inside = path.relative_to(folder)
        if _is_git_dir(entry.name) and inside != Path(".git"):
            raise ToolError(f"{inside} is a Git repository inside the repository: remove it")
        mode = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(mode.st_mode):
            total += mode.st_size
            if mode.st_size > FILE_CAP:
                raise ToolError(f"{inside} has {mode.st_size >> 20} MiB: more than {FILE_CAP >> 20} is not collected")
        elif not stat.S_ISDIR(mode.st_mode) and not stat.S_ISLNK(mode.st_mode):
            raise ToolError(f"{inside} is neither a file nor a folder nor a link: remove it")
    if total > TOTAL_CAP:
        raise ToolError(f"the files have {total >> 20} MiB together: more than {TOTAL_CAP >> 20} is not collected")


def _is_git_dir(name: str) -> bool:
    """Names that some file system or some Git takes for `.git`: other case, ignorable characters, the short name."""
    plain = "".join(char for char in name if char.isascii() and char.isprintable()).rstrip(". ").lower()
    return plain in (".git", "git~1")


def _walk(folder: Path) -> Iterator[tuple[Path, os.DirEntry[str]]]:
    """Everything below `folder` but the content of its own `.git`; links are not followed."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                path = here / entry.name
                yield path, entry
                if entry.is_dir(follow_symlinks=False) and path != folder / ".git":
                    waiting.append(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, whatever an agent made of it: modes taken away, thousands of levels.

    `rm` walks by descriptors and follows no link; shutil.rmtree recurses until Python gives up (docs/sandbox.md).
    """
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(path)], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", "--", str(path)], check=True)


def _unlock(space: Workspace) -> None:
    index = space.scratch / "index"
    index.unlink(missing_ok=True)
    index.with_suffix(".lock").unlink(missing_ok=True)


def discard(space: Workspace) -> None:
    """Remove a task's workspace."""
    remove(space.root)
    remove(space.scratch)


def free_space(path: Path) -> int:
    """Bytes that can still be written below `path`."""
    return shutil.disk_usage(path).free
