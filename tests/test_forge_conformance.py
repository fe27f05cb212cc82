"""What every forge keeps, plain Git and GitHub alike; GitHub also while things go wrong on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from fake_github.faults import Fault
from fake_github.issues import open_issue
from fake_github.office import Time
from fake_github.server import FakeGitHub
from repositories import commit, git

from runner import credentials
from runner import git as trusted
from runner.errors import UserError
from runner.forge import Forge, Merged, Proposal, Refused, Shown
from runner.forge.github import GitHub
from runner.forge.local import Local
from runner.lifecycle import Stage, StageRef

REF = StageRef("greet", Stage.DESIGN, 1)


class Bench(NamedTuple):
    """A forge at a hub with `work/greet`, and `agents/greet/design` one commit ahead. `fake` if there is one."""

    forge: Forge
    hub: Path
    clone: Path
    fake: FakeGitHub | None

    def tip(self, branch: str) -> str:
        return git(self.hub, "rev-parse", branch)

    def proposal(self) -> Proposal:
        return Proposal(REF, "agents/greet/design", self.tip("agents/greet/design"), "work/greet", "design: x", "what")

    def ready(self) -> Proposal:
        """The proposal, shown with a green gate, which a merge may ask for."""
        from runner.forge import Mark

        made = self.proposal()
        self.forge.show(Shown("greet", proposal=made, marks=(Mark("checks", True, "passed"),)))
        return made

    def push(self, branch: str, files: dict[str, str]) -> None:
        git(self.clone, "fetch", "-q", str(self.hub), branch)
        git(self.clone, "checkout", "-q", "--detach", "FETCH_HEAD")
        commit(self.clone, f"On {branch}", files)
        git(self.clone, "push", "-q", str(self.hub), f"HEAD:refs/heads/{branch}")


def laid_out(folder: Path, hub: Path) -> Path:
    clone = folder / "people"
    clone.mkdir()
    git(clone, "init", "-q", "-b", "main")
    commit(clone, "A beginning", {"greeting.txt": "hello\n"})
    git(clone, "push", "-q", str(hub), "HEAD:main", "HEAD:work/greet")
    commit(clone, "A design", {"design.md": "so\n"})
    git(clone, "push", "-q", str(hub), "HEAD:agents/greet/design")
    return clone


@pytest.fixture
def at_github(fake: FakeGitHub, bot: str, tmp_path: Path) -> Bench:
    hub, time = fake.world.git_dir, Time()
    clone = laid_out(tmp_path, hub)
    found = credentials.from_environment(fake.clone_url)
    assert found is not None
    return Bench(GitHub(found, clock=time, sleep=time.sleep), hub, clone, fake)


@pytest.fixture
def at_home(person: Path, tmp_path: Path) -> Bench:
    hub = tmp_path / "hub.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(hub))
    clone = laid_out(tmp_path, hub)
    mirror = trusted.init_bare(tmp_path / "mirror.git")
    trusted.fetch(mirror, str(hub), "+refs/heads/*:refs/remotes/hub/heads/*")
    return Bench(Local(mirror, str(hub), None), hub, clone, None)


@pytest.fixture(params=["local", "github"])
def bench(request: pytest.FixtureRequest) -> Bench:
    found: Bench = request.getfixturevalue("at_home" if request.param == "local" else "at_github")
    return found


def test_opening_twice_opens_once(bench: Bench) -> None:
    first = bench.forge.open(bench.proposal())
    assert bench.forge.open(bench.proposal()) == first
    assert bench.fake is None or len(bench.fake.world.pulls) == 1


def test_an_open_proposal_is_not_closed(bench: Bench) -> None:
    bench.forge.open(bench.proposal())
    assert not bench.forge.closed(REF, "agents/greet/design")


def test_the_head_and_all_before_it_is_merged(bench: Bench) -> None:
    made = bench.ready()
    assert isinstance(bench.forge.merge(made, "Merge it\n"), Merged)
    assert git(bench.hub, "merge-base", "--is-ancestor", made.head, "work/greet") == ""


def test_merging_twice_merges_once(bench: Bench) -> None:
    made = bench.ready()
    bench.forge.merge(made, "Merge it\n")
    after = bench.tip("work/greet")
    assert isinstance(bench.forge.merge(made, "Merge it\n"), Merged)
    assert bench.tip("work/greet") == after


def test_a_head_that_nobody_looked_at_is_not_merged(at_github: Bench) -> None:
    made = at_github.ready()
    at_github.push("agents/greet/design", {"more.md": "unseen\n"})
    before = at_github.tip("work/greet")
    assert at_github.forge.merge(made, "Merge it\n") == Refused(
        "moved", f"{_address(at_github)} is not at what was looked at"
    )
    assert at_github.tip("work/greet") == before


def test_a_conflict_is_not_merged(bench: Bench) -> None:
    bench.push("work/greet", {"design.md": "otherwise\n"})
    made = bench.ready()
    before = bench.tip("work/greet")
    assert isinstance(bench.forge.merge(made, "Merge it\n"), Refused)
    assert bench.tip("work/greet") == before


def test_a_target_that_does_not_take_it_is_a_hold_with_its_reason(bench: Bench) -> None:
    made = bench.ready()
    if bench.fake is not None:
        bench.fake.world.methods = set()
    else:
        hook = bench.hub / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\necho protected >&2\nexit 1\n")
        hook.chmod(0o755)
    answer = bench.forge.merge(made, "Merge it\n")
    assert isinstance(answer, Refused) and answer.kind == "hold"
    assert "protected" in answer.reason or "not allowed" in answer.reason


# --- GitHub while things go wrong ----------------------------------------------------------------------------------


def _address(bench: Bench) -> str:
    assert bench.fake is not None
    return f"{bench.fake.url}/acme/shop/pull/1"


def _of(kind: str, path: str, method: str = "POST|PUT") -> list[Fault]:
    return [Fault(kind, method, path)]  # type: ignore[arg-type]


FAULTS: dict[str, Callable[[str], list[Fault]]] = {
    "502 after it was done": lambda path: _of("lost", path),
    "cut off after it was done": lambda path: _of("cut", path),
    "502 and nothing done": lambda path: _of("refused", path),
    "403 with Retry-After": lambda path: _of("limit", path),
    "429 with Retry-After": lambda path: _of("secondary", path),
    "429 without": lambda path: _of("limit-wordless", path),
    "lost, and the list lags": lambda path: [*_of("lost", path), *_of("stale", r"/pulls$|/comments$", "GET")],
    "reads fail twice": lambda path: [Fault("refused", "GET", times=2)],
    "reads are limited": lambda path: _of("limit-wordless", ".*", "GET"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_one_pull_request_whatever_happens_on_the_way(at_github: Bench, name: str) -> None:
    assert at_github.fake is not None
    at_github.fake.faults += FAULTS[name]("/pulls$")
    made = at_github.proposal()
    assert at_github.forge.open(made) == at_github.forge.open(made) == _address(at_github)
    assert len(at_github.fake.world.pulls) == 1
    assert all(fault.times == 0 for fault in at_github.fake.faults)


@pytest.mark.parametrize("name", FAULTS)
def test_one_merge_whatever_happens_on_the_way(at_github: Bench, name: str) -> None:
    assert at_github.fake is not None
    made = at_github.ready()
    at_github.fake.faults += FAULTS[name]("/merge$")
    answer = at_github.forge.merge(made, "Merge it\n")
    while isinstance(answer, Refused):
        assert answer.kind == "moved", answer
        answer = at_github.forge.merge(made, "Merge it\n")
    merges = git(at_github.hub, "log", "--merges", "--format=%s", "work/greet").splitlines()
    assert merges == ["Merge it"]


@pytest.mark.parametrize("name", FAULTS)
def test_one_note_whatever_happens_on_the_way(at_github: Bench, name: str) -> None:
    assert at_github.fake is not None
    world = at_github.fake.world
    issue = open_issue(world, world.user("mona", "admin"), "x", "y")
    at_github.fake.faults += FAULTS[name]("/comments$")
    for text in ("one", "two"):
        at_github.forge.show(Shown(f"issue-{issue.number}", note=text))
    at_github.forge.settle()
    assert [comment.body for comment in world.comments.values()] == ["<!-- pullwright:task -->\ntwo"]


def test_a_token_that_has_ended_is_said_with_its_remedy(at_github: Bench) -> None:
    assert at_github.fake is not None
    at_github.fake.faults.append(Fault("expired", "GET"))
    with pytest.raises(UserError, match="does not take the token"):
        at_github.forge.open(at_github.proposal())


def test_no_pull_request_that_nobody_may_merge_for_lack_of_checks(at_github: Bench) -> None:
    made = at_github.proposal()
    at_github.forge.open(made)
    answer = at_github.forge.merge(made, "Merge it\n")
    assert isinstance(answer, Refused) and "none has looked at it" in answer.reason


def test_a_red_check_of_somebody_else_stops_the_policy(at_github: Bench) -> None:
    assert at_github.fake is not None
    made = at_github.ready()
    at_github.fake.world.statuses[made.head].append({"state": "failure", "context": "lint"})
    answer = at_github.forge.merge(made, "Merge it\n")
    assert answer == Refused("hold", f"check failed: lint ({_address(at_github)})")


def test_writes_keep_a_second_between_them_and_notes_thirty(at_github: Bench) -> None:
    assert at_github.fake is not None and isinstance(at_github.forge, GitHub)
    world, clock = at_github.fake.world, at_github.forge.client.clock
    issue = open_issue(world, world.user("mona", "admin"), "x", "y")
    for number in range(4):
        at_github.forge.show(Shown(f"issue-{issue.number}", note=str(number), label="design"))
    assert next(iter(world.comments.values())).body.endswith("0")
    at_github.forge.settle()
    assert next(iter(world.comments.values())).body.endswith("3")
    assert clock() >= 30
    assert len([seen for seen in at_github.fake.seen if seen.method == "PATCH"]) == 1


def test_what_has_not_changed_costs_nothing(at_github: Bench) -> None:
    assert at_github.fake is not None
    at_github.forge.hear(())
    left = at_github.fake.limit
    at_github.forge.hear(())
    assert at_github.fake.limit == left
