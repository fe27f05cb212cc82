"""What a model is told fits into its window, the question always, and what was left out is said."""

from itertools import pairwise
from pathlib import Path

import pytest
from answer_parts import AT, MODELS, agent, answered, ask, desk_at
from hypothesis import given
from hypothesis import strategies as st
from repositories import AUTO, add_task, bare_hub, clone, project, settings, typed
from wire import ScriptedOllama
from wire.ollama import says

from runner import commands
from runner.host import site_at
from runner.loop.window import Window, size
from runner.observe import fetch_refs
from runner.talk import discussions
from runner.talk.context import SHARES, Matter, Sent, opening, shares
from runner.talk.matter import gather
from runner.talk.messages import About, Created, Message

SYSTEM = "You answer."


def said(text: str, role: str = "person", number: int = 0) -> Message:
    return Message(f"{number}", AT, role, "Pat" if role == "person" else "gemma", text)  # type: ignore[arg-type]


def conversation(texts: list[str]) -> list[Message]:
    return [said(text, ("person", "agent")[number % 2], number) for number, text in enumerate(texts)]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=3000)
MATTERS = st.builds(
    Matter, task=TEXTS, standing=TEXTS, documents=st.dictionaries(st.sampled_from(["design.md", "review.md"]), TEXTS),
    observations=TEXTS, diff=st.integers(0, 40_000).map("+x\n".__mul__), guidance=TEXTS,
    files=st.lists(st.builds(Sent, st.just("a.csv"), st.just(9), st.just("text/csv"), TEXTS), max_size=2).map(tuple),
)  # fmt: skip


@given(MATTERS, st.lists(TEXTS, max_size=12), st.integers(0, 60_000), st.sampled_from([2048, 4096, 32768]))
def test_whatever_there_is_fits_and_the_question_is_there(
    matter: Matter, earlier: list[str], length: int, context: int
) -> None:
    window = Window(context, 1024)
    asked = said("Q" + "why? " * (length // 5), number=99)
    made = opening(SYSTEM, matter, conversation(earlier), asked, window, extra=1000)
    assert window.tokens(size(made.turns) + 1000) <= window.budget
    assert [turn.role for turn in made.turns[:2]] == ["system", "user"]
    roles = [turn.role for turn in made.turns[1:]]
    assert all(one != other for one, other in pairwise(roles)) and roles[-1] == "user"
    assert "Pat: Q" in made.turns[-1].text
    if length < 500:
        assert made.turns[-1].text.endswith(asked.text)


def test_what_fits_is_told_whole_and_nothing_is_said_to_be_left_out() -> None:
    matter = Matter("Say goodbye", "build: held", {"design.md": "A line."}, "saw it", "+goodbye", "Be kind.")
    made = opening(SYSTEM, matter, conversation(["Hi", "Hello"]), said("Why?", number=9), Window(8192, 1024))
    told = "\n".join(turn.text for turn in made.turns)
    for text in ("Say goodbye", "build: held", "A line.", "saw it", "+goodbye", "Be kind.", "Pat: Hi", "Hello"):
        assert text in told
    assert made.cut == ""


def test_what_has_no_room_is_named_and_the_newest_words_stay() -> None:
    matter = Matter("Say goodbye", diff="+line\n" * 20_000, guidance="g" * 9000)
    made = opening(
        SYSTEM, matter, conversation([f"word {n} " + "x" * 300 for n in range(40)]), said("?"), Window(4096, 512)
    )
    told = "\n".join(turn.text for turn in made.turns)
    assert made.cut.startswith("Left out to fit a window of 4096 tokens: ")
    assert "earlier messages" in made.cut and "part of the changes" in made.cut and "AGENTS.md" in made.cut
    assert "word 39" in told and "word 0 " not in told and "the tool diff shows the rest" in told


@given(st.dictionaries(st.sampled_from(sorted(SHARES)), st.integers(0, 50_000)), st.integers(0, 100_000))
def test_nobody_gets_more_than_they_need_and_all_of_it_fits(wanted: dict[str, int], room: int) -> None:
    given = shares(wanted, room)
    assert sum(given.values()) <= room
    assert all(given[name] <= need for name, need in wanted.items())
    assert (
        sum(given.values()) == room or all(given[name] == need for name, need in wanted.items()) or room < len(SHARES)
    )


@pytest.mark.parametrize("context", [2048, 16384])
def test_the_window_that_the_server_really_has_decides(tmp_path: Path, person: Path, context: int) -> None:
    with ScriptedOllama([says("Yes.")], models=MODELS, loaded=context) as server:
        here = project(tmp_path / "clone", agents=settings(agent(server.url, context=16384)))
        add_task(here, description="word " * 8000)
        bare_hub(here, tmp_path / "hub.git")
        desk = desk_at(here)
        made, _ = answered(desk, "greet", ask(desk.site, "greet", "Why?"))
        sent = sum(len(message["content"]) for message in server.chats[0]["messages"])
    assert made.cut.startswith(f"Left out to fit a window of {context} tokens: part of the task")
    assert context < sent < context * 3


def test_an_issue_that_nobody_has_begun_with_is_told_as_it_was_accepted(tmp_path: Path, person: Path) -> None:
    with ScriptedOllama([says("Yes.")], models=MODELS) as server:
        here = project(tmp_path / "clone", agents=settings(agent(server.url)))
        bare_hub(here, tmp_path / "hub.git")
        desk = desk_at(here)
        site, request = desk.site, {"title": "Whisper", "description": "It is too loud.", "acceptance": ["it is soft"]}
        given = {"request": request, "by": "Pat", "source": "https://example.invalid/7", "text": "0" * 64, "act": "1"}
        commands.append(site.repo, site.hub.url, commands.ref_of("issue-7"), commands.new("accept", "Pat", AT, **given))
        question = ask(site, "issue-7", "Is that all?")
        fetch_refs(site)
        answered(desk, "issue-7", question)
        told = "\n".join(message["content"] for message in server.chats[0]["messages"])
    assert (
        "Whisper\n\nIt is too loud.\n\nWhat must be true in the end:\n- it is soft" in told
        and "Nobody has begun with it yet." in told
    )


def test_a_task_comes_with_all_that_is_known_of_it_wherever_it_stands(tmp_path: Path, person: Path) -> None:
    """Seen from a clone that has no part in the work: everything is in Git."""
    here = project(tmp_path / "clone", agents=settings(review=AUTO | {"build": "human"}))
    add_task(here, description="A second line.")
    site = site_at(clone(bare_hub(here, tmp_path / "hub.git"), tmp_path / "other"))
    typed(here, "run")
    for order in (commands.new("assign", "Pat", AT, agent="gemma"), commands.new("pause", "Pat", AT)):
        commands.append(site.repo, site.hub.url, commands.ref_of("greet"), order)
    begun = discussions.begin(site, About("greet", "t", Created(AT, "Pat"), "greet"))
    before = gather(site, fetch_refs(site).base, begun)
    made = opening(SYSTEM, before.matter, [], said("Why?"), Window(16384, 1024))
    for known in ("A second line.", "build, attempt 1: ready, by scripted", "gate passed", "People have paused it.",
                  "Pat: pause", "## Files to touch", "+goodbye", "did and saw last"):  # fmt: skip
        assert known in made.turns[1].text, known
    assert before.agents == ("gemma", "scripted")

    commands.append(site.repo, site.hub.url, commands.ref_of("greet"), commands.new("resume", "Pat", AT))
    commands.append(
        site.repo, site.hub.url, commands.ref_of("greet"), commands.new("assign", "Pat", AT, agent="scripted")
    )
    typed(here, "review", "greet", "--approve")
    assert "complete  done" in typed(here, "run").out
    after = gather(site, fetch_refs(site).base, begun)
    assert "+goodbye" in after.matter.diff and "complete, attempt 1: ready" in after.matter.standing
    assert "paused it" not in after.matter.standing and after.agents == ("scripted",)
