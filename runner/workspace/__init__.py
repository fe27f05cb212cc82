"""The folder in which an agent works on one task, and how what it made is collected.

    <workspaces>/<agent>/global/tools/  global/references/    shared by that agent's tasks, read-only to commands
    <workspaces>/<agent>/tasks/<task>/  src/ venv/ output/ research/ README.md     what commands see as /workspace
    <workspaces>/<agent>/scratch/<task>/  git/ tmp/ home/ index                    the rest of it

`src/` holds plain files; its `.git` is an empty folder on which a private throw-away git dir is mounted. What the
agent made is collected by the trusted repository with its own git dir and index, so that no hook, filter or
configuration that an agent planted is ever in force (docs/sandbox.md).
"""

import os
from pathlib import Path
from typing import NamedTuple

from runner import git
from runner.errors import ToolError
from runner.sandbox import Command, Limits, Mount, Sandbox
from runner.sandbox.scratch import remove as remove
from runner.workspace import inspection

CARRIED = ("output", "research")
# Python prefers what is compiled to what people read in a commit, and a `.gitignore` can ask for it to be collected.
NEVER = (":(exclude,glob)**/__pycache__/**", ":(exclude,glob)**/*.pyc")

PATIENCE = 120.0
"""Seconds for a look at the files by Git. Ignore patterns with many stars take it for ever, and anybody writes them."""


class Slow(ToolError):
    """What is there cannot be taken, and to find that out took long."""


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
    """Lay the files of a commit or tree into a clean workspace; `output/` and `research/` come from the record folder.

    The environment (`venv/`, home) stays as it is from an earlier stage of the same agent.
    """
    for name in ("src", *CARRIED):
        remove(space.root / name)
    for path in (space.scratch / "git", *space.scratch.glob("index*"), _note(space)):
        remove(path)
    _lock_away(space.shared.parent)
    for path in _folders(space):
        path.mkdir(parents=True, exist_ok=True)
    (space.root / "README.md").write_text(readme)
    git.check_out(_view(space, repo), rev, space.src)
    for name in CARRIED:
        _move_out(space, name)
    (space.src / ".git").mkdir(exist_ok=True)


def _note(space: Workspace) -> Path:
    return space.scratch / "laid-out-for-people"


def await_files(space: Workspace, head: str) -> None:
    """Note that the workspace was laid out from the commit `head` for people, who may send files before any claim."""
    _note(space).write_text(head)


def awaited(space: Workspace) -> str | None:
    """The commit from which a workspace was laid out that no claim has taken yet."""
    return _note(space).read_text() if _note(space).exists() else None


def _lock_away(folder: Path) -> None:
    """Nobody else on this host enters: a program that an agent marks setuid would run as us (docs/sandbox.md)."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _move_out(space: Workspace, name: str) -> None:
    """Give `output/` or `research/` of the record folder its place beside `src/`.

    Only through real folders: a link on the way could lead to anything on this host.
    """
    steps = [space.src.joinpath(*parts) for parts in _prefixes((*Path(space.folder).parts, name))]
    if all(step.is_dir() and not step.is_symlink() for step in steps):
        remove(space.root / name)
        steps[-1].rename(space.root / name)


def _prefixes(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    return [parts[:length] for length in range(1, len(parts) + 1)]


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
    places = (space.scratch / "git" / "HEAD", point / "HEAD")  # the second where a sandbox has no mounts
    if any(os.path.lexists(head) for head in places):
        return
    line = (
        "git init -q . && printf '%s' \"$UNWANTED\" > .git/info/exclude && git config user.name agent"
        " && git config user.email agent@workspace.invalid && git add -A && git commit -qm 'The work so far'"
    )
    sandbox.run(
        Command(("bash", "-c", line), space.mounts(), env={"UNWANTED": git.UNWANTED}, limits=Limits(seconds=60.0))
    )


def collect(space: Workspace, repo: git.Repo, patience: float = PATIENCE) -> str:
    """The tree of what is in the workspace now: `src/`, with `output/` and `research/` in the record folder.

    Symlinks are kept as symlinks and never followed. Raises `ToolError`, which names the path, for what cannot be
    taken (see `inspection`); `Slow` where Git does not come to an end with it.
    """
    view = _view(space, repo)
    try:
        _add(view, patience)
        carried = [line for name in CARRIED for line in _carried(space, view, name, patience)]
    except git.TooLong:
        raise Slow("Git does not come to an end with the .gitignore files here: write simpler patterns") from None
    if carried:
        git.put(view, carried)
    return git.git(view, "write-tree")


def _view(space: Workspace, repo: git.Repo) -> git.Repo:
    return repo._replace(index_file=space.scratch / "index", work_tree=space.src)


def _add(view: git.Repo, patience: float) -> None:
    """Bring the index of `view` to what is in its work tree. A lock in the way is that of a collecting that died."""
    assert view.index_file is not None
    view.index_file.with_name(f"{view.index_file.name}.lock").unlink(missing_ok=True)
    inspection.inspect(view, patience)
    try:
        git.git(view, "add", "--all", "--", ".", *NEVER, env={"GIT_LITERAL_PATHSPECS": "0"}, seconds=patience)
    except git.TooLong:
        raise
    except git.GitError as error:
        said = "; ".join(error.stderr.strip().splitlines())
        raise ToolError(f"the files cannot be taken as they are: {said}") from error


def _carried(space: Workspace, view: git.Repo, name: str, patience: float) -> list[str]:
    """The files of `output/` or `research/` as index lines, at their place in the record folder."""
    source = space.root / name
    if not any(source.iterdir()):
        return []
    apart = view._replace(index_file=space.scratch / f"index.{name}", work_tree=source)
    _add(apart, patience)
    entries = (entry.partition("\t") for entry in git.git(apart, "ls-files", "--stage", "-z").split("\0") if entry)
    return [f"{head}\t{space.folder}/{name}/{path}" for head, _, path in entries]


def discard(space: Workspace) -> None:
    """Remove a task's workspace."""
    remove(space.root)
    remove(space.scratch)
