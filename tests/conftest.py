"""Fixtures that build real repositories with real Git."""

import signal
from pathlib import Path

import pytest
from browser.chromium import chromium
from github_parts import app, bot, fake, office
from hypothesis import HealthCheck
from hypothesis import settings as examples
from repositories import AUTO, add_task, at_home, bare_hub, project, settings
from tool_parts import heard, work

__all__ = ["app", "bot", "chromium", "fake", "heard", "office", "work"]

# The same examples each time, and for each as much time as a busy machine takes; `--hypothesis-profile default` looks
# for others.
examples.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("steady")

# Whole stories, which take seconds each: they come first, so that no worker is left alone with one of them at the end.
STORIES = {
    *("test_chat_story", "test_demo", "test_demo_weak", "test_every_tool", "test_examples", "test_github_story"),
    *("test_hub", "test_kills", "test_own_ollama", "test_pages_story", "test_races", "test_real_weights"),
    *("test_service_github", "test_takeover", "test_workflows"),
}

# Whoever runs the tests in the background ignores SIGINT, and a program that inherits that cannot be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long tests first."""
    items.sort(key=lambda item: item.path.stem not in STORIES)


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person with a home and a Git identity of their own: nothing of the machine's configuration counts."""
    return at_home(tmp_path, monkeypatch)


@pytest.fixture
def repository(tmp_path: Path, person: Path) -> Path:
    """The person's own repository with one task; its scripted agent does well, and people approve design and result."""
    folder = project(tmp_path / "repository", agents=settings())
    add_task(folder)
    return folder


@pytest.fixture
def unattended(tmp_path: Path, person: Path) -> Path:
    """The same, where the policy merges everything."""
    folder = project(tmp_path / "unattended", agents=settings(review=AUTO))
    add_task(folder)
    return folder


@pytest.fixture
def hub(tmp_path: Path, person: Path) -> tuple[Path, Path]:
    """`(hub, clone)`: a bare repository and one clone of it, unattended, with one task."""
    clone = project(tmp_path / "clone", agents=settings(review=AUTO))
    add_task(clone)
    return bare_hub(clone, tmp_path / "hub.git"), clone
