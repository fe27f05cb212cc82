"""This machine's side of the work: the clone, its hub, and the folder where state of this host lies."""

import fcntl
import hashlib
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from runner import credentials, git
from runner.agents import Agent
from runner.errors import UserError
from runner.forge import Forge
from runner.lifecycle import Stage, StageRef
from runner.models import Model
from runner.notify import Server
from runner.sandbox import Cloning, Sandbox
from runner.secrets import Redactor
from runner.web import Web


class Hub(NamedTuple):
    """Where branches are pushed and tasks are read from.

    `own` is the repository's own folder where the hub is that repository itself, else None.
    """

    url: str
    own: Path | None


class Clone(NamedTuple):
    """The repository in which the command stands; `work_tree` is None for a bare one, `state` ours on this host."""

    git_dir: Path
    work_tree: Path | None
    hub: Hub
    state: Path


@dataclass(frozen=True)
class Site:
    """What is enough to look: the host's name, its state folder, the trusted mirror, the hub, the person's folder.

    `clock` gives seconds that go on while the host is off: by it a host knows for how long it has seen the same.
    """

    id: str
    state: Path
    repo: git.Repo
    hub: Hub
    folder: Path
    clock: Callable[[], float] = time.time


@dataclass(frozen=True)
class Host:
    """All that one turn needs of the outside world. `say` hears one line for a person about what is happening.

    `redactor` takes secrets out of what is stored, printed, pushed or sent to a model. `listen` takes up what people
    said on the forge while a stage is at work, and shows how far it is. `web` is what an agent of
    a name gets who may reach it, `mail` the server that letters go to, `cloning` where public repositories are fetched.
    """

    site: Site
    sandbox: Sandbox
    forge: Forge
    model: Callable[[Agent, Stage], Model]
    now: Callable[[], datetime]
    say: Callable[[str], None]
    listen: Callable[[], None] = lambda: None
    redactor: Redactor = field(default_factory=Redactor)
    web: Callable[[str], Web] | None = None
    mail: Server | None = None
    cloning: Cloning | None = None

    @property
    def id(self) -> str:
        """This host's name in records."""
        return self.site.id

    @property
    def state(self) -> Path:
        """The folder for this host's own state."""
        return self.site.state

    @property
    def repo(self) -> git.Repo:
        """The trusted mirror."""
        return self.site.repo

    @property
    def hub(self) -> Hub:
        """Where branches are pushed."""
        return self.site.hub

    def timestamp(self) -> str:
        """Now, as records write it: ISO 8601 in UTC, whole seconds."""
        return timestamp(self.now())


def timestamp(moment: datetime) -> str:
    """A moment as records write it: ISO 8601 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def site_at(folder: Path) -> Site:
    """The site of the repository around `folder`; makes the mirror if need be. Raises `UserError`."""
    clone = find_clone(folder)
    repo = git.init_bare(clone.state / "repo.git")
    repo = repo._replace(credentials=credentials.for_git(clone.hub.url, clone.state))
    return Site(host_id(clone.state), clone.state, repo, clone.hub, clone.work_tree or clone.git_dir)


def find_clone(folder: Path) -> Clone:
    """The repository around `folder`. Raises `UserError` where there is none."""
    git.require_git()
    found = _git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir", "--is-bare-repository")
    if found.returncode != 0:
        require_trust(found.stderr)
        raise UserError(f"{folder} is not in a Git repository", "go into one, or make one: pullwright init DIR")
    git_dir, bare = found.stdout.splitlines()
    top = None if bare == "true" else _ask(folder, "rev-parse", "--path-format=absolute", "--show-toplevel")
    root = Path(top) if top else Path(git_dir)
    state = _state(Path(git_dir))
    return Clone(Path(git_dir), Path(top) if top else None, _hub(root, Path(git_dir)), state.absolute())


def require_trust(said: str) -> None:
    """Raises `UserError` where Git's complaint `said` is that a repository is another account's (git-config(1),
    safe.directory), as in a container with a folder of its host. The sentence may be in any language, the key is not.
    """
    found = re.search(r"--add safe\.directory (.+)", said)
    if found:
        where, remedy = found[1].strip().strip("'"), f"git config --global {found[0]}"
        raise UserError(f"{where} belongs to another account of this machine, so Git does not go in", remedy)


def _state(git_dir: Path) -> Path:
    """The folder for this host's own state: in the git dir, or a folder of its own below `PULLWRIGHT_STATE`."""
    elsewhere = os.environ.get("PULLWRIGHT_STATE")
    if not elsewhere:
        return git_dir / "pullwright"
    return Path(elsewhere) / hashlib.sha256(str(git_dir.resolve()).encode()).hexdigest()[:12]


def _hub(root: Path, git_dir: Path) -> Hub:
    url = _ask(root, "remote", "get-url", "origin")
    if not url:
        return Hub(str(git_dir), root)
    local = Path(url).expanduser() if "://" not in url else None
    if local is not None and (root / local).exists():  # a relative address is meant from the clone's top
        return Hub(str((root / local).resolve()), None)
    return Hub(url, None)


def _ask(folder: Path, *args: str) -> str | None:
    done = _git(folder, *args)
    return done.stdout.strip() if done.returncode == 0 else None


def _git(folder: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    guards = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false")
    return subprocess.run(["git", *guards, *args], cwd=folder, capture_output=True, text=True)


def host_id(state: Path) -> str:
    """This host's name in records: the machine's name and eight digits of this state folder's own place.

    Two clones on one machine are two hosts: they share neither workspaces nor locks. A copied folder is another host,
    since the digits come from where it lies.
    """
    return f"{platform.node() or 'host'}/{hashlib.sha256(str(state.resolve()).encode()).hexdigest()[:8]}"


def logs_of(state: Path, ref: StageRef) -> Path:
    """The folder on this host for the full output of an attempt's gates."""
    return state / "logs" / ref.task / f"{ref.stage}.{ref.attempt}"


@contextmanager
def lock(state: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold a lock of this host; yields whether it was had. The kernel frees it however the process ends."""
    path = state / "locks" / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
