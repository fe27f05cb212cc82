"""The task's own Python environment: made in the sandbox without a network, never run outside of it."""

from posixpath import dirname

from runner.errors import ToolError
from runner.sandbox import Command
from runner.tools.files import require_started
from runner.tools.text import plain
from runner.tools.work import SRC, Work

# Without pip: the sandbox's own installs into it (pip --python), so that the environment holds what the task needs.
MAKE = '[ -x "$1/bin/python" ] || python3 -m venv --without-pip "$1"'


def ensure(work: Work) -> str:
    """The place of the environment as commands see it; made if it is not there. Raises `ToolError`."""
    place = f"{dirname(work.sandbox.locate(work.mounts, SRC))}/venv"
    made = work.sandbox.run(Command(("bash", "-c", MAKE, "bash", place), work.mounts, limits=work.limits))
    require_started(made)
    if not made.ok:
        raise ToolError(f"The Python environment cannot be made: {plain(made.text).strip()[-500:]}")
    return place
