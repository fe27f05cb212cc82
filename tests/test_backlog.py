"""Which files of a commit are tasks, and what is wrong with the others."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import git
from runner.agents import Agent, parse_settings
from runner.assign import assign
from runner.backlog import Backlog, Problem, backlog, candidates, read, record_path

GOOD = b"title: a"


def ids(found: Backlog) -> list[str]:
    return [task.id for task in found.tasks]


def problem(found: Backlog, path: str) -> Problem:
    [one] = [one for one in found.problems if one.path == path]
    assert one.remedy
    return one


def test_tasks_are_found_wherever_they_stand_below_tasks() -> None:
    found = backlog({"tasks/a.yaml": GOOD, "tasks/web/ui/b.yaml": GOOD, "tasks/README.md": b"x", "docs/c.yaml": GOOD})
    assert ids(found) == ["a", "b"]
    assert found.tasks[1].folder == "tasks/web/ui/b"
    assert found.problems == ()


def test_a_record_is_not_searched_for_tasks() -> None:
    files = {
        "tasks/a.yaml": GOOD,
        "tasks/a/output/config.yaml": b"not: a task",
        "tasks/a/record.yaml": b"version: 1",
        "tasks/gone/record.yaml": b"version: 1",
        "tasks/gone/output/deep/x.yml": b"not: a task",
        "tasks/fresh.yaml": GOOD,
        "tasks/fresh/research/data.yaml": b"not: a task",
        "tasks/team/b.yaml": GOOD,
    }
    found = backlog(files)
    assert ids(found) == ["a", "fresh", "b"]
    assert found.problems == ()


def test_a_record_at_the_top_hides_no_task() -> None:
    found = backlog({"tasks/record.yaml": b"version: 1", "tasks/a.yaml": GOOD})
    assert ids(found) == ["a"]
    assert "belongs to the records" in problem(found, "tasks/record.yaml").what


BROKEN = {
    "tasks/eleven.yaml": b"title: a\ncomplexity: 11",
    "tasks/bomb.yaml": b"title: " + b"[" * 100_000,
    "tasks/huge.yaml": b"title: " + b"x" * 10_000_000,
    "tasks/empty.yaml": b"",
    "tasks/binary.yaml": b"\xff\x00",
    "tasks/Big Name.yaml": GOOD,
    "tasks/other.yml": GOOD,
    "tasks/LOUD.YAML": GOOD,
    "tasks/\x1b[31m.yaml": GOOD,
}


def test_one_bad_file_never_hides_the_others() -> None:
    found = backlog({**BROKEN, "tasks/a.yaml": GOOD, "tasks/z.yaml": GOOD})
    assert ids(found) == ["a", "z"]
    assert {one.path for one in found.problems} == set(BROKEN)
    assert problem(found, "tasks/eleven.yaml") == Problem(
        "tasks/eleven.yaml", "complexity: 11 is more than 10 (line 2)", "give a whole number from 1 to 10"
    )
    assert "10000007 bytes" in problem(found, "tasks/huge.yaml").what
    assert problem(found, "tasks/other.yml").remedy == "rename it to other.yaml"
    assert not any("\x1b" in one.what + one.remedy for one in found.problems)


@given(st.dictionaries(st.sampled_from(["tasks/a.yaml", *BROKEN]), st.binary(max_size=30)))
def test_every_file_is_a_task_or_a_problem(files: dict[str, bytes]) -> None:
    found = backlog({**files, "tasks/good.yaml": GOOD})
    assert "good" in ids(found)
    assert {task.path for task in found.tasks} | {one.path for one in found.problems} == {*files, "tasks/good.yaml"}


def test_every_file_of_a_doubled_id_is_a_problem_that_names_the_others() -> None:
    found = backlog({"tasks/x/a.yaml": GOOD, "tasks/y/a.yaml": b"broken", "tasks/a.yaml": GOOD, "tasks/b.yaml": GOOD})
    assert ids(found) == ["b"]
    assert len(found.problems) == 3
    assert problem(found, "tasks/y/a.yaml").what == "the id `a` is also that of tasks/a.yaml, tasks/x/a.yaml"


def test_a_dependency_that_no_task_has_is_a_problem_of_that_task_alone_which_stays() -> None:
    found = backlog({"tasks/a.yaml": b"title: a\ndepends_on: [nope, b, issue-7]", "tasks/b.yaml": GOOD})
    assert ids(found) == ["a", "b"]
    assert [one.what for one in found.problems] == ["depends_on: no task is named nope"]


def test_a_dependency_on_a_task_whose_file_is_bad_or_gone_is_not_called_unknown() -> None:
    files = {
        "tasks/a.yaml": b"title: a\ndepends_on: [bad, gone]",
        "tasks/bad.yaml": b"-",
        "tasks/gone/record.yaml": b"version: 1",
    }
    assert [one.path for one in backlog(files).problems] == ["tasks/bad.yaml"]


def wants(*names: str) -> bytes:
    return f"title: a\ndepends_on: [{', '.join(names)}]".encode()


def test_tasks_that_wait_for_each_other_are_problems_and_those_behind_them_are_not() -> None:
    files = {
        "tasks/a.yaml": wants("b"),
        "tasks/b.yaml": wants("c", "free"),
        "tasks/c.yaml": wants("a"),
        "tasks/behind.yaml": wants("a"),
        "tasks/free.yaml": GOOD,
    }
    found = backlog(files)
    assert ids(found) == ["a", "b", "behind", "c", "free"]
    assert [one.path for one in found.problems] == ["tasks/a.yaml", "tasks/b.yaml", "tasks/c.yaml"]
    assert found.problems[1].what == "depends_on: the tasks wait for each other: b → c → a → b"


def test_ten_thousand_tasks_in_a_chain_are_no_burden() -> None:
    files = {f"tasks/t{n}.yaml": wants(f"t{n + 1}") for n in range(2_000)} | {"tasks/t2000.yaml": GOOD}
    assert backlog(files).problems == ()


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["tasks/a.yaml", "tasks/a/record.yaml"], "tasks/a/record.yaml"),
        (["tasks/old/team/a/record.yaml"], "tasks/old/team/a/record.yaml"),
        (["tasks/b/record.yaml", "tasks/b/output/a/record.yaml"], None),
        (["tasks/b.yaml", "tasks/b/a/record.yaml"], None),
        (["docs/a/record.yaml", "tasks/a/notes/record.yaml", "tasks/xa/record.yaml"], None),
        (["tasks/x/a/record.yaml", "tasks/y/a/record.yaml", "tasks/y/a.yaml"], "tasks/y/a/record.yaml"),
        (["tasks/y/a/record.yaml", "tasks/x/a/record.yaml"], "tasks/x/a/record.yaml"),
        ([], None),
    ],
)
def test_a_record_is_found_by_id_but_never_inside_of_another_tasks(paths: list[str], expected: str | None) -> None:
    assert record_path(paths, "a") == expected


def test_candidates_stay_the_same_when_only_they_are_listed() -> None:
    paths = ["tasks/a.yaml", "tasks/a/x.yaml", "tasks/b/record.yaml", "tasks/b/y.yaml", "tasks/c/z.yml", "README.md"]
    assert candidates(candidates(paths)) == candidates(paths) == ("tasks/a.yaml", "tasks/c/z.yml")


def test_a_commit_is_read_with_its_links_as_problems(tmp_path: Path) -> None:
    def run(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    run("init", "-q", ".")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/a.yaml").write_bytes(GOOD)
    (tmp_path / "tasks/link.yaml").symlink_to("/etc/passwd")
    (tmp_path / "tasks/b.yml").write_bytes(GOOD)
    run("add", ".")
    run("commit", "-qm", "a")
    found = read(git.Repo(tmp_path / ".git"), "HEAD")
    assert ids(found) == ["a"]
    assert problem(found, "tasks/link.yaml").what == "a symbolic link or submodule is not read as a task"
    assert problem(found, "tasks/b.yml").what == "task files end in .yaml"


def test_this_project_is_itself_a_repository_that_can_be_worked_on() -> None:
    root = Path(__file__).parent.parent
    settings = parse_settings((root / "agents.yaml").read_bytes())
    files = {str(path.relative_to(root)): path.read_bytes() for path in (root / "tasks").rglob("*") if path.is_file()}
    found = backlog(files)
    assert found.problems == ()
    assert found.tasks
    for task in found.tasks:
        assert isinstance(assign(task.request.complexity or 3, settings.agents, {}), Agent)
