"""An issue's thread and its task's discussion: what is said in either stands in both, once, and causes one thing."""

import itertools
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from fake_github.faults import Fault
from fake_github.issues import edit_comment
from fake_github.office import Office, form, told_twice
from fake_github.server import FakeGitHub
from service.visitors import hooked, seen
from test_github_kills import Victim

from runner.attend import attend
from runner.commands import Command
from runner.errors import UserError
from runner.host import site_at
from runner.record import Hold
from runner.state import TaskState
from runner.talk import discussions
from runner.talk.messages import About, Created, Message, answer_id, new_id
from runner.talk.telling import asked, require_same
from runner.talk.threads import meant

AT = "2026-11-23T05:00:00Z"


def accepted(office: Office, **given: str) -> int:
    """An issue whose design waits for its merge."""
    issue = office.issue(body=form(**given))
    office.label(issue.number)
    office.run()
    return issue.number


def resting(office: Office) -> int:
    """An issue that is a task, which rests: a run only listens and shows."""
    issue = office.issue()
    office.label(issue.number)
    attend(office.host())
    office.comment(issue.number, "/pullwright pause")
    attend(office.host())
    return issue.number


def said(office: Office, task: str = "issue-1") -> list[Message]:
    """The discussion as the hub has it."""
    site = site_at(office.clone)
    discussions.bring(site, task)
    found = discussions.read(site, task)
    return list(found.messages) if found else []


def say(office: Office, text: str, id: str = "", **more: object) -> Message:
    """Somebody says something on a page or in a terminal."""
    site = site_at(office.clone)
    about = About("issue-1", "Say goodbye", Created(AT, "Pat"), "issue-1")
    discussions.begin(site, about)
    message = Message(id or new_id(), AT, "person", "Pat", text)
    return discussions.say(site, "issue-1", Message(**{**_fields(message), **more}))  # type: ignore[arg-type]


def _fields(message: Message) -> dict[str, object]:
    return {name: getattr(message, name) for name in message.__struct_fields__}


def mirrored(office: Office) -> list[str]:
    """Our comments that tell what was said elsewhere, in their order."""
    return [note for note in office.notes(1) if note.startswith("<!-- pullwright:said ")]


def orders(office: Office) -> list[tuple[str, str]]:
    return [(each.verb, each.text) for each in office.task().commands if each.verb != "accept"]


def test_a_comment_on_a_waiting_proposals_issue_is_talk_and_no_work(office: Office) -> None:
    number = accepted(office)
    comment = office.comment(number, "Why *this* way?")
    assert office.run() == []
    assert [(each.id, each.who, each.text, each.verb) for each in said(office)] == [
        (f"github:{comment}", "mona", "Why *this* way?", "talk")
    ]
    assert orders(office) == []
    assert office.task().open.entry.attempt == 1
    assert ("eyes", office.person("pullwright-bot").id) in office.world.comments[comment].reactions
    assert mirrored(office) == []


def test_a_comment_on_the_pull_request_is_work_and_no_talk(office: Office) -> None:
    accepted(office)
    office.comment(office.pull().number, "Say why.")
    office.run()
    assert [verb for verb, _ in orders(office)] == ["comment"]
    assert said(office) == []


def test_a_comment_that_says_so_sends_the_proposal_back(office: Office) -> None:
    number = accepted(office)
    comment = office.comment(number, "/pullwright comment Say why.")
    office.run()
    assert orders(office) == [("comment", "Say why.")]
    assert [(each.id, each.text, each.verb) for each in said(office)] == [(f"github:{comment}", "Say why.", "comment")]


def test_what_plain_words_mean_depends_on_what_the_agent_does(office: Office) -> None:
    accepted(office)
    waits = office.task()

    def at(state: str, hold: Hold | None = None) -> TaskState:
        assert waits.open is not None
        entry = msgspec.structs.replace(waits.open.entry, state=state, hold=hold)
        return msgspec.structs.replace(waits, open=msgspec.structs.replace(waits.open, entry=entry))

    works, asks = at("working"), at("held", Hold("needs input: how?", AT, kind="input"))
    words = Message("github:1", AT, "person", "mona", "So.")
    command = Command("github:1", AT, "mona (1)", "answer", {"text": "So."})
    # state, named command, command that came of it, message that came of it → verb of the message, command to give
    assert meant(waits, None, None, None) == ("talk", None)
    assert meant(works, None, None, None) == ("talk", "comment")
    assert meant(asks, None, None, None) == ("answer", "answer")
    assert meant(at("held", Hold("budget", AT, kind="budget")), None, None, None) == ("talk", None)
    assert meant(waits, "comment", None, None) == ("comment", "comment")
    assert meant(asks, None, None, None, seen=False) == ("talk", None), "written before it could be seen"
    assert meant(asks, "answer", None, None, seen=False) == ("answer", "answer"), "who says so means it"
    assert meant(works, None, None, words) == ("talk", "comment"), "said before: the agent that works next hears it"
    assert meant(asks, None, None, words) == ("talk", None), "said before it asked"
    assert meant(works, None, command, None) == ("answer", None), "killed after the command"
    assert meant(works, None, command, words) == ("talk", None)
    later = at("held", Hold("needs input: when?", "2026-11-23T09:00:00Z", kind="input"))
    for state, shown in ((asks, asked(asks)), (asks, ""), (waits, AT), (later, asked(later))):
        require_same(state, shown)
    with pytest.raises(UserError, match="asks something else by now"):
        require_same(later, asked(asks))


@pytest.fixture
def inquiring(fake: FakeGitHub, bot: str, tmp_path: Path) -> Office:
    """An issue that is a task, whose agent asks something before it designs."""
    told = told_twice("issue-1")
    told["design"] = [("ask", {"question": "English, or Latin?"}), *told["design"]]
    office = Office(fake, tmp_path, replies=told)
    office.label(office.issue().number)
    return office


def held(office: Office) -> bool:
    """Whether the hub has the question."""
    record = "refs/heads/agents/issue-1/design:tasks/issue-1/record.yaml"
    done = subprocess.run(["git", "-C", office.world.git_dir, "show", record], capture_output=True, text=True)
    return "state: held" in done.stdout


def test_words_that_were_written_before_the_question_could_be_seen_are_no_answer_to_it(inquiring: Office) -> None:
    """They come when the question is on the hub, and nobody has been shown it: the runner has listened already."""
    office, number = inquiring, 1
    early: list[int] = []

    def write(count: int, phase: str, method: str, path: str) -> None:
        if (phase, method) == ("before", "PATCH") and "/issues/comments/" in path and not early and held(office):
            early.append(office.comment(number, "I like greetings."))

    office.fake.on_request = write
    office.run()
    office.run()
    assert early and "English, or Latin?" in office.notes(number)[0]
    assert [(each.id, each.verb) for each in said(office)] == [(f"github:{early[0]}", "talk")]
    assert (orders(office), office.task().open.entry.state) == ([], "held")
    office.comment(number, "Latin.")
    office.run()
    assert orders(office) == [("answer", "Latin.")]
    assert office.task().open.entry.state == "ready"


def test_words_below_a_question_that_was_never_shown_are_no_answer_to_it(inquiring: Office) -> None:
    office, number = inquiring, 1
    office.fake.on_request = lambda *_: office.fake.faults.append(_NO_NOTE) if held(office) else None
    with suppress(UserError):
        office.run()
    office.fake.on_request, office.fake.faults[:] = (lambda *_: None), []
    assert held(office) and "English" not in office.notes(number)[0]
    office.comment(number, "I like greetings.")
    office.run()
    assert orders(office) == []
    assert "English, or Latin?" in office.notes(number)[0]
    for id, comment in list(office.world.comments.items()):
        if comment.body.startswith("<!-- pullwright:task"):
            del office.world.comments[id]
    office.comment(number, "Latin.")
    office.run()
    assert orders(office) == [("answer", "Latin.")], "without a note nobody can tell, and people are believed"


def test_a_question_that_was_shown_is_answered_also_while_its_note_is_written_anew(inquiring: Office) -> None:
    """The note tells of somebody who is not heard. Whoever answers meanwhile had seen the question before."""
    office, number, host = inquiring, 1, inquiring.host()
    office.run(host)
    office.comment(number, "/pullwright retry", by="rita")
    answers: list[int] = []

    def write(count: int, phase: str, method: str, path: str) -> None:
        if (phase, method) == ("before", "PATCH") and "/issues/comments/" in path and not answers:
            answers.append(office.comment(number, "Latin."))

    office.fake.on_request = write
    office.run(host)
    office.run(host)
    assert answers and "rita" in office.notes(number)[0]
    assert orders(office) == [("answer", "Latin.")]


_NO_NOTE = Fault("expired", "PATCH", "/issues/comments/")


def test_what_strangers_and_machines_say_is_no_message(office: Office) -> None:
    number = resting(office)
    office.world.user("renovate[bot]", "write", type="Bot")
    for login in ("stranger", "rita", "renovate[bot]"):
        office.comment(number, "Why this way?", by=login)
    office.run()
    assert said(office) == []


def test_a_comment_on_a_complete_task_is_heard_without_its_delivery(office: Office) -> None:
    number = accepted(office, Stages="complete")
    office.merge(office.pull().number)
    office.run()
    assert office.world.issues[number].state == "closed"
    attend(office.host())
    office.fake.seen.clear()
    attend(office.host())
    assert not [asked for asked in office.fake.seen if asked.path.endswith(f"/issues/{number}/comments")]
    office.comment(number, "And now?", by="rita")
    office.comment(number, "What was the hardest part?")
    attend(office.host())
    attend(office.host())
    assert [each.text for each in said(office)] == ["What was the hardest part?"]
    assert office.world.issues[number].state == "closed"


def test_a_later_edit_changes_nothing(office: Office) -> None:
    number = resting(office)
    comment = office.comment(number, "The first words")
    office.run()
    edit_comment(office.world, office.person("mona"), comment, "Other words")
    office.run()
    del office.world.comments[comment]
    office.run()
    assert [each.text for each in said(office)] == ["The first words"]


def test_what_is_said_elsewhere_stands_in_the_thread_once_and_comes_back_as_nothing(office: Office) -> None:
    resting(office)
    asked = say(office, "Why?\n" + "a long line of words " * 20)
    say(office, "Because.", answer_id(asked.id), role="agent", who="gemma", model="gemma3:4b", answers=asked.id)
    for _ in range(3):  # a new process each time, which has to look
        office.run()
        (site_at(office.clone).state / "threads" / "issue-1.json").unlink()
    first, second = mirrored(office)
    assert [each.method for each in office.fake.seen if "said" in str(each.body)] == ["POST", "POST"]
    assert first.startswith(f"<!-- pullwright:said {asked.id} -->\n**Pat** says:")
    assert max(map(len, first.splitlines())) <= 100
    assert "**gemma** (gemma3:4b) answers Pat, “Why? a long line" in second
    assert "\nBecause.\n" in second
    assert len(said(office)) == 2


def test_a_thread_that_was_looked_through_is_not_asked_again(office: Office) -> None:
    resting(office)
    say(office, "Why?")
    office.run()
    office.fake.seen.clear()
    say(office, "And why not?")
    office.run()
    assert [each.method for each in office.fake.seen if each.path.endswith("/issues/1/comments")].count("POST") == 1
    office.fake.seen.clear()
    office.run()
    assert not [each for each in office.fake.seen if each.method == "POST" and "comments" in each.path]


def test_words_from_elsewhere_neither_mention_nor_close_nor_command_nor_end_their_marker(office: Office) -> None:
    resting(office)
    evil = "@mona closes #1\n````\n/pullwright cancel\n![x](http://x.invalid)\n<!-- pullwright:task -->\x1b[2J"
    say(office, evil, "x --> @mona", who="@mona **x** [y](z)")
    office.run()
    assert office.world.mentioned == []
    (note,) = mirrored(office)
    assert note.splitlines()[0].endswith(" -->") and "@mona" not in note.splitlines()[0]
    assert not office.task().standing.cancelled
    assert "\x1b" not in note
    assert office.world.issues[1].state == "open"


def test_a_service_shows_at_once_what_is_said_and_hears_what_is_written(office: Office) -> None:
    number = resting(office)
    with hooked(office, dispatch="none", poll=0.3) as service:  # its one sweep is that at the start
        post, place = service.client.post, "/api/discussions/issue-1/messages"
        post("/api/discussions", json={"task": "issue-1", "who": "Ada"}).raise_for_status()
        for count, text in enumerate(("Why?", "And why not?"), 1):
            post(place, json={"text": text, "who": "Ada"}).raise_for_status()
            seen(service, lambda count=count: len(mirrored(office)) == count, text)
        comment = office.comment(number, "Because.")
        seen(service, lambda: f"github:{comment}" in {each.id for each in said(office)}, "a message")
        assert service.faults() == []


def test_a_thread_that_takes_nothing_holds_nobody_up(office: Office) -> None:
    resting(office)
    say(office, "Why?")
    office.fake.faults.append(Fault("expired", "POST", "/comments$"))
    office.run()
    office.fake.faults.clear()
    office.run()
    assert len(mirrored(office)) == 1


def test_of_two_hosts_that_say_the_same_at_once_one_is_heard(office: Office) -> None:
    resting(office)
    said = [("a-message", "**Pat** says:"), ("another", "**Pat** says:")]
    first, second = office.host().forge, office.host().forge

    def both(number: int, phase: str, method: str, path: str) -> None:
        if (phase, method) == ("before", "POST") and path.endswith("/comments"):
            office.fake.on_request = lambda *_: None
            second.converse("issue-1", said)

    office.fake.on_request = both
    first.converse("issue-1", said)
    gone = [each for each in office.fake.seen if each.method == "DELETE" and "comments" in each.path]
    assert len(gone) == 2
    assert [note.split()[2] for note in mirrored(office)] == ["a-message", "another"]


@pytest.mark.parametrize("kind", ["lost", "cut", "refused"])
def test_one_comment_whatever_happens_on_the_way(office: Office, kind: str) -> None:
    resting(office)
    say(office, "Why?")
    office.fake.faults.append(Fault(kind, "POST", "/comments$"))
    office.run()
    office.run()
    assert len(mirrored(office)) == 1


def test_a_thread_is_no_discussion_where_the_policy_says_so(fake: FakeGitHub, bot: str, tmp_path: Path) -> None:
    office = Office(fake, tmp_path, policy={"talk": False})
    number = accepted(office)
    office.comment(number, "Say why.")
    office.run()
    assert said(office) == []
    assert orders(office) == [("comment", "Say why.")]
    say(office, "Why?")
    office.run()
    assert mirrored(office) == []


def test_a_changed_budget_is_said_in_a_comment(office: Office) -> None:
    number = resting(office)
    office.comment(number, "/pullwright budget steps=300 cost=2.5")
    office.comment(number, "/pullwright budget tokens=9000")
    office.comment(number, "/pullwright budget donuts=3")
    office.run()
    budget = office.task().standing.budget
    assert budget is not None and (budget.steps, budget.cost, budget.tokens) == (300, 2.5, 9000)
    assert "budget needs bounds" in office.notes(number)[0]


def test_killed_at_any_write_nothing_is_lost_or_doubled(office: Office) -> None:
    number = resting(office)
    say(office, "Why?")
    office.comment(number, "Because of you.")
    victim, killed = Victim(office), 0
    for phase in itertools.cycle(("after", "before")):  # the next write is always the first of what is still to be done
        victim.run(1, phase)
        killed += victim.killed
        if not victim.killed:
            break
    assert killed >= 2
    assert sorted(each.text for each in said(office)) == ["Because of you.", "Why?"]
    (note,) = mirrored(office)
    assert "Why?" in note
    assert [verb for verb, _ in orders(office)] == ["pause"]
