"""A person's own repository and their own Ollama, spoken to over HTTP: every proposal is answered by that person."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from repositories import (
    AUTO,
    CHECK,
    PROJECT,
    Call,
    Ran,
    add_task,
    as_chats,
    at_home,
    bare_hub,
    clone,
    commit,
    first_parents,
    git,
    project,
    pullwright,
    settings,
    story,
)
from wire import Answer, ScriptedOllama

ID = "say-goodbye"
TOLD = story(ID)
RESTORED = [("view", {"path": "greeting.txt"}), *TOLD["complete"]]


def chats(*stages: list[Call]) -> list[Answer]:
    return [answer for calls in stages for answer in as_chats(calls)]


def right(ran: Ran) -> str:
    assert ran.status == 0, ran.err
    return ran.out


def branches(folder: Path) -> list[str]:
    return git(folder, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/").splitlines()


def told(server: ScriptedOllama, since: int) -> str:
    """All that the model was told in the requests from number `since` on."""
    return "\n".join(message["content"] for body in server.chats[since:] for message in body["messages"])


def test_from_init_to_one_merge_with_a_comment_an_approval_a_rejection_and_a_second_attempt(
    tmp_path: Path, person: Path
) -> None:
    here = tmp_path / "mine"
    here.mkdir()
    git(here, "init", "-q", "-b", "main")
    commit(here, "A small project", PROJECT)
    replies = chats(
        TOLD["design"], TOLD["design"], TOLD["build"], TOLD["test"], TOLD["review"], TOLD["complete"], RESTORED
    )
    with ScriptedOllama(replies) as server:
        right(pullwright(here, "init", "--endpoint", server.url))
        own = (here / "agents.yaml").read_text()
        found = next(line for line in own.splitlines() if line.startswith("checks:"))
        commit(here, "Our checks", {"agents.yaml": own.replace(found, f"checks: ['{CHECK}']")})
        assert f"pullwright run --task {ID}" in right(pullwright(here, "task", "new", "Say goodbye", "-c", "2"))
        start = git(here, "rev-parse", "HEAD")

        waits = right(pullwright(here, "run"))
        assert f"git diff work/{ID}...agents/{ID}/design" in waits
        assert f"pullwright review {ID} --approve | --comment TEXT | --reject TEXT" in waits
        assert git(here, "rev-parse", "HEAD") == start
        asked = len(server.chats)

        assert "noted" in right(pullwright(here, "review", ID, "--comment", "Say who it is for."))
        assert "next: design goes back to its agent" in right(pullwright(here, "plan"))
        assert "design waits for review" in right(pullwright(here, "run"))
        assert "Say who it is for." in told(server, asked)

        assert f"design is merged into work/{ID}" in right(pullwright(here, "review", ID, "--approve"))
        waits = right(pullwright(here, "run"))
        assert "complete waits for review" in waits
        assert f"git diff main...agents/{ID}/complete" in waits
        assert (here / "greeting.txt").read_text() == "hello\n"

        right(pullwright(here, "review", ID, "--reject", "The summary is too short."))
        assert "held: rejected: The summary is too short." in right(pullwright(here, "run"))
        refused = pullwright(here, "review", ID, "--approve")
        assert (refused.status, "was rejected" in refused.err) == (1, True)
        right(pullwright(here, "retry", ID))
        assert "next: gemma3 takes complete, attempt 2" in right(pullwright(here, "plan"))
        assert "complete waits for review" in right(pullwright(here, "run"))

        assert f"{ID} is complete" in right(pullwright(here, "review", ID, "--approve"))
        assert "format" in server.chats[0]
        assert all("tools" not in body for body in server.chats)
        assert len(server.chats) == len(replies)
    assert first_parents(here)[0] == f"Merge complete of {ID} into main"
    assert git(here, "rev-parse", "HEAD^1") == start
    assert (here / "greeting.txt").read_text() == "hello\ngoodbye\n"
    assert git(here, "status", "--porcelain") == ""
    assert {f"agents/{ID}/complete", f"agents/{ID}/complete.2"} <= set(branches(here))
    shown = right(pullwright(here, "task", "show", ID))
    assert "attempt 2" in shown
    assert "complete" in right(pullwright(here, "task", "list"))


# --- the last merge, wherever the hub is ---------------------------------------------------------------------------

LAST_BY_HAND = AUTO | {"complete": "human"}


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A person's own repository whose task waits for its last approval, to be copied: nobody works in it."""
    top = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        folder = project(top / "repository", agents=settings(review=LAST_BY_HAND))
        add_task(folder)
        assert "complete waits for review" in right(pullwright(folder, "run"))
    yield folder


@pytest.fixture
def waiting(tmp_path: Path, person: Path, once: Path) -> Path:
    """The person's own repository whose task waits for its last approval."""
    return shutil.copytree(once, tmp_path / "waiting", symlinks=True)


@pytest.fixture
def bare(tmp_path: Path, waiting: Path) -> tuple[Path, Path]:
    """`(hub, clone)` of the same."""
    return bare_hub(waiting, tmp_path / "hub.git"), clone(tmp_path / "hub.git", tmp_path / "clone")


def test_a_clean_checkout_of_main_is_merged_into_and_updated(waiting: Path) -> None:
    (waiting / "notes.txt").write_text("not in Git\n")
    right(pullwright(waiting, "review", "greet", "--approve"))
    assert (waiting / "greeting.txt").read_text() == "hello\ngoodbye\n"
    assert git(waiting, "status", "--porcelain") == "?? notes.txt"
    assert git(waiting, "log", "-1", "--format=%an <%ae>") == "Pat <pat@example.invalid>"


def test_a_dirty_checkout_is_refused_with_the_remedy_and_loses_nothing(waiting: Path) -> None:
    (waiting / "greeting.txt").write_text("hello\nwork in progress\n")
    head = git(waiting, "rev-parse", "HEAD")
    said = pullwright(waiting, "review", "greet", "--approve")
    assert said.status == 1
    assert "uncommitted changes" in said.err
    assert "commit or stash them" in said.err
    assert (waiting / "greeting.txt").read_text() == "hello\nwork in progress\n"
    assert git(waiting, "rev-parse", "HEAD") == head
    git(waiting, "stash", "-q")
    right(pullwright(waiting, "review", "greet", "--approve"))
    assert len(first_parents(waiting)) == 3


def test_a_merge_that_is_killed_in_the_middle_is_said_with_the_way_out_and_merged_after_it(waiting: Path) -> None:
    (waiting / ".git/info/attributes").write_text("greeting.txt filter=die\n")
    git(waiting, "config", "filter.die.smudge", "kill -9 $PPID")
    head = git(waiting, "rev-parse", "HEAD")
    for _ in range(2):  # when it happens, and as long as it is so
        said = pullwright(waiting, "review", "greet", "--approve")
        assert (said.status, git(waiting, "rev-parse", "HEAD")) == (1, head)
        assert f"rm {waiting}/.git/index.lock" in said.err and "git restore" in said.err, said.err
    (waiting / ".git/info/attributes").unlink()
    (waiting / ".git/index.lock").unlink()
    git(waiting, "restore", "greeting.txt")
    right(pullwright(waiting, "review", "greet", "--approve"))
    assert (waiting / "greeting.txt").read_text() == "hello\ngoodbye\n" and len(first_parents(waiting)) == 3


def test_the_policy_too_leaves_a_dirty_checkout_alone_and_the_run_ends_with_the_remedy(waiting: Path) -> None:
    commit(waiting, "No people", {"agents.yaml": settings(review=AUTO)})
    (waiting / "greeting.txt").write_text("work in progress\n")
    out = right(pullwright(waiting, "run"))
    assert "held: main is checked out" in out.splitlines()[-1]
    assert "commit or stash them" in out.splitlines()[-1]
    assert (waiting / "greeting.txt").read_text() == "work in progress\n"
    git(waiting, "checkout", "-q", "greeting.txt")
    assert "complete  done" in right(pullwright(waiting, "run"))


def test_an_untracked_file_in_the_way_is_named_and_kept(waiting: Path) -> None:
    (waiting / "tests/goodbye.sh").write_text("mine\n")
    said = pullwright(waiting, "review", "greet", "--approve")
    assert said.status == 1
    assert "tests/goodbye.sh" in said.err
    assert (waiting / "tests/goodbye.sh").read_text() == "mine\n"
    assert not (waiting / ".git/MERGE_HEAD").exists()


def test_on_another_branch_main_moves_and_the_checkout_stays(waiting: Path) -> None:
    git(waiting, "checkout", "-q", "-b", "topic")
    right(pullwright(waiting, "review", "greet", "--approve"))
    assert git(waiting, "symbolic-ref", "--short", "HEAD") == "topic"
    assert (waiting / "greeting.txt").read_text() == "hello\n"
    assert git(waiting, "show", "main:greeting.txt") == "hello\ngoodbye"


def test_a_plain_merge_by_a_person_is_noticed(waiting: Path) -> None:
    git(waiting, "merge", "-q", "--no-edit", "agents/greet/complete")
    assert right(pullwright(waiting, "task", "list")).split() == ["greet", "complete", "done"]
    said = pullwright(waiting, "review", "greet", "--approve")
    assert (said.status, "it is complete" in said.err) == (1, True)


def test_a_plain_merge_of_a_stage_in_the_middle_is_noticed(repository: Path) -> None:
    right(pullwright(repository, "run"))
    git(repository, "checkout", "-q", "work/greet")
    git(repository, "merge", "-q", "--no-edit", "agents/greet/design")
    git(repository, "checkout", "-q", "main")
    assert "next: scripted takes build" in right(pullwright(repository, "plan"))


def test_a_clone_of_a_bare_hub_works_like_the_hub_itself(bare: tuple[Path, Path]) -> None:
    hub, here = bare
    waits = right(pullwright(here, "run"))
    assert "git fetch && git diff origin/main...origin/agents/greet/complete" in waits
    assert "goodbye" in git(here, "diff", "origin/main...origin/agents/greet/complete")
    assert "git pull" in right(pullwright(here, "review", "greet", "--approve"))
    assert first_parents(hub)[0] == "Merge complete of greet into main"
    assert len(first_parents(hub)) == 3
    git(here, "pull", "-q", "--ff-only")
    assert (here / "greeting.txt").read_text() == "hello\ngoodbye\n"
    assert branches(here) == ["main"]


def test_a_task_counts_once_it_is_pushed(tmp_path: Path, person: Path) -> None:
    here = project(tmp_path / "clone", agents=settings())
    bare_hub(here, tmp_path / "hub.git")
    assert "git push origin main" in right(pullwright(here, "task", "new", "Say goodbye"))
    said = pullwright(here, "task", "show", ID)
    assert (said.status, "push or merge it" in said.err) == (1, True)
    git(here, "push", "-q", "origin", "main")
    right(pullwright(here, "task", "show", ID))


def test_a_hub_with_main_checked_out_keeps_its_checkout_and_the_command_is_named(tmp_path: Path, waiting: Path) -> None:
    here = clone(waiting, tmp_path / "clone")
    said = pullwright(here, "review", "greet", "--approve")
    assert said.status == 1
    assert "main does not take direct pushes" in said.err
    assert "git fetch && git merge --no-ff origin/agents/greet/complete" in said.err
    assert git(waiting, "status", "--porcelain") == ""
    git(waiting, "merge", "-q", "--no-ff", "--no-edit", "agents/greet/complete")
    assert "complete  done" in right(pullwright(here, "run"))


def test_a_hub_that_updates_its_checkout_takes_the_merge(tmp_path: Path, waiting: Path) -> None:
    git(waiting, "config", "receive.denyCurrentBranch", "updateInstead")
    right(pullwright(clone(waiting, tmp_path / "clone"), "review", "greet", "--approve"))
    assert (waiting / "greeting.txt").read_text() == "hello\ngoodbye\n"
    assert git(waiting, "status", "--porcelain") == ""


def test_a_stage_branch_that_is_checked_out_is_named(repository: Path) -> None:
    right(pullwright(repository, "run"))
    git(repository, "checkout", "-q", "agents/greet/design")
    right(pullwright(repository, "review", "greet", "--comment", "More."))
    ran = pullwright(repository, "run")
    assert ran.status == 1
    assert "checked out" in ran.err
    assert git(repository, "status", "--porcelain") == ""
