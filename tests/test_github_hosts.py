"""Several hosts attend to one repository on GitHub at once: what they say there is said once, whoever lives on."""

from collections.abc import Callable

import repositories
from fake_github.office import Office, form, host_at
from test_github_kills import Victim

from runner import wiring
from runner.attend import attend
from runner.forge import Person, Remark
from runner.forge.github import GitHub
from runner.host import Host, site_at
from runner.observe import observe

ATTEND = """
import sys
from pathlib import Path
from fake_github.office import Time, host_at
from runner.attend import attend
from runner.forge import Person, Remark
from runner.forge.github import GitHub
attend(host_at(Path(sys.argv[1]), Time()))
"""


def begun(office: Office) -> int:
    """An issue that has just been labelled: its thread has no note yet."""
    number = office.issue().number
    office.label(number)
    return number


def another(office: Office) -> Host:
    """A host of its own: another clone, another state, the same account."""
    clone = repositories.clone(office.world.git_dir, office.folder / "other")
    repositories.git(clone, "remote", "set-url", "origin", office.fake.clone_url)
    return host_at(clone, office.time)


def when_it_writes(office: Office, before: Callable[[], None], after: Callable[[], None] = lambda: None) -> None:
    """What happens around the first comment: somebody has looked, found none, and writes one."""
    first: list[int] = []

    def on_request(number: int, phase: str, method: str, path: str) -> None:
        if method == "POST" and path.endswith("/comments"):
            if phase == "before" and not first:
                first.append(number)
                before()
            elif phase == "after" and first == [number]:
                after()

    office.fake.on_request = on_request


def writes(office: Office) -> int:
    return len([asked for asked in office.fake.seen if asked.method == "POST" and asked.path.endswith("/comments")])


def test_two_hosts_that_attend_at_once_leave_one_note(office: Office) -> None:
    number, other = begun(office), another(office)
    when_it_writes(office, lambda: void(attend(other)))
    attend(office.host())
    assert (writes(office), len(office.notes(number))) == (2, 1)


def test_one_note_stays_when_the_host_that_was_later_dies_before_it_looks_again(office: Office) -> None:
    number, other = begun(office), another(office)
    victim = Victim(office, ATTEND)
    when_it_writes(office, lambda: void(attend(other)), victim.kill)
    victim.run()
    assert (victim.killed, len(office.notes(number))) == (True, 2)
    office.time.sleep(30)  # a note is changed no sooner
    attend(other)
    assert len(office.notes(number)) == 1


def test_one_note_stays_when_the_host_that_was_first_dies_meanwhile(office: Office) -> None:
    number, other = begun(office), another(office)
    victim = Victim(office, ATTEND)

    def dies() -> None:
        when_it_writes(office, lambda: None, victim.kill)
        victim.run()

    when_it_writes(office, dies)
    attend(other)
    assert (victim.killed, writes(office), len(office.notes(number))) == (True, 2, 1)


def test_two_hosts_that_answer_a_review_at_once_leave_one_answer(office: Office) -> None:
    number, told = office.issue(body=form(Stages="design")).number, []
    office.label(number)
    office.run()
    pull = office.pull().number
    line = {"path": "tasks/issue-1/design.md", "line": 3, "hunk": "+## Goal", "body": "Say why."}
    review = office.review(pull, "CHANGES_REQUESTED", lines=[line])
    (thread,) = [comment.id for comment in office.world.comments.values() if comment.review == review]
    remark = Remark(f"github:review-{review}", "issue-1", "", Person("mona", 1), "", "review", threads=(thread,))
    first, second = office.host().forge, office.host().forge
    assert isinstance(first, GitHub) and isinstance(second, GitHub)

    def on_request(_: int, phase: str, method: str, path: str) -> None:
        if phase == "before" and path.endswith("/replies") and not told:
            told.append(path)
            second.screen.reply(pull, remark, "Taken up.")

    office.fake.on_request = on_request
    first.screen.reply(pull, remark, "Taken up.")
    replies = [comment for comment in office.world.comments.values() if comment.reply_to == thread]
    posted = [asked for asked in office.fake.seen if asked.path.endswith("/replies")]
    assert (len(posted), len(replies)) == (2, 1)


ASK = """
import sys
from pathlib import Path
from runner import wiring
from runner.host import site_at
from runner.observe import observe
site = site_at(Path(sys.argv[1]))
hosting = wiring.hosting(site, observe(site).settings)
hosting.open_issue("Say goodbye", "As it should.")
"""


def test_an_issue_that_a_service_asked_for_before_it_was_killed_is_not_opened_again(office: Office) -> None:
    victim = Victim(office, ASK)
    victim.run(1, "after")
    (first,) = office.world.issues.values()
    site = site_at(office.clone)
    hosting = wiring.hosting(site, observe(site).settings)
    assert hosting is not None and victim.killed
    assert hosting.open_issue("Say goodbye", "As it should.")[0] == first.number
    assert hosting.open_issue("Say goodbye", "Otherwise.")[0] == 2
    office.close(first.number)
    office.issue("Say goodbye", first.body, by="stranger")
    assert hosting.open_issue("Say goodbye", "As it should.")[0] == 4


def test_a_message_that_two_hosts_wrote_before_both_died_is_there_once_in_the_end(office: Office) -> None:
    number = begun(office)
    for _ in range(2):
        office.comment(number, "<!-- pullwright:said a-message -->\n**Pat** says:", by="pullwright-bot")
    office.host().forge.converse("issue-1", [("a-message", "**Pat** says:")])
    assert len(office.notes(number)) == 1


def void(_: object) -> None:
    """A statement where an expression has to stand."""
