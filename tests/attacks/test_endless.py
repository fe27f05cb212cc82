"""What is small to write and endless to read: the trusted side gives it up, says so, and can clean up."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tool_parts import make_work

from attacks.planting import Site
from runner import git, workspace
from runner.errors import ToolError
from runner.sandbox.scratch import scratch
from runner.tools import toolbox
from runner.tools.replacing import apply, parse

DEEP = "/".join(["a"] * 400)
PATTERN = "/".join(["**", "a*"] * 14) + "/b\n"


def test_ignore_patterns_that_take_for_ever_are_given_up(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (site.space.src / ".gitignore").write_text(PATTERN)
    (site.space.src / DEEP).mkdir(parents=True)
    (site.space.src / DEEP / "f").touch()
    with pytest.raises(workspace.Slow, match="simpler patterns"):
        workspace.collect(site.space, site.repo, patience=1.0)
    with pytest.raises(subprocess.TimeoutExpired):  # the control: whoever asks Git without a clock
        subprocess.run(["git", "status"], cwd=_careless(site), capture_output=True, timeout=2)
    (site.space.src / ".gitignore").write_text("*.pyc\n")
    assert f"{DEEP}/f" in site.collected()
    workspace.discard(site.space)
    assert not site.space.root.exists()


def _careless(site: Site) -> Path:
    subprocess.run(["git", "init", "-q", site.root / "careless"], check=True)
    subprocess.run(
        ["cp", "-r", f"{site.space.src}/.gitignore", f"{site.space.src}/a", site.root / "careless"], check=True
    )
    return site.root / "careless"


def test_folders_without_end_are_removed(tmp_path: Path) -> None:
    line = f"import os\nfor _ in range({sys.getrecursionlimit() + 300}): os.mkdir('d'); os.chdir('d')\nos.chmod('.', 0)"
    with scratch() as folder:
        subprocess.run([sys.executable, "-c", line], cwd=folder, check=True)
    assert not folder.exists()
    if sys.version_info < (3, 13):
        careless = tempfile.TemporaryDirectory()
        subprocess.run([sys.executable, "-c", line], cwd=careless.name, check=True)
        with pytest.raises(RecursionError):  # the control
            careless.cleanup()
        workspace.remove(Path(careless.name))


@pytest.mark.parametrize("search", [["b"] * 4000, [" a"] * 4000 + ["b"]], ids=["unlike", "alike to its end"])
def test_an_edit_of_thousands_of_lines_has_its_answer(search: list[str]) -> None:
    """Forty thousand lines against four thousand: each with each would take minutes."""
    change = "\n".join(("<<<<<<< SEARCH", *search, "=======", "x", ">>>>>>> REPLACE"))
    with pytest.raises(ToolError, match="SEARCH lines"):
        apply("a\n" * 40_000, parse(change))


def test_a_bare_repository_that_was_there_is_no_reason_to_refuse_the_rest(tmp_path: Path) -> None:
    site, files = Site(tmp_path), {f"b/{name}": b"x" for name in ("HEAD", "objects/k", "refs/k", "config")}
    workspace.prepare(site.space, site.repo, git.tree_with(site.repo, None, files), "read me")
    (site.space.src / "new").write_text("new")
    assert "new new" in site.collected()
    subprocess.run(["cp", "-r", site.space.src / "b", site.space.root / "output/c"], check=True)
    assert site.collected().startswith("refused: c is laid out like a Git repository")


def test_a_place_that_nobody_reads_from_holds_no_command_up(tmp_path: Path) -> None:
    """The file in which the working directory is kept becomes a fifo, or a folder."""
    bash = toolbox(("bash",), make_work(tmp_path / "w"))["bash"]
    for line in (
        "cd /tmp; rm -f .pullwright-cwd; mkfifo .pullwright-cwd",
        "rm -f /tmp/.pullwright-cwd; mkdir /tmp/.pullwright-cwd",
    ):
        assert "exit 0" in str(bash.run({"command": line, "timeout": 60}))
    assert "on" in str(bash.run({"command": "cd /workspace/output && echo on", "timeout": 60}))
    assert "/workspace/output" in str(bash.run({"command": "pwd", "timeout": 60}))
