"""What somebody without write access, or a text of theirs, could make us do on GitHub: each once a hole, or nearly."""

from pathlib import Path

import pytest
from fake_github.office import LABEL, Office, form, told_twice
from fake_github.pulls import open_pull
from fake_github.server import FakeGitHub
from fake_github.values import User
from repositories import git

from runner.attend import attend
from runner.errors import UserError
from runner.forge import Proposal, Refused
from runner.lifecycle import Stage, StageRef


def accepted(office: Office) -> int:
    """An issue that is a task, at which nobody works yet."""
    number = office.issue().number
    office.label(number)
    attend(office.host())
    return number


def test_a_name_that_was_trusted_is_not_who_has_it_now(office: Office) -> None:
    number, host = accepted(office), office.host()
    office.comment(number, "/pullwright pause")
    attend(host)
    mona = office.world.users.pop("mona")
    mona.login = "mona-the-great"
    office.world.users |= {"mona-the-great": mona, "mona": User("mona", office.world.id())}
    office.comment(number, "/pullwright cancel")
    attend(host)
    attend(office.host())
    assert (office.task().standing.paused, office.task().standing.cancelled) == (True, False)
    office.comment(number, "/pullwright resume", by="mona-the-great")
    attend(host)
    assert not office.task().standing.paused


def test_a_comment_whose_author_was_renamed_meanwhile_is_not_judged_by_who_has_the_old_name(office: Office) -> None:
    number = accepted(office)
    office.comment(number, "/pullwright cancel", by="stranger")
    stranger = office.world.users["stranger"]
    office.world.users["stranger"] = User("stranger", office.world.id(), "admin")
    attend(office.host())
    assert stranger.level == "none" and not office.task().standing.cancelled


def test_who_is_not_heard_cannot_have_us_write_again_and_again(office: Office) -> None:
    number, host = accepted(office), office.host()
    for each in range(6):
        office.world.user(f"troll-{each}")
    for round in range(4):
        for each in range(6):
            office.comment(number, f"/pullwright cancel {round}", by=f"troll-{each}")
        office.time.sleep(60)
        office.fake.seen.clear()
        attend(host)
        if round:
            assert [
                asked.path for asked in office.fake.seen if asked.method != "GET" and asked.path != "/graphql"
            ] == []
    assert office.notes(number)[0].count("has no write access") == 3
    office.comment(number, "/pullwright nonsense")
    office.time.sleep(60)
    attend(host)
    assert "there is no command 'nonsense'" in office.notes(number)[0]


def test_many_pull_requests_of_strangers_do_not_use_up_the_hours_writes(office: Office) -> None:
    accepted(office)
    host, tip = office.host(), office.world.tip("main") or ""
    tree = git(office.world.git_dir, "rev-parse", "main^{tree}")
    names = ("-c", "user.name=s", "-c", "user.email=s")
    forged = git(office.world.git_dir, *names, "commit-tree", tree, "-p", tip, "-m", "x")
    stranger = office.person("stranger")
    pulls = [
        open_pull(office.world, stranger, "x", "", f"agents/issue-1/design.{n}", "main", fork=forged)
        for n in range(2, 42)
    ]
    for _ in range(3):
        attend(host)
    assert sum(len(office.notes(pull.number)) for pull in pulls) == 10
    office.time.sleep(3600)
    attend(host)
    assert sum(len(office.notes(pull.number)) for pull in pulls) == 20


def test_a_red_check_among_many_is_seen(office: Office) -> None:
    git(office.clone, "switch", "-q", "-c", "agents/x/build")
    git(office.clone, "commit", "-q", "--allow-empty", "-m", "x")
    git(office.clone, "push", "-q", str(office.world.git_dir), "HEAD", "HEAD~:refs/heads/work/x")
    head = office.world.tip("agents/x/build") or ""
    made = Proposal(StageRef("x", Stage.BUILD, 1), "agents/x/build", head, "work/x", "x", "x")
    forge = office.host().forge
    forge.open(made)
    many = [{"context": f"check-{n}", "state": "success"} for n in range(130)]
    office.world.statuses[head] = [*many, {"context": "the-one", "state": "failure"}]
    assert forge.merge(made, "Merge it\n") == Refused("hold", f"check failed: the-one ({_address(office)})")
    office.world.statuses[head] = many
    runs = [
        {"id": n, "name": f"run-{n}", "status": "completed", "conclusion": "failure" if n == 120 else "success"}
        for n in range(121)
    ]
    office.world.checks[head] = runs
    assert forge.merge(made, "Merge it\n") == Refused("hold", f"check failed: run-120 ({_address(office)})")


def _address(office: Office) -> str:
    return f"{office.fake.url}/acme/shop/pull/1"


def test_what_an_agent_asks_is_words_and_no_mark_up(fake: FakeGitHub, bot: str, tmp_path: Path) -> None:
    told = told_twice("issue-1")
    told["design"] = [("ask", {"question": "Which? ![x](http://x.invalid/y.png) **b** <!-- @mona fixes #1"})]
    office = Office(fake, tmp_path, replies=told)
    office.label(office.issue(body=form(Stages="design")).number)
    office.world.mentioned.clear()
    office.run()
    (note,) = office.notes(1)
    assert r"needs input: Which? \!\[x\](http://x.invalid/y.png) \*\*b\*\* \<\!-- @ mona fixes – # 1" in note
    assert office.world.mentioned == []


def test_an_issue_that_takes_no_comment_hides_no_other(office: Office) -> None:
    locked, other = office.issue().number, office.issue().number
    office.world.locked.add(locked)
    for number in (locked, other):
        office.label(number)
    with pytest.raises(UserError, match=f"no comment on #{locked}"):
        attend(office.host())
    assert (len(office.notes(locked)), len(office.notes(other))) == (0, 1)


@pytest.mark.parametrize("gone", ["gone", "moved"])
def test_an_issue_that_is_gone_keeps_nobody_from_being_heard(office: Office, gone: str) -> None:
    first, second = accepted(office), accepted(office)
    host = office.host()
    office.world.issues[first].labels.remove(LABEL)
    office.world.gone[first] = gone
    office.comment(second, "/pullwright pause")
    attend(host)
    assert office.task(f"issue-{second}").standing.paused
    assert [office.task(f"issue-{number}").standing.withdrawn for number in (first, second)] == [None, None]
