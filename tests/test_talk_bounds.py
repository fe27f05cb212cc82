"""What is said to a task and what its discussion holds land together, and a discussion has an end."""

import re
from pathlib import Path

import msgspec
import pytest
from answer_parts import AT
from repositories import git
from scenes import Scene

from pullwright.chat.room import enter
from runner import commands
from runner import git as trusted
from runner.commands import Command
from runner.errors import UserError
from runner.host import Site, site_at
from runner.talk import discussions
from runner.talk.messages import MOST, MOST_SAID, About, Created, Message, lines, new_id, note_id, parse
from webhook.authors import signed
from webhook.pages.frame import one_name


def pushes(hub: Path) -> list[list[str]]:
    """From now on: the refs of each push that the hub takes."""
    hook, log = hub / "hooks/pre-receive", hub / "pushes"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n(cut -d' ' -f3 | tr '\\n' ' '; echo) >> {log}\n")
    hook.chmod(0o755)
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def test_a_word_to_a_task_and_the_message_land_in_one_push(repository: Path) -> None:
    """Whoever is killed has said both or nothing: between two pushes the task would know what the discussion lacks."""
    Scene(repository).run()
    talk = enter(site_at(repository), "greet")
    talk.say("Well?")
    pushes(repository / ".git")
    said = talk.say("Say why.", "comment")
    both = {"refs/pullwright/commands/tasks/greet", "refs/pullwright/discussions/greet"}
    assert [set(push) for push in pushes(repository / ".git")] == [both]
    (command,) = commands.read(talk.site.repo, git(repository, "rev-parse", "refs/pullwright/commands/tasks/greet"))
    assert command.id == said.id


def test_where_the_hub_takes_one_of_them_it_takes_the_other_too(hub: tuple[Path, Path]) -> None:
    """The task's ref moves between the look and the push: both are made anew."""
    site = site_at(hub[1])
    discussions.begin(site, About("greet", "Say goodbye", Created(AT, "Pat"), "greet"))
    hook, marked = hub[0] / "hooks/update", hub[0] / "refused"
    hook.write_text(f'#!/bin/sh\ncase "$1" in *commands*) [ -e {marked} ] || {{ touch {marked}; exit 1; }};; esac\n')
    hook.chmod(0o755)
    message = Message(new_id(), AT, "person", "Pat", "Say why.", verb="comment")
    order = Command(message.id, AT, "Pat", "comment", {"text": "Say why."})
    for _ in range(2):
        assert discussions.say(site, "greet", message, order=order) == message
    assert marked.exists()
    assert [len(git(hub[0], "rev-list", ref).split()) for ref in ("refs/pullwright/commands/tasks/greet",
            "refs/pullwright/discussions/greet")] == [1, 2]  # fmt: skip


def filled(site: Site, said: list[Message]) -> None:
    """A discussion that holds all of this, as somebody with an older program may have pushed it."""
    about = About("greet", "Say goodbye", Created(AT, "Pat"), "greet")
    files = {discussions.ABOUT: msgspec.json.encode(about), discussions.SAID: lines(said)}
    made = trusted.commit(site.repo, trusted.tree_with(site.repo, None, files), [], "x")
    trusted.push(site.repo, site.hub.url, trusted.Push(discussions.ref_of("greet"), made, ""))


@pytest.mark.parametrize(("number", "text"), [(MOST, "x"), (45, "x" * 99_000)], ids=["many", "long"])
def test_a_discussion_that_is_full_takes_no_more_of_people_and_says_so(
    hub: tuple[Path, Path], number: int, text: str
) -> None:
    site = site_at(hub[1])
    filled(site, [Message(new_id(), AT, "person", "Pat", text) for _ in range(number)])
    more = Message(new_id(), AT, "person", "Pat", "One more", verb="comment")
    order = Command(more.id, AT, "Pat", "comment", {"text": "One more"})
    with pytest.raises(discussions.Full, match="this discussion is full") as caught:
        discussions.say(site, "greet", more, order=order)
    assert isinstance(caught.value, UserError) and "begin another" in caught.value.remedy
    assert "commands/tasks/greet" not in git(hub[0], "for-each-ref"), "and the task is told nothing"
    for role, id in (("agent", "a"), ("note", note_id("greet", "other"))):
        said = Message(id, AT, role, "gemma", "Still.")  # type: ignore[arg-type]
        assert discussions.say(site, "greet", said) == said, "what was asked before is answered"


def test_of_a_log_that_somebody_made_endless_only_the_beginning_is_read() -> None:
    data = lines([Message(new_id(), AT, "person", "Pat", "x" * 1000)]) * 20
    assert len(parse(data + b"x" * (3 * MOST_SAID))) == 1
    far = b"\n" * (4 * MOST) + lines([Message(new_id(), AT, "person", "Pat", "far")])
    assert parse(far) == ()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("Pat", "Pat"), ("", "the API"), ("Pat <pat@example.invalid>", "Pat"), ("mona (1)", "mona"), ("<x", "x"),
        ("a (1) (2) ", "a"), ("mona (7) <x>", "mona"), ("mona (<x>7)", "mona"),
        ("ada \uff1ctoken\uff1e", "ada"), ("mona \uff08\uff17\uff09", "mona"),
        ("(7)", "the API"), ("Ada (L)", "Ada (L)"), ("Pat\u202e\n<a@b>\t(3)", "Pat"),
    ],
)  # fmt: skip
def test_a_name_that_anybody_can_give_looks_like_none_that_is_known(given: str, told: str) -> None:
    assert signed(given) == told
    assert re.search(r"[<>]|\(\d+\)$", one_name(given)) is None
