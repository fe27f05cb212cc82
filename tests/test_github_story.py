"""The whole story on GitHub, over real HTTP with real Git: from an issue by form to its close."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_github.office import Office
from fake_github.server import FakeGitHub
from repositories import git


@pytest.fixture
def fake(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with FakeGitHub(tmp_path / "server") as server:
        monkeypatch.setenv("GITHUB_SERVER_URL", server.url)
        monkeypatch.setenv("GITHUB_API_URL", server.api)
        for name in ("GITHUB_ACTIONS", "GITHUB_TOKEN", "PULLWRIGHT_GITHUB_APP_ID", "PULLWRIGHT_GITHUB_APP_KEY"):
            monkeypatch.delenv(name, raising=False)
        yield server
        assert server.complaints == []


@pytest.fixture
def office(fake: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """The runner has an account of its own, with a fine-grained token."""
    fake.world.user("pullwright-bot", "write")
    monkeypatch.setenv("PULLWRIGHT_GITHUB_TOKEN", fake.token("pullwright-bot"))
    return Office(fake, tmp_path, {})


def play(office: Office, method: str) -> None:
    """Issue → label by a reader → label by a maintainer → design → changes → rework → approve → … → complete."""
    issue = office.issue()
    office.run()
    assert office.view().states == ()
    office.label(issue.number, by="mona")
    office.run()
    pull = office.pull()
    assert (pull.head, pull.base) == ("agents/issue-1/design", "work/issue-1")
    line = {"path": "tasks/issue-1/design.md", "line": 3, "hunk": "@@ -0,0 +1,3 @@\n+## Goal", "body": "Say why."}
    office.review(pull.number, "CHANGES_REQUESTED", "Not yet.", lines=[line])
    office.run()
    assert office.pull().number == pull.number
    heard = [command for command in office.task().commands if command.verb == "comment"]
    assert len(heard) == 1
    assert "Not yet." in heard[0].text and "tasks/issue-1/design.md:3" in heard[0].text and "Say why." in heard[0].text
    assert any("Taken up" in comment.body for comment in office.world.comments.values() if comment.reply_to)
    office.review(pull.number, "APPROVED")
    office.merge(pull.number, method)
    office.run()
    last = office.pull()
    assert (last.head, last.base) == ("agents/issue-1/complete", "main")
    assert "Fixes #1" in (office.world.issues[last.number].body or "")
    office.merge(last.number, method)
    office.run()
    assert office.task().status == "complete"
    assert office.world.issues[issue.number].state == "closed"
    assert "complete" in office.notes(issue.number)[0]
    assert len(office.notes(issue.number)) == 1
    assert git(office.clone, "-C", str(office.world.git_dir), "show", "main:tasks/issue-1/record.yaml")


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_an_issue_goes_all_the_way_with_each_merge_method(office: Office, method: str) -> None:
    office.world.methods = {method}
    play(office, method)
