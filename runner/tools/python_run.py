"""`python_run`: Python in the task's own environment."""

from typing import Annotated

import msgspec
from msgspec import Meta

from runner.sandbox import Command
from runner.tools.bash import outcome
from runner.tools.files import absolute, ask_inside, require_started
from runner.tools.venv import ensure
from runner.tools.work import Body, Observation, Work

SCRIPT = "/tmp/script.py"


def python_run(work: Work, script: Annotated[str, Body], timeout: Annotated[int, Meta(ge=1)] = 120) -> Observation:
    """Run Python code, or a Python file, in the repository with the task's own packages.

    script: the code, or the path of a file alone, such as src/plot.py
    timeout: seconds after which it is ended
    """
    path = _path(script)
    if path is None:
        ask_inside(work, "write", SCRIPT, content=script, check=True)
    place = work.sandbox.locate(work.mounts, absolute(path or SCRIPT))
    seconds = min(float(timeout), work.limits.seconds)
    limits = msgspec.structs.replace(work.limits, seconds=seconds)
    argv = (f"{ensure(work)}/bin/python", place)
    result = work.sandbox.run(
        Command(argv, work.mounts, env=work.env, path=work.path, network=work.outside, limits=limits)
    )
    require_started(result)
    return outcome(work, result, seconds)


def _path(script: str) -> str | None:
    """The file that a script of one word names."""
    words = script.split()
    return words[0] if len(words) == 1 and words[0].endswith(".py") else None
