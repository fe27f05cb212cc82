"""`python_install`: packages for the task's own environment.

They are fetched in a sandbox of their own, which reaches the package registry and holds nothing of the agent's; then
installed in the task's, which reaches nothing. What was fetched is kept for this host, and shown read-only.
"""

import os
import re
import stat
from functools import partial
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from runner.errors import ToolError
from runner.sandbox import Command, Limits, Mount, Network, Result
from runner.sandbox.scratch import scratch
from runner.tools.files import ask_inside, require_started
from runner.tools.text import plain
from runner.tools.venv import ensure
from runner.tools.work import Observation, Work

PACKAGES = "/workspace/research/packages.txt"
WHEELS, FRESH = "/wheels", "/fresh-wheels"
SECONDS = 600.0

# PEP 508 without addresses: no option, path or URL gets to pip.
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?"
_REQUIREMENT = re.compile(
    rf"{_NAME}(?:\[{_NAME}(?:,{_NAME}){{0,9}}\])?(?:(?:[=~!<>]=|[<>])[A-Za-z0-9.*+!]{{1,40}},?){{0,4}}"
)


def python_install(work: Work, packages: Annotated[str, Meta(min_length=1, max_length=500)]) -> Observation:
    """Install Python packages from the registry into the task's own environment.

    packages: names with or without versions, such as numpy matplotlib>=3.8
    """
    wanted = _requirements(packages)
    wheels = work.reach.wheels
    if work.network == "none" or wheels is None:
        raise ToolError("Packages cannot be installed: policy.network allows none. Go on with what is there.")
    place = ensure(work)
    wheels.mkdir(parents=True, exist_ok=True)
    mounts, target = (*work.mounts, Mount(wheels, WHEELS)), ("--python", f"{place}/bin/python")
    install = partial(_pip, work, "none", mounts, target, "install", "--no-index", *wanted)
    if not (_pinned(wanted) and install().ok):
        _fetch(work, wheels, wanted)
        installed = install()
        if not installed.ok:
            raise ToolError(f"The packages cannot be installed: {_said(installed)}")
    names = _record(work, place, wanted)
    return Observation(f"Installed: {names}")


def _requirements(packages: str) -> tuple[str, ...]:
    words = tuple(packages.replace(" ,", ",").replace(", ", " ").split())
    for word in words:
        if not _REQUIREMENT.fullmatch(word):
            raise ToolError(f"{word[:100]} is no package name. Give names such as numpy or numpy==2.1, nothing else.")
    if not words:
        raise ToolError("Give the names of packages, such as numpy.")
    return words


def _pinned(wanted: tuple[str, ...]) -> bool:
    """Whether these can be no others tomorrow: what this host has kept of them will do."""
    return all("==" in word and "*" not in word for word in wanted)


def _fetch(work: Work, wheels: Path, wanted: tuple[str, ...]) -> None:
    """Download wheels: nothing of a package runs for that, and nothing of the agent's is there."""
    with scratch() as folder:
        mounts = (Mount(wheels, WHEELS), Mount(folder, FRESH, writable=True))
        words = ("download", "--only-binary", ":all:", "--dest", FRESH, *wanted)
        fetched = _pip(work, work.network, mounts, (), *words)
        if not fetched.ok:
            raise ToolError(f"The packages cannot be had: {_said(fetched)}")
        _keep(folder, wheels)


def _pip(work: Work, network: Network, mounts: tuple[Mount, ...], target: tuple[str, ...], *words: str) -> Result:
    """pip of the sandbox's own Python, in an empty folder; `target` is what stands before its command."""
    front = ("python3", "-I", "-m", "pip", *target, words[0], "--quiet", "--no-input", "--disable-pip-version-check")
    argv = (*front, "--no-cache-dir", "--find-links", WHEELS, *words[1:])
    limits = Limits(seconds=SECONDS, disk=work.limits.disk)
    result = work.sandbox.run(Command(argv, mounts, cwd="/", network=network, limits=limits))
    require_started(result)
    return result


def _said(result: Result) -> str:
    lines = plain(result.text).strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    return "\n".join(errors)[-800:] or result.ending


def _keep(fresh: Path, wheels: Path) -> None:
    """Move what was fetched into this host's folder: regular files with a wheel's name, nothing else."""
    for entry in os.scandir(fresh):
        if entry.name.endswith(".whl") and stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            place = wheels / entry.name
            if not place.exists():
                scratch = wheels / f".{entry.name}.{os.getpid()}"
                scratch.write_bytes(Path(entry.path).read_bytes())
                scratch.replace(place)


_LIST = """\
import importlib.metadata as m, re, sys
for word in sys.argv[1:]:
    name = re.match(r"[A-Za-z0-9._-]+", word)[0]
    print(f"{m.distribution(name).name}=={m.version(name)}")
"""


def _record(work: Work, place: str, wanted: tuple[str, ...]) -> str:
    """Write what was installed into the task's research and its history; the versions as the environment tells them."""
    asked = work.sandbox.run(Command((f"{place}/bin/python", "-c", _LIST, *wanted), work.mounts, limits=work.limits))
    lines = [line for line in plain(asked.text).split() if re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)]
    names = lines if asked.ok and len(lines) == len(wanted) else list(wanted)  # a package says what it likes there
    for line in names:
        ask_inside(work, "append", PACKAGES, content=f"{line}\n")
    work.journal.note(f"python_install: {' '.join(names)}"[:1900])
    return " ".join(names)
