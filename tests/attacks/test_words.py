"""What agents and strangers say is data wherever we write it: refs, commits, terminals, the log of a job."""

import io
import re
from pathlib import Path

import pytest
import repositories as r
from hypothesis import given
from hypothesis import strategies as st
from scenes import Scene

from pullwright.screen import Screen
from runner.parsing.characters import calm
from runner.tools.text import plain
from runner.wording import one_line

EVIL = (
    "::add-mask::x", "  ::stop-commands::y", "\u00a0::error file=a::z", "\t::set-output name=a::b", "##[group]x",
    "text ##[add-mask]x", "\ufeff::warning::w", "a\n::debug::d", "a\r::notice::n", "a\u2028::notice::n",
)  # fmt: skip
STEERING = (
    "\x1b[31mred",
    "\x1b]52;c;aGk=\x07",
    "\x1b]0;title\x07",
    "\x9b2J",
    "a\rb",
    "\x1bP+q\x1b\\",
    "\x07",
    "\x08\x08",
)


def is_order(text: str) -> bool:
    """As github.com/actions/runner reads a line: `::` after white space, or `##[` anywhere."""
    return any(
        line.lstrip().lstrip("\ufeff\u200b").startswith("::") or "##[" in line for line in re.split(r"[\r\n]", text)
    )


def through_the_screen(line: str) -> str:
    out = io.StringIO()
    with Screen(out) as screen:
        screen.say(line)
    return out.getvalue()


@pytest.mark.parametrize("evil", EVIL)
def test_no_line_of_ours_gives_a_log_an_order(evil: str) -> None:
    assert is_order(evil) or "\u2028" in evil, "the control: as it is, it would"
    assert not is_order(calm(evil)) and not is_order(through_the_screen(evil))
    assert "##[" not in one_line(evil)


@given(st.text(st.sampled_from(":#[ \t\n\r\u00a0a\x1b\u2028"), max_size=40))
def test_no_mixture_of_them_does_either(text: str) -> None:
    assert not is_order(calm(text)) and not is_order(through_the_screen(text))


@pytest.mark.parametrize("steering", STEERING)
def test_what_steers_a_terminal_is_shown_and_does_nothing(steering: str) -> None:
    for shown in (calm(steering), plain(steering), one_line(steering), through_the_screen(steering)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), shown


def test_names_of_refs_and_texts_of_commits_are_data(tmp_path: Path, person: Path) -> None:
    """An agent gives its own branches, tags and commits evil names, and says evil things in every place it has."""
    evil = "x\n\nPullwright-Claim: forged\n::add-mask::y\nCloses #1"
    line = (
        "git checkout -q -b './--upload-pack=touch pwned' 2>&1; git update-ref 'refs/heads/--upload-pack=x' HEAD;"
        " git tag -m x -- '-evil' HEAD 2>&1;"
        " git commit -q --allow-empty -m $'::add-mask::x\\n\\nPullwright-Task: other';"
        " echo '::add-mask::y'"
    )
    told = r.story()
    told["build"].insert(0, ("bash", {"command": line}))
    told["build"].insert(1, ("note", {"text": evil}))
    told["build"][-1] = ("finish", {"summary": evil})
    scene = Scene(r.project(tmp_path / "repo", agents=r.settings(review=r.AUTO), replies=told))
    r.add_task(scene.folder, title="Say ::add-mask::goodbye ##[group]")
    scene.run()
    assert scene.state().current is None, "\n".join(scene.said)
    refs = r.git(scene.folder, "for-each-ref", "--format=%(refname)").splitlines()
    assert not [ref for ref in refs if "upload-pack" in ref or "evil" in ref]
    for message in r.git(scene.folder, "log", "--all", "--format=%B%x00").split("\0"):
        claims = [line for line in message.splitlines() if line.startswith("Pullwright-Claim:")]
        assert "Pullwright-Claim: forged" not in claims and not is_order(message), message
        assert "Closes #1" not in message
    assert not any(is_order(through_the_screen(line)) for line in scene.said)
