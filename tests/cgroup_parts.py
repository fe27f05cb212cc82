"""A cgroup for tests, where one can be made."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tree() -> Iterator[Path]:
    """A cgroup (v2) of ours, whatever controllers it has."""
    mounts = Path("/proc/self/mountinfo").read_text()
    place = next((line.split(" ")[4] for line in mounts.splitlines() if " - cgroup2 " in line), None)
    if os.geteuid() != 0 or place is None:
        pytest.skip("only root makes cgroups, and only where there is a tree of version 2")
    folder = Path(place, f"pullwright-test-{os.getpid()}")
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    yield folder
    folder.rmdir()  # fails where something of a test is left
