"""Where a Python of at least our own version is found inside."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

LINKED = "/run/pullwright/bin"
_SYSTEM = ("/usr/local/bin", "/usr/bin", "/bin")


class Interpreter(NamedTuple):
    """`prefix` has to be visible read-only; `path` is PATH; `link` the program behind `LINKED`/python3, if any."""

    prefix: Path | None
    path: tuple[str, ...]
    link: str | None

    @property
    def program(self) -> str:
        """The Python inside, as an absolute path."""
        return f"{self.path[0]}/python3" if self.prefix or self.link else "/usr/bin/python3"


def find(prefix: Path, executable: Path, home: Path) -> Interpreter:
    """The Python that runs us (`sys.base_prefix`, its program), made available to commands.

    Outside /usr (pyenv, hosted tool caches) its prefix is shown read-only and comes first. Inside /usr it is there
    already; where `python3` is another one (a second version beside the system's), a link leads to ours.
    """
    if prefix.is_relative_to("/usr"):
        if os.path.realpath("/usr/bin/python3") == os.path.realpath(executable):
            return Interpreter(None, _SYSTEM, None)
        return Interpreter(None, (LINKED, *_SYSTEM), os.path.realpath(executable))
    if prefix == home or prefix in home.parents:
        return Interpreter(None, _SYSTEM, None)  # showing that prefix would show the home folder
    return Interpreter(prefix, (f"{prefix}/bin", *_SYSTEM), None)


def ours() -> Interpreter:
    """`find` for the Python that runs us."""
    executable = getattr(sys, "_base_executable", sys.executable)
    return find(Path(sys.base_prefix), Path(executable), Path.home())
