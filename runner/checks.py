"""The repository's own checks, run in the sandbox on a fresh checkout with a fresh environment.

Never in the agent's workspace: what stands there besides the files, an environment, caches, background work, must not
decide whether the work is good.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runner import git, workspace
from runner.agents import Policy, Settings
from runner.errors import UserError
from runner.record import Gate
from runner.sandbox import Command, Limits, Mount, Result, Sandbox

CHECK_SECONDS = 900.0
TAIL = 3000  # characters of a failing check's output that an agent is shown

PREPARE_VENV = ("python3", "-m", "venv", "/workspace/venv")


class Verdict(NamedTuple):
    """A gate and, where it failed, what there is to know of it."""

    gate: Gate
    detail: str = ""


class Bench(NamedTuple):
    """Where checks run: the trusted repository, the sandbox, folders of this host for checkouts, logs and results."""

    repo: git.Repo
    sandbox: Sandbox
    state: Path
    logs: Path


class Checkout(NamedTuple):
    """One fresh checkout, with what commands in it see."""

    folder: Path

    @property
    def src(self) -> Path:
        """The files."""
        return self.folder / "root" / "src"

    def mounts(self) -> tuple[Mount, ...]:
        """The same places as in a workspace."""
        root = self.folder / "root"
        return (
            Mount(root, "/workspace"),
            Mount(root / "src", "/workspace/src", True),
            Mount(root / "venv", "/workspace/venv", True),
            Mount(self.folder / "home", "/home/agent", True),
            Mount(self.folder / "tmp", "/tmp", True),
        )


@contextlib.contextmanager
def fresh(bench: Bench, tree: str, setup: tuple[str, ...]) -> Iterator[tuple[Checkout, Verdict | None]]:
    """A fresh checkout of `tree`, prepared by `setup`; yields it with the failure of the setup, if it failed."""
    (bench.state / "gates").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=bench.state / "gates"))
    try:
        checkout = Checkout(folder)
        for name in ("root/src", "root/venv", "home", "tmp"):
            (folder / name).mkdir(parents=True)
        git.check_out(bench.repo, tree, checkout.src)
        yield checkout, set_up(bench.sandbox, checkout.mounts(), setup, bench.logs)
    finally:
        workspace.remove(folder)


def set_up(sandbox: Sandbox, mounts: tuple[Mount, ...], setup: tuple[str, ...], logs: Path) -> Verdict | None:
    """Make `/workspace/venv` and run the setup commands there, which alone may reach the package registries.

    Nothing is made where there is nothing to set up. Returns the failure, if there is one.
    """
    if not setup:
        return None
    made = sandbox.run(Command(PREPARE_VENV, mounts, limits=Limits(seconds=CHECK_SECONDS)))
    if not made.ok:
        return verdict("setup", " ".join(PREPARE_VENV), made, logs)
    for line in setup:
        done = run_line(sandbox, mounts, line, network="registry")
        if not done.ok:
            return verdict("setup", line, done, logs)
    return None


def run_line(sandbox: Sandbox, mounts: tuple[Mount, ...], line: str, network: str = "none") -> Result:
    """One shell line of `setup` or `checks`, with the environment's programs first in PATH."""
    done = sandbox.run(
        Command(
            ("bash", "-c", line),
            mounts,
            env={"PYTHONDONTWRITEBYTECODE": "1", "CI": "true"},
            path=("/workspace/venv/bin",),
            network="registry" if network == "registry" else "open" if network == "open" else "none",
            limits=Limits(seconds=CHECK_SECONDS, output=256 << 10),
        )
    )
    if done.ending == "failed":
        raise UserError(
            f"the sandbox could not run {line!r}: {done.text.strip()}", "pullwright doctor says what is amiss"
        )
    return done


def verdict(name: str, line: str, result: Result, logs: Path) -> Verdict:
    """A command's result as evidence; its output goes to the host's log in full, its end to the agent."""
    logs.mkdir(parents=True, exist_ok=True)
    safe = "".join(char if char.isalnum() or char in "-_." else "_" for char in name)
    (logs / f"{safe}.log").write_bytes(f"$ {line}\n".encode() + result.output)
    gate = Gate(name, line, result.exit if result.ending == "exited" else None, round(result.seconds, 1))
    if result.ok:
        return Verdict(gate)
    ended = f"exit {result.exit}" if result.ending == "exited" else f"ended by {result.ending}"
    return Verdict(gate, f"$ {line}\n{ended} after {result.seconds:.0f} s\n{result.text[-TAIL:]}")


def run_checks(
    bench: Bench, tree: str, settings: Settings, lines: tuple[str, ...], label: str = "checks"
) -> tuple[Verdict, ...]:
    """Run each line of `lines` on a fresh checkout of `tree`; a failing setup is the only verdict then."""
    if not lines:
        return ()
    with fresh(bench, tree, settings.setup) as (checkout, failed):
        if failed is not None:
            return (failed,)
        return tuple(
            verdict(
                label if len(lines) == 1 else f"{label} {number}",
                line,
                run_line(bench.sandbox, checkout.mounts(), line, _network(settings.policy)),
                bench.logs,
            )
            for number, line in enumerate(lines, 1)
        )


def _network(policy: Policy) -> str:
    return "open" if policy.network == "open" else "none"


def passing_on(bench: Bench, base: str, settings: Settings) -> tuple[str, ...]:
    """The checks that pass on the base commit, which is what can be asked of a change. Remembered per commit."""
    if not settings.checks:
        return ()
    key = git.git(bench.repo, "hash-object", "--stdin", stdin=json.dumps([settings.setup, settings.checks]).encode())
    known = bench.state / "baseline" / f"{base}-{key[:12]}.json"
    if known.exists():
        return tuple(json.loads(known.read_text()))
    verdicts = run_checks(bench, base, settings, settings.checks, "base")
    broken = next((found for found in verdicts if found.gate.name == "setup"), None)
    if broken is not None:  # it says nothing about any change, and without it no check would be asked of one
        raise UserError(
            f"setup fails on the base branch:\n{broken.detail}", "mend `setup` in agents.yaml or the repository"
        )
    passing = tuple(found.gate.command for found in verdicts if found.gate.passed)
    known.parent.mkdir(parents=True, exist_ok=True)
    scratch = known.with_suffix(f".{tempfile.gettempprefix()}")
    scratch.write_text(json.dumps(passing))
    shutil.move(scratch, known)
    return passing
