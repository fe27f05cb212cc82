"""The whole story on GitHub with `serve` running and nothing else, however badly its webhooks travel."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_github.hooks import ROUGH, SMOOTH, Chance
from fake_github.office import Office
from fake_github.server import FakeGitHub
from github_parts import VARIABLES
from repositories import at_home
from service.visitors import hooked, mirrored, play, rebuilt, record

SHORT = {"Stages": "design, complete"}
SECONDS = 5.0  # for how long seeds are tried in the normal run, the last of them to its end


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
    assert seeds and counts["lost"] and counts["failed"] and counts["doubled"] and counts["late"]
    assert counts["redelivered"]


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
        if time.monotonic() > end:
            break
    return played, counts
