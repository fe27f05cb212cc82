"""The whole story on GitHub with `serve` running and nothing else, however badly its webhooks travel."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_github.faults import Fault
from fake_github.hooks import ROUGH, SMOOTH, Chance
from fake_github.office import Office, form
from fake_github.server import FakeGitHub, Seen
from github_parts import VARIABLES
from repositories import at_home, commit, git
from service.visitors import hooked, labelled, mirrored, play, ready, rebuilt, record, seen, work

SHORT = {"Stages": "design, complete"}
SECONDS = 40.0  # for how long seeds are tried in the normal run, the last of them to its end, until all has happened
FATES = ("lost", "failed", "doubled", "late", "redelivered")


class End(tuple[dict[str, Any], dict[str, list[str]]]):
    """What a story comes to: the record on main, and the index."""


@contextmanager
def town(folder: Path) -> Iterator[Office]:
    """A GitHub of its own, with people and a runner's account."""
    with pytest.MonkeyPatch.context() as patch, FakeGitHub(folder / "server") as server:
        at_home(folder, patch)
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        server.world.user("pullwright-bot", "write")
        patch.setenv("GITHUB_SERVER_URL", server.url)
        patch.setenv("GITHUB_API_URL", server.api)
        patch.setenv("PULLWRIGHT_GITHUB_TOKEN", server.token("pullwright-bot"))
        yield Office(server, folder)
        assert server.complaints == []


def told(folder: Path, counts: Counter[str], chance: Chance = SMOOTH, seed: int = 0, **more: Any) -> End:
    """Play a story, and look at what it has come to."""
    folder.mkdir()
    given, allowed = more.pop("given", SHORT), more.pop("allowed", True)
    with town(folder) as office, hooked(office, chance, seed, **more) as service:
        hook = office.world.hook
        assert hook is not None
        hook.allowed = allowed
        play(office, service, **given)
        assert rebuilt(service) == []
        assert [line for line in service.log if line["what"] in ("look failed", "forge failed", "fault")] == []
        counts.update(hook.counts)
        return End((record(office), mirrored(service.front.options.index)))


def test_the_whole_story_plays_by_webhooks_alone(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    record, index = told(tmp_path / "smooth", counts, given={})
    assert {path.rpartition("/")[2] for path in record} >= {"design.md", "test-report.md", "review.md", "summary.md"}
    assert [row.split(", ")[4] for row in index["tasks"]] == ["'complete'"]
    assert set(counts) == {"events", "doubled", "answered 202"} and counts["doubled"] == 0


def test_deliveries_that_are_lost_doubled_and_late_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds, counts = rough(tmp_path, range(1000), SECONDS)
    with capsys.disabled():
        print(f"\n{seeds} stories of lost, doubled and late deliveries: {dict(counts)}")
    assert all(counts[fate] for fate in FATES)


def test_a_delivery_that_failed_is_asked_for_again_and_one_that_came_is_not(office: Office) -> None:
    with hooked(office, dispatch="none") as service:  # its sweep at the start is over once the log is silent
        hook = office.world.hook
        assert hook is not None
        office.label(office.issue(body=form()).number)
        seen(service, lambda: labelled(office, "pullwright:design"), "an acceptance")
    with hooked(office, Chance(failed=1.0), dispatch="none", sweep=0.5) as service:
        hook = office.world.hook
        assert hook is not None
        office.comment(1, "Say why.")
        seen(service, lambda: hook.counts["answered 202"], "a redelivery")
        looks = len(lists(office))
        seen(service, lambda: len(lists(office)) > looks + 3, "more sweeps")
        again = [each.guid for each in hook.deliveries if each.again]
        assert sorted(again) == sorted({each.guid for each in hook.deliveries})


def lists(office: Office) -> list[Seen]:
    """The requests for lists of deliveries."""
    return [asked for asked in office.fake.seen if asked.path.endswith("/deliveries")]


def test_the_workflow_does_the_work_where_the_service_only_starts_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(office.clone, "The workflow", {".github/workflows/agents.yml": "on: workflow_dispatch\n"})
    monkeypatch.setenv("FAKE_WORKFLOWS", "yes")  # a person may push one
    git(office.clone, "push", "-q", str(office.world.git_dir), "main")
    runs = []
    office.world.on_dispatch = lambda given: runs.append(work(office))
    with hooked(office, dispatch="workflow") as service:
        office.label(office.issue(body=form(Stages="design")).number)
        seen(service, lambda: ready(office, "design"), "a design")
        assert {run.wait(300) for run in runs} == {0}
        assert [line for line in service.log if line["what"] in ("look failed", "forge failed", "fault")] == []
    assert {str(given) for given in office.world.dispatched} == {str({"ref": "main"})}
    assert len(runs) == 1


def test_a_task_that_the_api_is_asked_for_is_an_issue_where_the_policy_says_so(
    fake: FakeGitHub, bot: str, tmp_path: Path
) -> None:
    office = Office(fake, tmp_path, policy={"new_tasks": "issue"})
    fake.faults.append(Fault("lost", "POST", "/issues$"))
    asked = {"title": "Say goodbye", "complexity": 4, "priority": 8, "acceptance": ["it says so"]}
    with hooked(office, dispatch="none") as service:
        answer = service.client.post("/api/tasks", json=asked)
        assert answer.status_code == 201, answer.text
        (issue,) = office.world.issues.values()
        assert (answer.json()["slug"], answer.json()["issue"]) == (
            "issue-1",
            office.fake.shapes.issue(issue)["html_url"],
        )
        assert issue.labels == []
        assert service.client.get("/api/tasks/issue-1").status_code == 404
        office.label(1)
        seen(service, lambda: service.client.get("/api/tasks/issue-1").status_code == 200, "a task")
        task = service.client.get("/api/tasks/issue-1").json()
        assert (task["id"], task["complexity"], task["priority"]) == (answer.json()["id"], 4, 8)
        for more in ({"id": "mine"}, {"priority": 7}, {"agent": "scripted"}, {"description": "a <!-- b -->"}):
            assert service.client.post("/api/tasks", json=asked | more).status_code == 422, more
    assert len(office.world.issues) == 1


def test_a_task_that_base_does_not_take_is_a_pull_request(office: Office) -> None:
    office.fake.git_rules = {"FAKE_PROTECTED": "refs/heads/main"}
    office.fake.faults.append(Fault("cut", "POST", "/pulls$"))
    with hooked(office, dispatch="none") as service:
        answer = service.client.post("/api/tasks", json={"title": "Say hello twice"})
        assert answer.status_code == 201, answer.text
        pull = office.pull()
        assert answer.json()["proposal"] == office.fake.shapes.pull(pull, whole=False)["html_url"]
        assert (pull.head, pull.base) == ("pullwright/task/say-hello-twice", "main")
        office.merge(pull.number)
        place = answer.headers["location"]
        seen(service, lambda: service.client.get(place).status_code == 200, "a task")


@pytest.mark.soak
def test_two_hundred_stories_of_lost_doubled_and_late_deliveries_end_the_same(tmp_path: Path) -> None:
    seeds, counts = rough(tmp_path, range(200), float("inf"))
    print(f"\n{seeds} stories: {dict(counts)}")
    assert seeds == 200


def rough(folder: Path, seeds: range, seconds: float) -> tuple[int, Counter[str]]:
    """Stories whose deliveries fare badly, each held against one in which they do not."""
    counts: Counter[str] = Counter()
    wanted = told(folder / "smooth", Counter())
    end, played = time.monotonic() + seconds, 0
    for seed in seeds:
        assert told(folder / f"rough-{seed}", counts, ROUGH, seed, sweep=1.0, allowed=seed % 4 != 3) == wanted, seed
        played += 1
        if time.monotonic() > end and all(counts[fate] for fate in FATES):
            break
    return played, counts
