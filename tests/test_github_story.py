"""The whole story on GitHub, over real HTTP with real Git: from an issue by form to its close."""

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_github.office import Office, form
from fake_github.server import FakeGitHub
from fake_github.values import Refusal, Token
from repositories import git, typed


def play(office: Office, method: str, **given: str) -> None:
    """Issue → label by a reader → label by a maintainer → design → changes → rework → approve → … → complete."""
    issue = office.issue(body=form(**given))
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
    (note,) = office.notes(issue.number)
    assert note.startswith("<!-- pullwright:task -->\n**complete**\n")
    assert issue.labels == ["pullwright", "pullwright:done"]
    assert git(office.clone, "-C", str(office.world.git_dir), "show", "main:tasks/issue-1/record.yaml")


THREE = {"Stages": "design, build, complete"}


@pytest.mark.parametrize(("method", "given"), [("squash", {}), ("merge", THREE), ("rebase", THREE)])
def test_an_issue_goes_all_the_way_with_each_merge_method(office: Office, method: str, given: dict[str, str]) -> None:
    office.world.methods = {method}
    play(office, method, **given)


def test_with_an_app_every_token_is_narrow_and_none_is_left_behind(fake: FakeGitHub, app: str, tmp_path: Path) -> None:
    office = Office(fake, tmp_path)
    play(office, "squash", Stages="design, complete")
    assert {tuple(body["repositories"]) for body in fake.minted} == {("shop",)}
    assert all("workflows" not in body["permissions"] for body in fake.minted)
    secrets = [app.splitlines()[1], *(token for token in fake.world.tokens)]
    assert not list(leaks(tmp_path, secrets))


def test_with_a_personal_token_its_owner_comments(
    fake: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(fake, tmp_path)
    monkeypatch.setenv("PULLWRIGHT_GITHUB_TOKEN", fake.token("mona"))
    issue = office.issue(by="mona", body=form(Stages="design, complete"))
    office.label(issue.number, by="mona")
    office.run()
    pull = office.pull()
    with pytest.raises(Refusal):
        office.review(pull.number, "CHANGES_REQUESTED", "Not yet.")
    office.comment(pull.number, "Say why.")
    office.run()
    assert [c.args["text"] for c in office.task().commands if c.verb == "comment"] == ["Say why."]
    assert office.task().open.entry.state == "ready"
    office.merge(pull.number)
    office.run()
    office.merge(office.pull().number)
    office.run()
    assert office.task().status == "complete"
    assert len(office.notes(issue.number)) == 1
    assert not list(leaks(tmp_path, list(fake.world.tokens)))


@pytest.mark.parametrize("may", [True, False])
def test_threads_that_were_answered_are_resolved_where_the_policy_says_so_and_the_token_may(
    fake: FakeGitHub, bot: str, tmp_path: Path, may: bool
) -> None:
    office = Office(fake, tmp_path, policy={"resolve_threads": True})
    office.world.resolvable = may
    office.label(office.issue(body=form(Stages="design")).number)
    office.run()
    pull = office.pull().number
    line = {"path": "tasks/issue-1/design.md", "line": 3, "hunk": "+## Goal", "body": "Say why."}
    office.review(pull, "CHANGES_REQUESTED", lines=[line])
    other = office.review(pull, "COMMENTED", by="rita", lines=[line | {"body": "So what?"}])  # who is not heard
    office.run()
    first, unheard = (c for c in office.world.comments.values() if c.path and c.reply_to is None)
    assert (first.resolved, unheard.resolved, unheard.review) == (may, False, other)
    assert [c.reply_to for c in office.world.comments.values() if "Taken up" in c.body] == [first.id]


def leaks(folder: Path, secrets: list[str]) -> Iterator[tuple[Path, str]]:
    """Files that hold a secret, whatever kind they are; objects of Git are unpacked."""
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            with contextlib.suppress(zlib.error):
                data += zlib.decompress(data)
            yield from ((path, secret) for secret in secrets if secret.encode() in data)


def test_the_doctor_says_what_a_jobs_token_cannot(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed(office.clone, "doctor").out.count("personal token") == 1
    actions = office.world.user("github-actions[bot]", "write", id=41898282, type="Bot")
    office.world.tokens["ghs_ajobstoken"] = Token(actions, app=True)
    monkeypatch.delenv("PULLWRIGHT_GITHUB_TOKEN")
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_ajobstoken")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    office.world.methods = {"rebase"}
    office.world.rules = [{"type": "creation"}]
    said = " ".join(typed(office.clone, "doctor").out.split())
    assert "1,000 requests an hour, and what it pushes starts no other workflow" in said
    assert "only rebase merges are allowed" in said
    assert "put the runner's account on its bypass list" in said
