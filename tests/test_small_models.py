"""The table of docs/small-models.md is what the recorded trajectories say, and those are runs as they must be."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import models as bench  # noqa: E402 (bench/ is no package)

from runner.loop.replay import chat  # noqa: E402
from runner.loop.trajectory import Ended, Replied, entries  # noqa: E402

RECORDED = sorted(path for path in bench.RECORDED.glob("*.jsonl") if ".bodies." not in path.name)


def test_the_page_shows_what_was_recorded() -> None:
    page = bench.PAGE.read_text()
    assert bench.into_page(page) == page


@pytest.mark.parametrize("weights", bench.WEIGHTS, ids=lambda weights: weights.name)
def test_at_least_a_hundred_turns_are_recorded(weights: bench.Weights) -> None:
    assert sum(bench.count(bench.read(weights, way)) for way in bench.WAYS if bench.kept(weights, way)) >= 100


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_every_recorded_run_ended_by_a_rule_and_within_its_limits(path: Path) -> None:
    steps = 0
    for entry in entries(path.read_bytes(), path.name):
        steps += isinstance(entry, Replied) and not entry.body
        if isinstance(entry, Ended):
            assert entry.outcome in ("Finished", "Exhausted", "Failed") and steps <= bench.STEPS
            assert entry.outcome != "Failed" or entry.detail.endswith(("loop", "format"))
            steps = 0
    assert steps == 0, "each run has its end"


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name)
def test_what_was_recorded_can_be_shown(path: Path) -> None:
    assert len("".join(chat(entries(path.read_bytes(), path.name)))) > 1000
