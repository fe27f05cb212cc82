"""Which tools are offered, and how they are described."""

import json

from hypothesis import given
from hypothesis import strategies as st

from runner.lifecycle import STAGES, Stage
from runner.tools import GROUPS, MOST, STAGE_EXTRAS, STAGE_TOOLS, TOOLS, describe, most, observation_cap, offered

ALL = tuple(GROUPS)


def test_every_tool_has_a_stage_and_no_stage_more_than_five() -> None:
    assert set().union(*STAGE_TOOLS.values(), *STAGE_EXTRAS.values()) == set(TOOLS)
    assert all(len(names) <= MOST and "finish" in names for names in STAGE_TOOLS.values())


@given(st.sampled_from(STAGES), st.lists(st.sampled_from(ALL)))
def test_an_agent_gets_no_tool_that_its_groups_do_not_name(stage: Stage, groups: list[str]) -> None:
    names = offered(stage, groups)
    assert "finish" in names and len(names) == len(set(names)) <= MOST
    for group, own in GROUPS.items():
        assert group in groups or not set(own) & set(names)
    without = set(names[:2]) - {"finish"}
    assert not set(offered(stage, groups, without)) & without


def test_without_a_terminal_an_agent_can_still_look_around() -> None:
    assert offered(Stage.BUILD, ("files",)) == ("search", "view", "write", "edit", "finish")
    assert "view" in offered(Stage.COMPLETE, ("files",))


def test_what_an_agent_may_do_beside_takes_the_place_of_the_dispensable() -> None:
    assert offered(Stage.DESIGN, ("bash", "files", "web")) == ("view", "write", "web_search", "web_fetch", "finish")
    assert offered(Stage.BUILD, ("bash", "files", "python")) == (
        "bash",
        "write",
        "python_run",
        "python_install",
        "finish",
    )
    assert offered(Stage.COMPLETE, ("bash", "files", "pdf", "mail")) == (
        "bash",
        "write",
        "pdf_write",
        "mail_send",
        "finish",
    )
    assert offered(Stage.BUILD, ("bash", "files")) == STAGE_TOOLS[Stage.BUILD]
    assert offered(Stage.BUILD, ("bash", "files", "python"), {"python_install"})[3:] == ("python_run", "finish")


def test_a_large_window_is_offered_more_and_keeps_what_the_stage_needs() -> None:
    assert [most(context) for context in (8192, 32767, 32768)] == [5, 5, 9]
    for stage in Stage:
        names = offered(stage, ALL, most=most(131072))
        assert 5 < len(names) <= 9 and names[-1] == "finish" and {"write", "view"} & set(names)
    assert set(offered(Stage.DESIGN, ALL, most=9)) >= {"view", "write", "web_fetch", "github_read", "issue_comment"}
    assert set(offered(Stage.COMPLETE, ALL, most=9)) >= {"bash", "pdf_write", "mail_send", "issue_comment"}
    seen = {name for stage in Stage for name in offered(stage, ALL, most=9)}
    assert seen | {"search"} == set(TOOLS), "every tool can be had somewhere; searching is the terminal's too"


def test_a_description_is_made_of_signature_and_docstring() -> None:
    spec = describe(TOOLS["edit"])
    assert spec.description.startswith("Change part of an existing file. SEARCH holds")
    assert list(spec.parameters["properties"]) == spec.parameters["required"] == ["path", "change"]
    assert spec.parameters["properties"]["change"]["x-body"] is True
    assert "such as src/calc.py" in spec.parameters["properties"]["path"]["description"]
    assert describe(TOOLS["bash"]).parameters["required"] == ["command"]


def test_descriptions_are_short_and_every_parameter_is_explained() -> None:
    for stage in Stage:
        names = offered(stage, ALL)
        specs = [describe(TOOLS[name]) for name in names]
        assert all(value["description"] for spec in specs for value in spec.parameters["properties"].values())
        assert all(sum("x-body" in value for value in spec.parameters["properties"].values()) <= 1 for spec in specs), (
            "one body a tool, or JSON cannot carry it"
        )
        assert sum(len(json.dumps(spec.parameters)) + len(spec.description) for spec in specs) < 2600, stage


def test_an_observation_gets_an_eighth_of_the_window() -> None:
    assert [observation_cap(context) for context in (2048, 4096, 8192, 131072)] == [1500, 1792, 3584, 10000]
