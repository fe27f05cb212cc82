"""The repository's own checks, run in the sandbox on a fresh checkout with a fresh environment.

Never in the agent's workspace: what stands there besides the files, an environment, caches, background work, must not
decide whether the work is good.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from runner import git, workspace
from runner.agents import Policy, Settings
from runner.errors import UserError
from runner.gates.tally import Tally, tally
from runner.record import Gate
from runner.sandbox import Command, Ending, Limits, Mount, Network, Result, Sandbox

CHECK_SECONDS = 900.0
TAIL = 3000  # characters of a failing check's output that an agent is shown

VENV = "/workspace/venv"


class Verdict(NamedTuple):
    """A gate and, where it failed, what there is to know of it.

    Of a check also how it ended, how many tests it counted if its output says so, and `brief`: all of it in a line.
    """

    gate: Gate
    detail: str = ""
    ending: Ending = "exited"
    tally: Tally | None = None
    brief: str = ""


class Bench(NamedTuple):
    """Where checks run: the trusted repository, the sandbox, folders of this host for checkouts, logs and results.

    `seconds` is the limit of each command.
    """

    repo: git.Repo
    sandbox: Sandbox
    state: Path
    logs: Path
    seconds: float = CHECK_SECONDS


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
    with _folder(bench.state / "gates") as folder:
        checkout = Checkout(folder)
        for name in ("root/src", "root/venv", "home", "tmp"):
            (folder / name).mkdir(parents=True)
        git.check_out(bench.repo, tree, checkout.src)
        yield checkout, set_up(bench.sandbox, checkout.mounts(), setup, bench.logs, bench.seconds)


@contextlib.contextmanager
def _folder(gates: Path) -> Iterator[Path]:
    """A folder of our own below `gates`, which is also removed by whoever comes next if we are killed.

    It is in use as long as somebody holds the lock on the file beside it, which the kernel frees.
    """
    gates.mkdir(parents=True, exist_ok=True)
    with _alone(gates):  # or a sweep could come between the file and its lock
        _sweep(gates)
        number, name = tempfile.mkstemp(dir=gates, suffix=".lock")
        fcntl.flock(number, fcntl.LOCK_EX)
    folder = Path(name).with_suffix("")
    try:
        folder.mkdir(0o700)
        yield folder
    finally:
        workspace.remove(folder)
        Path(name).unlink(missing_ok=True)
        os.close(number)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process, and no other thread, is in here for this folder."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def sweep(gates: Path) -> None:
    """Remove the checkouts below `gates` that nobody is at any more; no gate may ever have run here."""
    if gates.is_dir():
        with _alone(gates):
            _sweep(gates)


def _sweep(gates: Path) -> None:
    for path in gates.glob("*.lock"):
        with contextlib.suppress(OSError), path.open("r+") as lock:  # in use, or just gone
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            workspace.remove(path.with_suffix(""))
            path.unlink()


def set_up(
    sandbox: Sandbox, mounts: tuple[Mount, ...], setup: tuple[str, ...], logs: Path, seconds: float = CHECK_SECONDS
) -> Verdict | None:
    """Make `/workspace/venv` and run the setup commands there, which alone may reach the package registries.

    Nothing is made where there is nothing to set up. Returns the failure, if there is one.
    """
    if not setup:
        return None
    make = ("python3", "-m", "venv", sandbox.locate(mounts, VENV))
    made = _run(sandbox, Command(make, mounts, limits=Limits(seconds=seconds)))
    if not made.ok:
        return verdict("setup", " ".join(make), made, logs)
    for line in setup:
        done = run_line(sandbox, mounts, line, "registry", seconds)
        if not done.ok:
            return verdict("setup", line, done, logs)
    return None


def run_line(
    sandbox: Sandbox, mounts: tuple[Mount, ...], line: str, reach: Network = "none", seconds: float = CHECK_SECONDS
) -> Result:
    """One shell line of `setup` or `checks`, with the environment's programs first in PATH."""
    command = Command(
        ("bash", "-c", line),
        mounts,
        env={"PYTHONDONTWRITEBYTECODE": "1", "CI": "true"},
        path=(f"{VENV}/bin",),
        network=reach,
        limits=Limits(seconds=seconds, output=256 << 10),
    )
    return _run(sandbox, command)


def _run(sandbox: Sandbox, command: Command) -> Result:
    """Raises `UserError` when it did not run at all: that says nothing about anybody's work."""
    done = sandbox.run(command)
    if done.ending == "failed":
        raise UserError(
            f"the sandbox could not run {command.argv[-1]!r}: {done.text.strip()}",
            "pullwright doctor says what is amiss",
        )
    return done


def verdict(name: str, line: str, result: Result, logs: Path) -> Verdict:
    """A command's result as evidence; its output goes to the host's log in full, its end to the agent."""
    logs.mkdir(parents=True, exist_ok=True)
    log_of(logs, name).write_bytes(f"$ {line}\n".encode() + result.output)
    gate = Gate(name, line, result.exit if result.ending == "exited" else None, round(result.seconds, 1))
    counted = tally(result.text)
    if result.ok:
        return Verdict(gate, tally=counted)
    ended = f"exit {result.exit}" if result.ending == "exited" else f"ended by {result.ending}"
    said = f"$ {line}\n{ended} after {result.seconds:.0f} s\n{result.text[-TAIL:]}"
    return Verdict(
        gate, said, result.ending, counted, f"{ended}: {last_words(result.text[-TAIL:]) or 'it said nothing'}"
    )


def log_of(logs: Path, gate: str) -> Path:
    """Where below a stage's logs the whole output of a check lies, on the host that ran it."""
    return logs / ("".join(char if char.isalnum() or char in "-_." else "_" for char in gate) + ".log")


def last_words(text: str, room: int = 160) -> str:
    """The end of what a command printed, which is where tools sum up: whole lines, without those that only rule off.

    At least one line, and more as long as they have `room` characters together. Pure.
    """
    kept: list[str] = []
    for line in reversed([line.strip() for line in text.splitlines()]):
        if any(char.isalnum() for char in line):
            room -= len(line)
            if kept and room < 0:
                break
            kept.append(line)
    return "; ".join(reversed(kept))


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
                run_line(bench.sandbox, checkout.mounts(), line, network(settings.policy), bench.seconds),
                bench.logs,
            )
            for number, line in enumerate(lines, 1)
        )


def network(policy: Policy) -> Network:
    """What checks may reach: nothing, unless the operator's policy says `open`."""
    return "open" if policy.network == "open" else "none"
