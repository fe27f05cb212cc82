"""Which agent takes a task, and which task comes first."""

from hypothesis import given
from hypothesis import strategies as st

from runner.agents import Agent
from runner.assign import NoAgent, assign, order
from runner.task import Task, TaskFile

SMALL = Agent("small", "m", min_complexity=1, max_complexity=4)
MIDDLE = Agent("middle", "m", min_complexity=3, max_complexity=7, concurrency=2)
BIG = Agent("big", "m", min_complexity=3, max_complexity=8)
CREW = (SMALL, MIDDLE, BIG)


def test_the_first_in_the_files_order_whose_range_holds_the_complexity_takes_it() -> None:
    assert [assign(n, CREW, {}) for n in (1, 3, 4, 5, 8)] == [SMALL, SMALL, SMALL, MIDDLE, BIG]
    assert assign(3, (BIG, SMALL), {}) == BIG


def test_nobody_for_a_complexity_is_a_hold_that_says_so() -> None:
    found = assign(9, CREW, {"big": 1}, frozenset({"small"}))
    assert isinstance(found, NoAgent)
    assert (found.reason, found.waits) == ("no agent for complexity 9", False)
    assert found.remedy


def test_a_busy_agent_is_passed_over_until_all_are_busy() -> None:
    assert assign(3, CREW, {"small": 1}) == MIDDLE
    assert assign(3, CREW, {"small": 1, "middle": 1}) == MIDDLE
    assert assign(3, CREW, {"small": 1, "middle": 2}) == BIG
    assert assign(3, CREW, {"small": 1, "middle": 2, "big": 1}) == NoAgent("busy: small, middle, big", waits=True)


def test_an_offline_agent_is_passed_over_until_all_are_offline() -> None:
    assert assign(3, CREW, {}, frozenset({"small"})) == MIDDLE
    assert assign(8, CREW, {}, frozenset({"big"})) == NoAgent("offline: big", waits=True)
    assert assign(3, CREW, {"middle": 2}, frozenset({"small", "big"})) == NoAgent("busy: middle", waits=True)


def test_a_named_agent_takes_it_whatever_its_range_and_no_other_does() -> None:
    assert assign(9, CREW, {}, wanted="small") == SMALL
    assert assign(3, CREW, {"big": 1}, wanted="big") == NoAgent("busy: big", waits=True)
    assert assign(3, CREW, {}, frozenset({"big"}), wanted="big") == NoAgent("offline: big", waits=True)
    found = assign(3, CREW, {}, wanted="nobody")
    assert isinstance(found, NoAgent)
    assert (found.reason, found.waits) == ("no agent nobody", False)
    assert "small, middle, big" in found.remedy


def test_who_is_excluded_does_not_get_it_again() -> None:
    assert assign(3, CREW, {}, exclude=frozenset({"small"})) == MIDDLE
    for wanted in (None, "big"):
        found = assign(8, CREW, {}, wanted=wanted, exclude=frozenset({"big"}))
        assert isinstance(found, NoAgent)
        assert (found.reason, found.waits) == ("no other agent than big for complexity 8", False)


def test_a_review_goes_to_another_agent_than_the_builder_where_one_fits() -> None:
    assert assign(3, CREW, {}, prefer_other_than="small") == MIDDLE
    assert assign(1, CREW, {}, prefer_other_than="small") == SMALL  # no other fits
    others_busy = {"middle": 2, "big": 1}
    assert assign(3, CREW, others_busy, prefer_other_than="small") == NoAgent("busy: middle, big", waits=True)
    assert assign(3, CREW, {}, frozenset({"middle", "big"}), prefer_other_than="small") == SMALL
    assert assign(3, CREW, {}, wanted="small", prefer_other_than="small") == SMALL


NAMES = st.sampled_from(["small", "middle", "big", "nobody"])


@given(
    st.integers(1, 10),
    st.permutations(CREW),
    st.dictionaries(NAMES, st.integers(0, 3)),
    st.frozensets(NAMES),
    st.none() | NAMES,
    st.frozensets(NAMES),
    st.none() | NAMES,
)
def test_whoever_gets_it_may_have_it(
    complexity: int,
    crew: list[Agent],
    busy: dict[str, int],
    offline: frozenset[str],
    wanted: str | None,
    exclude: frozenset[str],
    other: str | None,
) -> None:
    found = assign(complexity, crew, busy, offline, wanted, exclude, other)
    if isinstance(found, NoAgent):
        assert found.reason
        assert found.waits or found.remedy
        return
    assert found.name not in offline | exclude
    assert busy.get(found.name, 0) < found.concurrency
    assert found.name == wanted if wanted else found.min_complexity <= complexity <= found.max_complexity


def task(id: str, priority: int = 5) -> Task:
    return Task(id, f"tasks/{id}.yaml", TaskFile(id, priority=priority))


def test_higher_priority_goes_first_then_the_oldest_then_by_id() -> None:
    created = {"a": "2026-01-03T00:00:00Z", "b": "2026-01-01T00:00:00Z", "c": "2026-01-03T00:00:00Z", "u": "2026-05-01"}
    tasks = [task("new"), task("c"), task("a"), task("b"), task("u", 9), task("low", 1)]
    assert [one.id for one in order(tasks, created)] == ["u", "b", "a", "c", "new", "low"]
    assert order(reversed(tasks), created) == order(tasks, created)
