"""What is protected, and what may be merged."""

import itertools
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.agents import PROTECTED, Policy, ReviewPolicy
from runner.globs import matching
from runner.lifecycle import STAGES, Stage
from runner.policy import Allow, Deny, folded, may_merge, touches
from runner.record import Gate

# --- patterns ---


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("docs/**", ["docs/a", "docs/a/b.md", "docs"], ["doc", "docsx/a", "a/docs/b"]),
        ("docs/", ["docs/a", "x/docs/a", "docs"], ["docsx"]),
        ("agents.yaml", ["agents.yaml", "x/agents.yaml", "agents.yaml/x"], ["agents.yaml.bak", "my-agents.yaml"]),
        ("/agents.yaml", ["agents.yaml"], ["x/agents.yaml"]),
        ("*.lock", ["a.lock", "x/y.lock"], ["a.lockx", "lock"]),
        ("src/*.py", ["src/a.py"], ["src/a/b.py", "x/src/a.py"]),
        ("src/**/test_*.py", ["src/test_a.py", "src/a/b/test_c.py"], ["src/a.py", "test_a.py"]),
        ("**/conf", ["conf", "a/b/conf", "conf/x"], ["confx"]),
        ("a?c", ["abc", "x/a-c"], ["ac", "a/c"]),
        ("[a-c].py", ["b.py"], ["d.py", "-.py"]),
        ("[!a].py", ["b.py"], ["a.py"]),
        ("a\\*b", ["a*b"], ["axb"]),
        ("(a|b).py", ["(a|b).py"], ["a.py"]),
        ("**", ["a", "a/b"], []),
    ],
)
def test_patterns_are_read_as_in_gitignore(pattern: str, yes: list[str], no: list[str]) -> None:
    assert matching([*yes, *no], [pattern]) == tuple(yes)


NAMES = st.sampled_from(["a", "b", "ab", "abc", "A", ".a", "a.b", "a*", "-"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(
    ["a", "b", "ab", "*", "?", "**", ".", "[ab]", "[!a]", "[^b]", "[a-c]", "[]a]", "\\*", "a*", "-"]
)
PATTERNS = st.builds(
    lambda root, parts, end: root + "/".join(parts) + end,
    st.sampled_from(["", "/", "**/"]),
    st.lists(st.lists(PIECES, min_size=1, max_size=2).map("".join), min_size=1, max_size=3),
    st.sampled_from(["", "", "/**"]),
).filter(lambda pattern: not re.search(r"[^/*]\*\*|\*\*[^/*]", pattern))  # Git does not do there what its manual says


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("globs")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


@settings(max_examples=150, deadline=None)
@given(pattern=PATTERNS, paths=st.lists(PATHS, min_size=1, max_size=8, unique=True))
def test_git_agrees_on_every_pattern(repository: Path, pattern: str, paths: list[str]) -> None:
    ours = matching(paths, [pattern])
    (repository / ".git/info/exclude").write_text(pattern + "\n")
    command = ["git", "-c", "core.ignoreCase=false", "check-ignore", "--no-index", "-z", "--stdin"]
    asked = "\0".join(paths).encode()
    git = subprocess.run(command, cwd=repository, input=asked, capture_output=True, check=False)
    theirs = tuple(git.stdout.decode().split("\0")[:-1])
    assert set(theirs) <= set(ours)
    assert pattern.endswith("**") or ours == theirs


@pytest.mark.parametrize(
    "path",
    [
        "agents.yaml",
        "Agents.YAML",
        "AGENTS.yaml",
        "./agents.yaml",
        "x/../agents.yaml",
        "agents.yaml.",
        "agents.yaml ",
        "agents.yaml::$DATA",
        "agents\u200c.yaml",
        "\ufeffagents.yaml",
        ".\\agents.yaml",
        "//agents.yaml",
        ".github/workflows/ci.yml",
        ".GitHub/workflows/ci.yml",
        ".github",
        ".github\\workflows\\ci.yml",
        ".g\u200dithub/x",
        ".github./x",
        ".github /x",
        ".pullwright/prompts/build.md",
        ".Pullwright",
        "CODEOWNERS",
        ".github/CODEOWNERS",
        "docs/CODEOWNERS",
        "docs/codeowners",
        "..\\x",
        "..",
        "a/.. /x",
    ],
)
def test_no_spelling_slips_by_what_is_protected(path: str) -> None:
    assert touches(["src/a.py", path], PROTECTED) == (path,)


@pytest.mark.parametrize(
    "path",
    ["src/a.py", "github/x", ".githubx/y", "docs/agents.yaml.md", "my-agents.yaml", "tasks/a.yaml", "a..b"],
)
def test_what_is_not_protected_is_free(path: str) -> None:
    assert touches([path], PROTECTED) == ()


def test_a_name_in_either_unicode_form_is_protected_by_either() -> None:
    composed, apart = "gr\u00f6\u00dfe.txt", "gro\u0308\u00dfe.txt"
    for path, pattern in itertools.product([composed, apart, "GRO\u0308SSE.TXT"], [composed, apart]):
        assert touches([path], [pattern]) == (path,)


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing(path: str) -> None:
    assert folded(folded(path)) == folded(path)


# --- merging ---

PASSED = tuple(Gate(name, "pytest -q", 0, 1.0) for name in ("checks", "stages", "base"))
AUTO = Policy(review=ReviewPolicy("auto", "auto", "auto", "auto", "auto"))
FACTS = {
    "stage": Stage.BUILD,
    "is_last": False,
    "policy": AUTO,
    "gates": PASSED,
    "head_is_gated": True,
    "paths": ("src/a.py",),
    "adds_tasks": False,
    "base_is_inside": True,
}


def answer(**changes: object) -> Allow | Deny:
    return may_merge(**{**FACTS, **changes})  # type: ignore[arg-type]


def kind(**changes: object) -> str:
    found = answer(**changes)
    return found.kind if isinstance(found, Deny) else "allowed"


def test_what_is_green_gated_unprotected_and_automatic_is_merged() -> None:
    assert answer() == Allow()
    assert answer(is_last=True) == Allow()


def test_a_head_that_the_gates_did_not_see_is_not_merged() -> None:
    assert kind(head_is_gated=False) == "gates"


def test_no_gate_at_all_is_not_green() -> None:
    assert kind(gates=()) == "gates"
    assert answer(gates=PASSED[:2], is_last=True) == Deny("gates", "gates have not run: base")
    assert answer(gates=PASSED[:1]) == Allow()


@pytest.mark.parametrize("exit", [1, 137, None])
def test_a_gate_that_failed_or_did_not_end_is_not_green(exit: int | None) -> None:
    gates = (*PASSED, Gate("tests", "pytest", exit, 1.0))
    assert answer(gates=gates) == Deny("failed", "gate failed: tests")


def test_protected_paths_and_new_tasks_are_for_people() -> None:
    assert answer(paths=("a", ".GITHUB/x")) == Deny("protected", "touches protected paths: .GITHUB/x")
    assert kind(adds_tasks=True) == "tasks"


def test_base_must_be_inside_what_the_gates_saw_only_where_base_is_the_target() -> None:
    assert kind(base_is_inside=False) == "allowed"
    assert kind(base_is_inside=False, is_last=True) == "base moved"


def test_the_default_policy_asks_people_about_design_and_completion() -> None:
    kinds = {stage: kind(stage=stage, policy=Policy()) for stage in STAGES}
    assert kinds == {
        Stage.DESIGN: "review",
        Stage.BUILD: "allowed",
        Stage.TEST: "allowed",
        Stage.REVIEW: "allowed",
        Stage.COMPLETE: "review",
    }
    assert answer(stage=Stage.DESIGN, policy=Policy()) == Deny("review", "design waits for review")


@pytest.mark.parametrize("stage", STAGES)
def test_whatever_goes_into_base_needs_the_policy_of_complete(stage: Stage) -> None:
    policy = Policy(review=ReviewPolicy("auto", "auto", "auto", "auto", "human"))
    assert kind(stage=stage, policy=policy, is_last=True) == "review"


def test_a_person_may_approve_what_waits_for_one_and_nothing_else() -> None:
    assert kind(by_person=True, stage=Stage.DESIGN, policy=Policy(), adds_tasks=True) == "allowed"
    assert kind(by_person=True, head_is_gated=False) == "gates"
    assert kind(by_person=True, gates=()) == "gates"
    assert kind(by_person=True, paths=("agents.yaml",)) == "protected"
    assert kind(by_person=True, is_last=True, base_is_inside=False) == "base moved"


def test_it_is_merged_only_if_every_rule_says_so() -> None:
    spoiled = {
        "gates": (),
        "head_is_gated": False,
        "paths": ("CODEOWNERS",),
        "adds_tasks": True,
        "base_is_inside": False,
        "policy": Policy(review=ReviewPolicy(*["human"] * 5)),  # type: ignore[arg-type]
    }
    for count in range(1, len(spoiled) + 1):
        for chosen in itertools.combinations(spoiled, count):
            changes = {name: spoiled[name] for name in chosen}
            assert isinstance(answer(is_last=True, **changes), Deny), chosen
