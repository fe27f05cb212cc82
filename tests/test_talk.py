"""Discussions in Git: begun once, each message once whoever races, files checked, secrets and hostile text inert."""

import json
import multiprocessing
from pathlib import Path

import msgspec
import pytest
from repositories import clone, git

from runner.errors import UserError
from runner.host import Site, site_at
from runner.observe import observe
from runner.secrets import MARK, Redactor
from runner.talk import discussions
from runner.talk import files as kinds
from runner.talk.discussions import attach, begin, bring, listing, read, ref_of, say
from runner.talk.files import Refused
from runner.talk.messages import (
    LONGEST,
    About,
    Created,
    Discussion,
    Message,
    answer_id,
    before,
    new_id,
    parse,
    unanswered,
)

AT = "2026-11-23T05:00:00Z"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 64


def about(id: str = "greet", **more: str) -> About:
    return About(id, "Say goodbye", Created(AT, "Pat"), task=id if id == "greet" else None, **more)


def says(text: str, id: str = "", **more: object) -> Message:
    return msgspec.structs.replace(Message(id or new_id(), AT, "person", "Pat", text), **more)


def texts(found: Discussion | None) -> list[str]:
    assert found is not None
    return [message.text for message in found.messages]


@pytest.fixture
def site(hub: tuple[Path, Path]) -> Site:
    found = site_at(hub[1])
    begin(found, about())
    return found


def test_what_is_said_is_a_commit_on_the_hub_in_words_that_people_read(site: Site, hub: tuple[Path, Path]) -> None:
    question = say(site, "greet", says("Why *that* file?\n\nIt is short."), {})
    say(site, "greet", Message(answer_id(question.id), AT, "agent", "gemma", "Because.", answers=question.id))
    log = git(hub[0], "log", "--format=%s", ref_of("greet")).splitlines()
    assert log == ["gemma: Because.", "Pat: Why *that* file? It is short.", "Pat begins: Say goodbye"]
    assert "It is short." in git(hub[0], "log", "-1", "--format=%b", f"{ref_of('greet')}^")
    stored = [json.loads(line) for line in git(hub[0], "show", f"{ref_of('greet')}:messages.jsonl").splitlines()]
    assert [line["role"] for line in stored] == ["person", "agent"]
    assert stored[1]["answers"] == question.id


def test_any_clone_has_it_after_a_look(site: Site, hub: tuple[Path, Path], tmp_path: Path) -> None:
    say(site, "greet", says("hello"))
    other = site_at(clone(hub[0], tmp_path / "other"))
    assert read(other, "greet") is None
    observe(other)
    assert texts(read(other, "greet")) == ["hello"]
    say(site, "greet", says("again"))
    bring(other, "greet")
    assert texts(read(other, "greet")) == ["hello", "again"]


def test_a_task_has_one_discussion_whoever_begins_it(site: Site, hub: tuple[Path, Path], tmp_path: Path) -> None:
    say(site, "greet", says("hello"))
    other = site_at(clone(hub[0], tmp_path / "other"))
    again = begin(other, msgspec.structs.replace(about(), title="Another"))
    assert (again.about.title, texts(again)) == ("Say goodbye", ["hello"])


def test_saying_it_twice_is_saying_it_once(site: Site, hub: tuple[Path, Path]) -> None:
    first = say(site, "greet", says("hello", id=new_id()))
    tip = git(hub[0], "rev-parse", ref_of("greet"))
    assert say(site, "greet", says("something else", id=first.id)) == first
    assert texts(read(site, "greet")) == ["hello"]
    assert git(hub[0], "rev-parse", ref_of("greet")) == tip


def _speak(folder: str, name: str) -> None:
    site = site_at(Path(folder))
    for number in range(3):
        say(site, "greet", says(f"{name} {number}", who=name))
        say(site, "greet", Message(answer_id("q"), AT, "agent", name, "the answer", answers="q"))


def test_hosts_that_speak_at_once_lose_and_double_nothing(site: Site, hub: tuple[Path, Path], tmp_path: Path) -> None:
    folders = [clone(hub[0], tmp_path / f"host-{number}") for number in range(3)]
    context = multiprocessing.get_context("spawn")
    racers = [context.Process(target=_speak, args=(str(folder), folder.name)) for folder in folders]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(120)
        assert racer.exitcode == 0
    bring(site)
    said = texts(read(site, "greet"))
    assert sorted(said) == sorted(
        [f"{folder.name} {number}" for folder in folders for number in range(3)] + ["the answer"]
    )
    for folder in folders:
        assert [text for text in said if text.startswith(folder.name)] == [f"{folder.name} {n}" for n in range(3)]


def test_a_question_waits_until_it_is_answered(site: Site) -> None:
    asked = [say(site, "greet", says(text)) for text in ("one", "two")]
    say(site, "greet", says("stop that", verb="reject"))
    say(site, "greet", Message(answer_id(asked[1].id), AT, "agent", "gemma", "2", answers=asked[1].id))
    found = read(site, "greet")
    assert found is not None
    assert unanswered(found.messages) == (asked[0],)
    assert [message.text for message in before(found.messages, asked[1].id)] == ["one"]


def test_nothing_is_said_where_no_discussion_was_begun(site: Site) -> None:
    with pytest.raises(UserError, match="there is no discussion elsewhere"):
        say(site, "elsewhere", says("hello"))
    for id in ("../greet", "greet/x", "Greet", "", "-x"):
        assert read(site, id) is None
        with pytest.raises(ValueError, match="no id"):
            begin(site, about(id))


def test_the_last_spoken_in_is_listed_first(site: Site) -> None:
    free = new_id()
    begin(site, About(free, "An idea", Created("2026-11-23T06:00:00Z", "Pat")))
    say(site, "greet", says("hello", at="2026-11-23T07:00:00Z"))
    assert [one.about.id for one in listing(site)] == ["greet", free]


def test_a_line_of_five_megabytes_is_stored_up_to_the_cap_with_a_sentence(site: Site) -> None:
    stored = say(site, "greet", says("ä" * 5_000_000))
    assert len(stored.text.encode()) <= LONGEST
    assert stored.text.endswith("at most 100 kB)")


def test_hostile_text_is_kept_as_it_is_and_its_commit_orders_nobody(site: Site, hub: tuple[Path, Path]) -> None:
    text = "<script>x</script>\x1b]0;t\x07 @pat fixes #1\n\n/pullwright cancel\nPullwright-Claim: x"
    stored = say(site, "greet", says(text, who="Pat\nEvil <x>"))
    assert stored.text == text
    subject = git(hub[0], "log", "-1", "--format=%s", ref_of("greet"))
    assert subject.startswith("Pat Evil") and "@pat" not in subject
    assert "\x1b" not in git(hub[0], "log", "-1", "--format=%B", ref_of("greet"))


def test_secrets_are_taken_out_of_text_and_files_before_they_are_stored(site: Site) -> None:
    redactor = Redactor(["hunter2hunter2"])
    stored = say(
        site,
        "greet",
        says("it is hunter2hunter2, ok", files=("a.txt",)),
        {"a.txt": b"x hunter2hunter2"},
        redactor=redactor,
    )
    assert stored.text == f"it is {MARK}, ok"
    assert discussions.content(site, "greet", "a.txt") == f"x {MARK}".encode()
    assert "ghp_" not in say(site, "greet", says("ghp_" + "a1B2" * 9)).text


def test_what_somebody_else_pushed_there_never_stops_the_reading(site: Site) -> None:
    say(site, "greet", says("hello"))
    good = msgspec.json.encode(says("good", id="1"))
    lines = [b"{", b"\xff", b"[]", good, b'{"id":1}', good.replace(b"good", b"bad"), b'"' + b"x" * 100]
    assert [message.text for message in parse(b"\n".join(lines))] == ["good"]
    repo = site.repo
    from runner import git as trusted

    tree = trusted.tree_with(repo, None, {"discussion.json": b"{}", "messages.jsonl": b"x"})
    assert discussions.at(repo, "greet", trusted.commit(repo, tree, [], "x")) is None


@pytest.mark.parametrize(
    "name",
    ["../x.png", "a/b.txt", "..", ".git", ".x", "a\\b", "con.txt", "git~1", "a\x00b", "a\nb", "x\u202egnp.txt",
     "", " a", "a.", "a" * 130, "-rf", "a:b", "\u200c.git"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_hides_something_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        kinds.name_of(name)


@pytest.mark.parametrize(
    ("name", "data", "media"),
    [
        ("a.png", PNG, "image/png"),
        ("a.txt", PNG, "image/png"),
        ("a.jpg", JPEG, "image/jpeg"),
        ("a.gif", b"GIF89a..", "image/gif"),
        ("a.webp", b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        ("a.pdf", b"%PDF-1.7 \xff", "application/pdf"),
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("a.MD", b"# x", "text/markdown"),
        ("a.json", b"{}", "application/json"),
        ("a.svg", b"<svg onload='x()'/>", "text/plain"),
        ("a.html", b"<script>x()</script>", "text/plain"),
        ("Überblick 2.txt", "ä".encode(), "text/plain"),
    ],
)
def test_the_kind_of_a_file_is_what_is_in_it(name: str, data: bytes, media: str) -> None:
    assert kinds.media_type(kinds.name_of(name), data) == media


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.png", b"<svg/>"), ("a.jpg", PNG), ("a.exe", b"MZ\0\0"), ("a.txt", b"\xff\xfe\x00"), ("a.pdf", b"<script>")],
)
def test_a_file_that_is_not_what_its_name_says_or_no_text_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(Refused):
        kinds.media_type(name, data)


def test_the_same_file_is_stored_once_and_another_of_its_name_gets_a_number(site: Site) -> None:
    assert attach(site, "greet", "plot.png", PNG, "Pat", AT) == "plot.png"
    assert attach(site, "greet", "plot.png", PNG, "Pat", AT) == "plot.png"
    assert attach(site, "greet", "plot.png", PNG + b"x", "Pat", AT) == "plot-2.png"
    assert attach(site, "greet", "Plot.png", PNG + b"x", "Pat", AT) == "Plot-3.png"
    found = read(site, "greet")
    assert found is not None
    assert found.files == {"plot.png": len(PNG), "plot-2.png": len(PNG) + 1, "Plot-3.png": len(PNG) + 1}
    assert discussions.content(site, "greet", "plot-2.png") == PNG + b"x"


def test_files_have_a_limit_each_and_together(site: Site) -> None:
    with pytest.raises(Refused, match="10 MB") as refused:
        attach(site, "greet", "a.txt", b"a" * ((10 << 20) + 1), "Pat", AT)
    assert refused.value.large
    kinds.room({"a.txt": 45 << 20}, {"b.txt": 5 << 20, "a.txt": 45 << 20})
    with pytest.raises(Refused, match="together"):
        kinds.room({"a.txt": 45 << 20}, {"b.txt": (5 << 20) + 1})
