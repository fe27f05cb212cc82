"""A task's place to work in, with real folders and the real sandbox."""

from pathlib import Path

import pytest

from runner.errors import ToolError
from runner.sandbox import Limits, Mount, Sandbox
from runner.sandbox.bubblewrap import Bubblewrap
from runner.tools import Journal, Observation, Work, toolbox


def make_work(
    place: Path,
    heard: list[object] | None = None,
    cap: int = 3584,
    seconds: float = 120.0,
    sandbox: Sandbox | None = None,
) -> Work:
    """A `Work` below `place`; `heard` collects what the agent says to people."""
    heard = [] if heard is None else heard
    for name in ("src", "output", "research", "venv", "tmp"):
        (place / name).mkdir(parents=True, exist_ok=True)
    mounts = (
        Mount(place / "src", "/workspace/src", writable=True),
        Mount(place / "output", "/workspace/output", writable=True),
        Mount(place / "research", "/workspace/research", writable=True),
        Mount(place / "venv", "/workspace/venv", writable=True),
        Mount(place / "tmp", "/tmp", writable=True),
    )
    return Work(
        sandbox or Bubblewrap(), mounts, Journal(heard.append, heard.append), cap=cap, limits=Limits(seconds=seconds)
    )


@pytest.fixture
def heard() -> list[object]:
    """What the agent has said to people."""
    return []


@pytest.fixture
def work(tmp_path: Path, heard: list[object]) -> Work:
    """A `Work` below the test's folder `w`."""
    return make_work(tmp_path / "w", heard)


def say(work: Work, tool: str, **arguments: object) -> str:
    """What a tool answers."""
    answer = toolbox((tool,), work)[tool].run(arguments)
    assert isinstance(answer, Observation)
    return answer.text


def refusal(work: Work, tool: str, **arguments: object) -> str:
    """Why a tool refuses."""
    with pytest.raises(ToolError) as refused:
        say(work, tool, **arguments)
    return str(refused.value)
