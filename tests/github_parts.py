"""Fixtures for tests that need a GitHub."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # they are heavy, and every test session reads this file
    from fake_github.office import Office
    from fake_github.server import FakeGitHub

VARIABLES = (
    "GITHUB_ACTIONS", "GITHUB_TOKEN", "PULLWRIGHT_GITHUB_TOKEN", "PULLWRIGHT_GITHUB_APP_ID",
    "PULLWRIGHT_GITHUB_APP_KEY",
)  # fmt: skip


@pytest.fixture
def fake(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[FakeGitHub]":
    """A server that the environment names. Whatever we send and it answers is as GitHub describes it."""
    from fake_github.server import FakeGitHub

    with FakeGitHub(tmp_path / "server") as server:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("GITHUB_SERVER_URL", server.url)
        monkeypatch.setenv("GITHUB_API_URL", server.api)
        yield server
        assert server.complaints == [], server.complaints  # nobody rewrites this module's assertions


@pytest.fixture
def bot(fake: "FakeGitHub", monkeypatch: pytest.MonkeyPatch) -> str:
    """The runner has an account of its own, with a fine-grained token."""
    fake.world.user("pullwright-bot", "write")
    token = fake.token("pullwright-bot")
    monkeypatch.setenv("PULLWRIGHT_GITHUB_TOKEN", token)
    return token


@pytest.fixture
def office(fake: "FakeGitHub", bot: str, tmp_path: Path) -> "Office":
    """People, a repository, and a runner with an account of its own."""
    from fake_github.office import Office

    return Office(fake, tmp_path)


@pytest.fixture
def app(fake: "FakeGitHub", monkeypatch: pytest.MonkeyPatch) -> str:
    """The runner is a GitHub App; returns its key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    monkeypatch.setenv("PULLWRIGHT_GITHUB_APP_ID", str(fake.install_app(public.decode())))
    monkeypatch.setenv("PULLWRIGHT_GITHUB_APP_KEY", private)
    return private
