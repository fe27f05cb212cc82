"""`pullwright report`: what stages cost by agent and complexity, and one task's report through the real command."""

import json
from pathlib import Path

import pypdfium2
from hypothesis import given
from hypothesis import strategies as st
from repositories import TASK, typed

from pullwright.reporting import Line, by_agent, table
from runner.lifecycle import Stage

OUTCOMES = ["merged", "closed", "working", "held", "ready"]


def line(agent: str, complexity: int, outcome: str = "merged", **more: object) -> Line:
    values = {"reworks": 1, "steps": 10, "tokens": 1000, "cost": 0.5, "seconds": 60} | more
    return Line("fix", Stage.BUILD, 1, agent, "m", complexity, outcome, **values)  # type: ignore[arg-type]


def test_what_was_given_up_is_part_of_what_a_merged_stage_costs() -> None:
    total, everything = by_agent([line("a", 3), line("a", 3), line("a", 3, "closed", cost=2.0, seconds=None)])
    assert (total.agent, total.complexity, total.merged, total.closed, total.reworks) == ("a", 3, 2, 1, 3)
    assert total.each(total.cost) == 1.5
    assert total.seconds == 120
    assert everything.agent == "" and everything.complexity is None and everything.cost == 3.0


def test_agents_and_complexities_have_rows_of_their_own() -> None:
    totals = by_agent([line("b", 3), line("a", 9), line("a", 2), line("b", 3)])
    assert [(one.agent, one.complexity, one.merged) for one in totals] == [
        ("a", 2, 1),
        ("a", 9, 1),
        ("b", 3, 2),
        ("", None, 4),
    ]


def test_where_nothing_is_merged_no_stage_has_a_price() -> None:
    assert by_agent([line("a", 3, "held")])[0].each(1.0) is None
    assert by_agent([]) == by_agent(iter(()))


def test_the_table_is_aligned() -> None:
    head, first, _, last = table(by_agent([line("gemma", 3), line("sonnet", 10, "working", tokens=1_234_567)]))
    assert head.split()[:3] == ["agent", "complexity", "merged"]
    each = ["1,000", "$0.50", "1", "min", "0", "s"]
    assert first.split() == ["gemma", "3", "1", "0", "1", "10", *each, *each]
    assert last.split()[0] == "all"
    assert len({len(text) for text in (head, first, last)}) == 1


@given(
    st.lists(
        st.builds(
            line, st.sampled_from(["a", "b"]), st.integers(1, 3), st.sampled_from(OUTCOMES), tokens=st.integers(0, 99)
        )
    )
)
def test_the_rows_add_up_to_the_last(found: list[Line]) -> None:
    *rows, last = by_agent(found)
    assert sum(one.tokens for one in rows) == last.tokens == sum(one.tokens for one in found)
    assert sum(one.merged for one in rows) == last.merged
    assert len(list(table([*rows, last]))) == len(rows) + 2


def test_a_task_is_reported_from_before_its_first_claim_to_its_merge(unattended: Path) -> None:
    assert typed(unattended, "report").out == "no stage was worked on yet: pullwright run\n"
    refused = typed(unattended, "report", TASK)
    assert refused.status == 1 and "no record yet" in refused.err and f"pullwright run --task {TASK}" in refused.err

    typed(unattended, "run", "--once")
    on_its_way = typed(unattended, "report", TASK, "--markdown")
    assert on_its_way.status == 0 and "| Outcome | not complete:" in on_its_way.out

    assert typed(unattended, "run").status == 0
    said = json.loads(typed(unattended, "report", "--json").out)
    assert [(one["stage"], one["outcome"]) for one in said["stages"]] == [(stage, "merged") for stage in Stage]
    assert said["totals"][-1]["merged"] == 5 and said["totals"][-1]["tokens_per_stage"] is not None
    assert typed(unattended, "report").out.splitlines()[-1].split()[:2] == ["all", "5"]

    path = Path(typed(unattended, "report", TASK).out.strip())
    assert path == unattended / ".git" / "pullwright" / "reports" / f"{TASK}.pdf"
    assert pypdfium2.PdfDocument(path.read_bytes()).get_metadata_dict()["Subject"] == f"What came of the task {TASK}"
    assert "| Outcome | complete on 20" in typed(unattended, "report", TASK, "--markdown").out
    assert json.loads(typed(unattended, "report", TASK, "--json").out)["report"] == str(path)


def test_what_makes_no_sense_is_refused(unattended: Path) -> None:
    assert typed(unattended, "report", "--markdown").status == 2
    unknown = typed(unattended, "report", "nope")
    assert unknown.status == 1 and "there is no task nope" in unknown.err
