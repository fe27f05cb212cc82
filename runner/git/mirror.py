"""The bare repository that is trusted: how it is made, and what holds in it whatever an agent writes."""

import contextlib
import os
import tempfile
from pathlib import Path

from runner.git.process import Repo, git

UNWANTED = """\
__pycache__/
*.pyc
.pytest_cache/
.mypy_cache/
.ruff_cache/
.hypothesis/
.venv/
venv/
node_modules/
*.egg-info/
"""
"""What tools leave behind: never collected, whether or not the repository ignores it."""

AS_COMMITTED = "* -text -ident !filter !working-tree-encoding\n"
"""Attributes that win over every `.gitattributes` (https://git-scm.com/docs/gitattributes: info/attributes is first).

Agents write `.gitattributes`. Without this, what a gate tries is not what people read in the commit, and an untouched
file is not collected as it was. So agents and gates see files as they are committed: with no line ends converted, no
`$Id$` filled in, no encoding changed, and a pointer where Git LFS has a file.
"""


def init_bare(path: Path) -> Repo:
    """The bare repository at `path`, made if it is not there: as a whole, whoever else makes it or is killed at it."""
    if not (path / "HEAD").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent) as scratch:
            git(None, "init", "--quiet", "--bare", "--template=", f"{scratch}/repo")
            with contextlib.suppress(OSError):  # somebody else's is there: a folder that is not empty stays
                Path(scratch, "repo").rename(path)
    (path / "info").mkdir(exist_ok=True)
    _write(path / "info" / "exclude", UNWANTED)
    _write(path / "info" / "attributes", AS_COMMITTED)
    return Repo(path)


def _write(path: Path, text: str) -> None:
    """Write a file that other processes read, unless it says that already."""
    if not path.exists() or path.read_text() != text:
        scratch = path.with_name(f"{path.name}.{os.getpid()}")
        scratch.write_text(text)
        scratch.replace(path)
