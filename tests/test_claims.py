"""Compare-and-swap on a hub's refs: what is a win, what a loss, and what is neither."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from races import chances, faulty, over_http
from repositories import git, write

from runner import claims
from runner.claims import Lost, Won
from runner.errors import UserError
from runner.git import Push, Repo, Unreachable, fetch, init_bare, read, tree_of, tree_with
from runner.git import commit as make
from runner.lifecycle import Stage, StageRef

DESIGN = StageRef("greet", Stage.DESIGN, 1)
BRANCH = "agents/greet/design"
HEAD = f"refs/heads/{BRANCH}"


class Ring(NamedTuple):
    """A hub, its address, a mirror of it, and the commit that claims stand on."""

    hub: Path
    url: str
    repo: Repo
    base: str


@pytest.fixture(params=["file", "http"])
def ring(request: pytest.FixtureRequest, tmp_path: Path, person: Path) -> Iterator[Ring]:
    hub, repo = tmp_path / "hub.git", init_bare(tmp_path / "mirror.git")
    git(tmp_path, "init", "-q", "--bare", str(hub))
    git(hub, "config", "http.receivepack", "true")
    base = make(repo, tree_with(repo, None, {"a.txt": b"a\n"}), [], "The beginning\n")
    claims.git.push(repo, str(hub), Push("refs/heads/main", base, ""))
    with over_http(tmp_path) as address:
        yield Ring(hub, f"{address}/hub.git" if request.param == "http" else str(hub), repo, base)


def unique(ring: Ring, name: str, above: str = "", files: dict[str, bytes | None] | None = None) -> str:
    above = above or ring.base
    return make(ring.repo, tree_with(ring.repo, tree_of(ring.repo, above), files or {}), [above], f"{name}\n")


def there(ring: Ring, ref: str = HEAD) -> str:
    return git(ring.hub, "for-each-ref", "--format=%(objectname)", ref)


def test_who_creates_the_branch_has_won_and_everybody_else_has_lost(ring: Ring) -> None:
    first, second = unique(ring, "first"), unique(ring, "second")
    assert claims.create(ring.repo, ring.url, DESIGN, first) == Won(first)
    assert claims.create(ring.repo, ring.url, DESIGN, second) == Lost(f"{BRANCH} was claimed first")
    assert there(ring) == first


def test_a_claim_brings_its_other_refs_or_none(ring: Ring) -> None:
    work = Push("refs/heads/work/greet", ring.base, "")
    made = unique(ring, "claim")
    assert claims.create(ring.repo, ring.url, DESIGN, made, work) == Won(made)
    assert there(ring, work.ref) == ring.base
    late = StageRef("greet", Stage.BUILD, 1)
    moved = work._replace(new=unique(ring, "main has moved"))
    answer = claims.create(ring.repo, ring.url, late, unique(ring, "late"), moved)
    assert isinstance(answer, Lost) and "work/greet" in answer.reason
    assert there(ring, "refs/heads/agents/greet/build") == ""


def test_an_answer_that_was_lost_after_the_claim_landed_is_a_win(ring: Ring) -> None:
    faulty(ring.hub)
    chances(ring.hub, refuse=0, lose=100)
    made = unique(ring, "claim")
    assert claims.create(ring.repo, ring.url, DESIGN, made) == Won(made)
    further = unique(ring, "further", made)
    assert claims.advance(ring.repo, ring.url, BRANCH, further, made) == Won(further)
    claims.release(ring.repo, ring.url, BRANCH, further)
    assert there(ring) == ""


def test_a_hub_that_refuses_is_no_loss_but_the_persons_to_mend(ring: Ring) -> None:
    faulty(ring.hub)
    chances(ring.hub, refuse=100, lose=0)
    with pytest.raises(UserError, match="not now"):
        claims.create(ring.repo, ring.url, DESIGN, unique(ring, "claim"))
    assert there(ring) == ""


def test_a_hub_that_refuses_now_and_then_is_asked_again(ring: Ring) -> None:
    hook = ring.hub / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho >> asked; [ $(wc -l < asked) -gt 3 ]\n")
    hook.chmod(0o755)
    made = unique(ring, "claim")
    assert claims.create(ring.repo, ring.url, DESIGN, made) == Won(made)


def test_a_hub_out_of_reach_is_no_loss(ring: Ring) -> None:
    gone = ring.url.replace("hub.git", "gone.git")
    with pytest.raises(Unreachable, match="cannot be reached"):
        claims.create(ring.repo, gone, DESIGN, unique(ring, "claim"))
    with pytest.raises(UserError):
        claims.advance(ring.repo, gone, BRANCH, unique(ring, "further"), ring.base)


def test_a_ref_that_another_push_has_locked_for_a_moment_is_tried_again(ring: Ring) -> None:
    lock = ring.hub / f"{HEAD}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    opener = threading.Timer(0.3, lock.unlink)
    opener.start()
    made = unique(ring, "claim")
    assert claims.create(ring.repo, ring.url, DESIGN, made) == Won(made)
    opener.join()


def test_a_former_owner_is_refused(ring: Ring) -> None:
    mine = unique(ring, "mine")
    claims.create(ring.repo, ring.url, DESIGN, mine)
    theirs = unique(ring, "theirs", mine)
    assert claims.advance(ring.repo, ring.url, BRANCH, theirs, mine) == Won(theirs)
    answer = claims.advance(ring.repo, ring.url, BRANCH, unique(ring, "late", mine), mine)
    assert isinstance(answer, Lost) and there(ring) == theirs
    git(ring.hub, "update-ref", "-d", HEAD)
    answer = claims.advance(ring.repo, ring.url, BRANCH, unique(ring, "later", mine), mine)
    assert isinstance(answer, Lost) and "deleted" in answer.reason and there(ring) == ""


def test_only_our_own_claim_is_released(ring: Ring) -> None:
    mine = unique(ring, "mine")
    claims.create(ring.repo, ring.url, DESIGN, mine)
    theirs = unique(ring, "theirs", mine)
    claims.advance(ring.repo, ring.url, BRANCH, theirs, mine)
    claims.release(ring.repo, ring.url, BRANCH, mine)
    assert there(ring) == theirs
    claims.release(ring.repo, ring.url, BRANCH, theirs)
    assert there(ring) == ""


def test_a_branch_checked_out_in_the_hub_is_named_with_the_way_out(tmp_path: Path, person: Path) -> None:
    hub, repo = tmp_path / "own", init_bare(tmp_path / "mirror.git")
    git(tmp_path, "init", "-q", str(hub))
    write(hub, {"a.txt": "a\n"})
    git(hub, "add", "a.txt")
    git(hub, "commit", "-q", "-m", "a")
    git(hub, "checkout", "-q", "-b", BRANCH)
    fetch(repo, str(hub), f"+{HEAD}:refs/remotes/hub/x")
    head = git(hub, "rev-parse", BRANCH)
    made = make(repo, tree_of(repo, head), [head], "further\n")
    with pytest.raises(UserError, match=f"(?s){BRANCH}.*check out another one"):
        claims.advance(repo, str(hub), BRANCH, made, head)
    assert git(hub, "rev-parse", BRANCH) == head


# --- the ground of a claim: base merged into the task branch -------------------------------------------------------


def test_base_is_merged_in_and_one_that_conflicts_stays_out(ring: Ring) -> None:
    work = unique(ring, "work", files={"w.txt": b"w\n"})
    moved = unique(ring, "moved", files={"m.txt": b"m\n"})
    ground = claims.ground(ring.repo, work, moved, ring.base)
    assert (ground.head, ground.base, ground.pending) == ((work, moved), moved, None)
    assert read(ring.repo, ground.tree, "m.txt") == b"m\n" and read(ring.repo, ground.tree, "w.txt") == b"w\n"
    rival = unique(ring, "rival", files={"w.txt": b"other\n"})
    ground = claims.ground(ring.repo, work, rival, ring.base)
    assert (ground.head, ground.base, ground.conflicts, ground.pending) == ((work,), ring.base, ("w.txt",), rival)


def test_what_somebody_squashed_does_not_conflict_with_itself(ring: Ring) -> None:
    base = unique(ring, "base moves", files={"a.txt": b"b\n"})  # an entry names it; the stage merged it in
    stage = make(
        ring.repo, tree_of(ring.repo, unique(ring, "x", base, {"a.txt": b"c\n"})), [ring.base, base], "stage\n"
    )
    squashed = make(ring.repo, tree_of(ring.repo, stage), [ring.base], "squashed\n")
    ground = claims.ground(ring.repo, squashed, base, base)
    assert ground.conflicts == () and read(ring.repo, ground.tree, "a.txt") == b"c\n"
    assert claims.ground(ring.repo, squashed, base, None).conflicts == ("a.txt",), "the control"
