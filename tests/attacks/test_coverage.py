"""Every known attack has its entry or its own test."""

import ast
from pathlib import Path

import pytest

from attacks.planting import PLANTS
from attacks.test_attacks import ATTACKS

KNOWN = range(1, 91)

OWN_TESTS = {
    29: "attacks/test_words.py::test_names_of_refs_and_texts_of_commits_are_data",
    70: "attacks/test_words.py::test_what_steers_a_terminal_is_shown_and_does_nothing",
    71: "attacks/test_words.py::test_no_line_of_ours_gives_a_log_an_order",
    24: "attacks/test_planting.py::test_the_place_of_the_git_dir_cannot_be_taken",
    39: "test_sandbox_network.py::test_every_other_form_is_refused",
    40: "test_sandbox_network.py::test_a_command_is_refused_when_the_proxy_is_gone",
    44: "test_sandbox.py::test_nothing_outlives_the_runner",
    45: "test_sandbox.py::test_a_command_outlives_the_thread_that_started_it",
    59: "test_sandbox.py::test_output_that_is_not_text_becomes_text",
    61: "test_sandbox.py::test_input_is_passed_and_ends",
    74: "test_sandbox.py::test_a_source_that_a_command_could_replace_is_refused",
    75: "test_sandbox.py::test_a_target_reached_through_a_link_is_refused",
    76: "test_sandbox.py::test_nothing_outlives_the_command",
    90: "test_sandbox.py::test_a_host_without_user_namespaces_is_recognised",
}


def test_no_known_attack_is_forgotten() -> None:
    tables = {attack.number for attack in ATTACKS} | {plant.number for plant in PLANTS}
    assert tables | set(OWN_TESTS) == set(KNOWN)


@pytest.mark.parametrize(("number", "place"), OWN_TESTS.items())
def test_an_attack_with_a_test_of_its_own_has_it(number: int, place: str) -> None:
    file, _, name = place.partition("::")
    tree = ast.parse((Path(__file__).parent.parent / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
