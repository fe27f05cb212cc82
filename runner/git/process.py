"""A git process: which configuration is in force, what it sees of the environment, and what it said."""

import math
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from runner.errors import ELSEWHERE, UserError
from runner.git import waiting

MIN_VERSION = (2, 38)  # `git merge-tree --write-tree`
SCARCE = 1 << 20  # bytes free, with which git may well not have been able to write

_GUARDS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.quotePath=false",
    "core.autocrlf=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "diff.ignoreSubmodules=all",
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "protocol.ext.allow=never",
    # The last resort for a helper whose runner was killed while the hub said nothing; `waiting` comes long before.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=3600",
)


class GitError(Exception):
    """A git command failed. Carries what was run and what it said."""

    def __init__(self, args: tuple[str, ...], status: int, stderr: str) -> None:
        super().__init__(public(f"git {' '.join(args)}: exit {status}: {stderr.strip()}"))
        self.status = status
        self.stderr = public(stderr)


class TooLong(GitError):
    """A git command was given up. What it did is half done; what it asked of a hub may be done there all the same."""

    def __init__(self, args: tuple[str, ...], why: str) -> None:
        super().__init__(args, 124, why)


class NoRoom(GitError, UserError):
    """Git could not write on this machine: the disk is full, or read-only."""

    def __init__(self, place: Path, why: str, error: GitError) -> None:
        UserError.__init__(self, f"{place}: {why}; git cannot write there", f"make room there; {ELSEWHERE}")
        self.status, self.stderr = error.status, f"{self.what}\n{error.stderr}"


def failure(repo: "Repo | None", args: tuple[str, ...], done: "subprocess.CompletedProcess[bytes]") -> GitError:
    """What a command that failed is to be told as. Git has many words for a full disk, and sometimes none."""
    error = GitError(args, done.returncode, done.stderr.decode("utf-8", "replace"))
    places = [] if repo is None else [repo.git_dir, repo.work_tree, repo.index_file and repo.index_file.parent]
    for place in places:
        if place is not None and place.exists():
            found = os.statvfs(place)
            if found.f_flag & os.ST_RDONLY:
                return NoRoom(place, "the disk is read-only", error)
            if found.f_bavail * found.f_frsize < SCARCE or (found.f_files and found.f_favail == 0):
                return NoRoom(place, "the disk is full", error)
    return error


def public(text: str) -> str:
    """Without the names and passwords that addresses may hold: errors are pasted into issues."""
    return re.sub(r"//[^/@\s]*@", "//", text)


class Repo(NamedTuple):
    """A git dir; `index_file` and `work_tree` where a command needs an index file or a work tree of its own.

    `credentials` gives what a command that talks to the hub needs in its environment, made anew for each.
    """

    git_dir: Path
    index_file: Path | None = None
    work_tree: Path | None = None
    credentials: Callable[[], Mapping[str, str]] | None = None


def environment(repo: Repo | None, *, network: bool = False) -> dict[str, str]:
    """The whole environment of a git command.

    Only commands that talk to the hub (`network`) see the user's own configuration, because credentials and ssh
    settings live there; they touch no work tree.
    """
    kept: tuple[str, ...] = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ")
    if network:
        kept += (
            "SSH_AUTH_SOCK",
            "SSH_ASKPASS",
            "GIT_ASKPASS",
            "GIT_SSH_COMMAND",
            "XDG_CONFIG_HOME",
            "GIT_CONFIG_GLOBAL",
        )
        kept += ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "no_proxy", "SSL_CERT_FILE")
    env = {name: os.environ[name] for name in kept if name in os.environ}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
    env["GIT_LITERAL_PATHSPECS"] = "1"  # a path is a path, and no pattern, whatever an agent calls its files
    if not network:
        env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_ATTR_NOSYSTEM": "1"}
    if network and repo is not None and repo.credentials is not None:
        env |= repo.credentials()
    if repo is not None:
        env["GIT_DIR"] = str(repo.git_dir)
        if repo.index_file is not None:
            env["GIT_INDEX_FILE"] = str(repo.index_file)
        if repo.work_tree is not None:
            env["GIT_WORK_TREE"] = str(repo.work_tree)
    return env


def execute(
    repo: Repo | None,
    *args: str,
    stdin: bytes = b"",
    network: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git and return what came of it, whatever its exit status.

    Raises `TooLong` where it takes more `seconds`, or (`network`) where the hub is silent for longer than it may be.
    """
    guards = [word for guard in _GUARDS for word in ("-c", guard)]
    most, silent = seconds or math.inf, waiting.silence() if network else math.inf
    with subprocess.Popen(
        ["git", *guards, *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(repo, network=network) | dict(env or {}),
        cwd=cwd or (repo.work_tree if repo is not None and repo.work_tree is not None else Path("/")),
    ) as run:
        began = time.monotonic()
        try:
            out, err = waiting.answer(run, stdin, most=most, silent=silent)
        except subprocess.TimeoutExpired:
            late = time.monotonic() - began >= most
            why = f"not done within {most:g} s" if late else f"nothing was heard for {silent:g} s"
            raise TooLong(args, why) from None
    return subprocess.CompletedProcess(run.args, run.returncode, out, err)


def git(
    repo: Repo | None,
    *args: str,
    stdin: bytes = b"",
    network: bool = False,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float | None = None,
) -> str:
    """Run git and return its output without the last newline. Raises `GitError`."""
    done = execute(repo, *args, stdin=stdin, network=network, env=env, cwd=cwd, seconds=seconds)
    if done.returncode != 0:
        raise failure(repo, args, done)
    return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")


def beginning(repo: Repo, most: int, *args: str) -> bytes:
    """The first `most` bytes of what a command says that only reads; it is ended when there is more.

    Agents and those who push decide how much there is of a difference, or of lines that are found.
    """
    guards = [word for guard in _GUARDS for word in ("-c", guard)]
    with subprocess.Popen(
        ["git", *guards, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(repo), cwd="/"
    ) as run:
        assert run.stdout is not None
        found = run.stdout.read(most)
        run.kill()
    return found


def require_git() -> None:
    """Raises `UserError` where git is missing or too old."""
    try:
        found = subprocess.run(["git", "version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise UserError("git is not installed", "install it: apt-get install git") from None
    match = re.search(r"(\d+)\.(\d+)", found)
    if match is None or (int(match[1]), int(match[2])) < MIN_VERSION:
        raise UserError(f"git {found.strip()} is too old", "install git 2.38 or newer")
