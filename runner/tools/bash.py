"""`bash`: a command in the sandbox."""

from hashlib import blake2b
from posixpath import dirname
from typing import Annotated

import msgspec
from msgspec import Meta

from runner.errors import ToolError
from runner.sandbox import Command, Result
from runner.tools.files import ask_inside, require_started
from runner.tools.text import elide, plain
from runner.tools.work import SRC, Observation, Work

LONGEST = 100_000
"""Linux takes 128 KiB in one argument (MAX_ARG_STRLEN)."""

# $1 is where the working directory of the last command is kept, $2 and $3 the roots it must lie under, $4 the start.
# What the file says is data: it was written inside, is read inside, and only ever becomes the argument of `cd`.
WRAPPER = """\
cd -- "$3"
pullwright_state=$1/.pullwright-cwd pullwright_cwd= pullwright_line=$4
trap '[ -f "$pullwright_state" ] || rm -rf -- "$pullwright_state"; pwd -P > "$pullwright_state"' EXIT
[ -f "$pullwright_state" ] && read -r -n 4096 pullwright_cwd < "$pullwright_state"
cd -P -- "${pullwright_cwd:-$3}" >/dev/null 2>&1
case $PWD in "$1"|"$1"/*|"$2"|"$2"/*) ;; *) cd -- "$3" ;; esac
set --
eval "$pullwright_line"
"""


def bash(work: Work, command: str, timeout: Annotated[int, Meta(ge=1)] = 120) -> Observation:
    """Run a shell command in the repository. The working directory is kept for the next command.

    command: the shell command, such as python -m pytest -q tests/test_calc.py
    timeout: seconds after which it is ended
    """
    if not command.strip() or "\0" in command or len(command) > LONGEST:
        raise ToolError("Give one shell command, such as ls -la.")
    place = work.sandbox.locate
    tmp, home = place(work.mounts, "/tmp"), place(work.mounts, SRC)
    seconds = min(float(timeout), work.limits.seconds)
    result = work.sandbox.run(
        Command(
            argv=("bash", "-c", WRAPPER, "bash", tmp, dirname(home), home, command),
            mounts=work.mounts,
            env=work.env,
            path=work.path,
            network=work.outside,
            limits=msgspec.structs.replace(work.limits, seconds=seconds),
        )
    )
    require_started(result)
    return outcome(work, result, seconds)


def outcome(work: Work, result: Result, seconds: float) -> Observation:
    """What a model is shown of a command that had so many seconds: how it ended, and its output within bounds."""
    return Observation(f"{_ending(result, seconds)}\n{_output(work, result)}".strip(), result.exit)


def _ending(result: Result, seconds: float) -> str:
    if result.ending == "exited":
        return f"exit {result.exit}"
    reasons = {
        "timeout": f"it did not end within {seconds:g} s",
        "memory": "it used too much memory",
        "disk": "it used too much disk space",
        "output": "it wrote too much output",
    }
    return f"stopped: {reasons[result.ending]}"


def _output(work: Work, result: Result) -> str:
    text = plain(result.text).strip("\n")
    if not text.strip():
        return "Command ran, no output." if result.ending == "exited" else ""
    if len(text) <= work.cap:
        return text
    return elide(text, work.cap, f"all of it is in {_log(work, text)}; use grep, or view with start")


def _log(work: Work, text: str) -> str:
    """Keep the whole output where the agent can look at it again. The same output is the same file."""
    path = f"/workspace/output/logs/{blake2b(text.encode(), digest_size=4).hexdigest()}.txt"
    try:
        ask_inside(work, "log", path, content=text + "\n")
    except ToolError as error:
        return f"no file ({error})"
    return path
