"""`pullwright init`: what it finds out, what it writes, and that it overwrites nothing."""

from pathlib import Path

import pytest
from repositories import commit, git, pullwright, write

from pullwright.init import initialise
from runner.agents import Settings, parse_settings
from runner.errors import UserError
from runner.task import slug_of

FILES = ["agents.yaml", "tasks/README.md", ".pullwright/schemas/task.json", ".pullwright/schemas/agents.json"]

PYTEST = "python -m pytest -q"
CASE = "import unittest\n\n\nclass A(unittest.TestCase):\n    def test_a(self):\n        pass\n"


@pytest.fixture
def fresh(tmp_path: Path, person: Path) -> Path:
    folder = tmp_path / "fresh"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def made(folder: Path, *, commit: bool = True) -> list[str]:
    return list(initialise(folder, "gemma3:4b", "http://localhost:11434", commit=commit))


def settings_of(folder: Path) -> Settings:
    return parse_settings((folder / "agents.yaml").read_bytes())


def test_a_folder_that_is_not_there_becomes_a_repository_ready_to_run(tmp_path: Path, person: Path) -> None:
    said = pullwright(tmp_path, "init", "new")
    assert said.status == 0, said.err
    assert git(tmp_path / "new", "status", "--porcelain") == ""
    assert set(git(tmp_path / "new", "ls-files").splitlines()) == {*FILES, ".gitattributes"}
    assert pullwright(tmp_path / "new", "plan").out == 'no tasks yet: pullwright task new "…"\n'


def test_init_says_what_to_do_next(fresh: Path) -> None:
    write(fresh, {"tests/test_a.py": CASE})
    assert made(fresh)[-2:] == [
        "look at agents.yaml: gemma3:4b works, and its work must pass: python3 -m unittest discover -q -s tests",
        'next: pullwright task new "…", then pullwright run',
    ]


def test_in_a_clone_the_next_step_is_the_push(fresh: Path) -> None:
    git(fresh, "remote", "add", "origin", "../hub.git")
    assert made(fresh)[-1].startswith("next: git push origin main, then ")
    assert made(fresh, commit=False)[-1].startswith("next: git push origin main, then ")


def test_files_that_are_there_are_kept_byte_for_byte(fresh: Path) -> None:
    made(fresh)
    mine = (fresh / "agents.yaml").read_text().replace("gemma3:4b", "qwen3:8b")
    write(fresh, {"agents.yaml": mine})
    assert "kept agents.yaml" in made(fresh)
    assert (fresh / "agents.yaml").read_text() == mine
    assert git(fresh, "status", "--porcelain") == "M agents.yaml"


def test_a_second_run_changes_nothing(fresh: Path) -> None:
    made(fresh)
    before = git(fresh, "rev-parse", "HEAD")
    assert [line for line in made(fresh) if line.startswith(("wrote", "committed"))] == []
    assert git(fresh, "rev-parse", "HEAD") == before


def test_lines_of_a_gitattributes_are_kept_and_added_to_once(fresh: Path) -> None:
    commit(fresh, "mine", {".gitattributes": "*.bin binary"})
    made(fresh)
    made(fresh)
    lines = (fresh / ".gitattributes").read_text().splitlines()
    assert lines[0] == "*.bin binary"
    assert len(lines) == len(set(lines)) == 3
    assert "linguist-generated: true" in git(
        fresh, "check-attr", "linguist-generated", "tasks/a/record.yaml", "tasks/b/c/updates.jsonl"
    )


def test_only_its_own_files_are_committed(fresh: Path) -> None:
    write(fresh, {"other.txt": "mine\n"})
    git(fresh, "add", "other.txt")
    made(fresh)
    assert git(fresh, "status", "--porcelain") == "A  other.txt"


def test_without_commit_the_files_wait_and_a_later_run_commits_them(fresh: Path) -> None:
    assert made(fresh, commit=False)[-1].startswith("next: commit these files")
    assert "committed them" in made(fresh)
    assert git(fresh, "status", "--porcelain") == ""


def test_without_a_git_identity_nothing_is_written_and_the_remedy_is_named(fresh: Path, person: Path) -> None:
    (person / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    said = pullwright(fresh, "init")
    assert said.status == 1
    assert "user.name and user.email are not set" in said.err
    assert "git config --global user.name" in said.err
    assert sorted(path.name for path in fresh.iterdir()) == [".git"]


def test_a_hook_that_refuses_the_commit_is_quoted_and_the_next_run_goes_on(fresh: Path) -> None:
    hook = fresh / ".git/hooks/pre-commit"
    write(fresh, {".git/hooks/pre-commit": "#!/bin/sh\necho not today >&2\nexit 1\n"})
    hook.chmod(0o755)
    with pytest.raises(UserError, match="not today"):
        made(fresh)
    hook.unlink()
    assert "committed them" in made(fresh)
    assert git(fresh, "status", "--porcelain") == ""


def test_a_bare_repository_is_refused(tmp_path: Path, person: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "hub.git")
    with pytest.raises(UserError, match="bare repository"):
        made(tmp_path / "hub.git")


def test_an_endpoint_that_is_no_address_is_refused_before_anything_is_written(fresh: Path) -> None:
    said = pullwright(fresh, "init", "--endpoint", "localhost:11434")
    assert said.status == 1
    assert "endpoint" in said.err
    assert not (fresh / "agents.yaml").exists()


def test_from_a_folder_below_the_top_the_top_is_made_ready(fresh: Path) -> None:
    (fresh / "below").mkdir()
    made(fresh / "below")
    assert (fresh / "agents.yaml").exists()


@pytest.mark.parametrize(
    ("files", "checks", "setup"),
    [
        ({"pyproject.toml": "[project]\nname = 'a'\n"}, (PYTEST,), "pip install -e ."),
        (
            {"pyproject.toml": "[project.optional-dependencies]\ndev = []\n"},
            (PYTEST,),
            "pip install -e .[dev]",
        ),
        ({"pyproject.toml": "not toml ["}, (PYTEST,), "pip install -e ."),
        (
            {"pyproject.toml": "[tool.ruff]\n", "requirements.txt": "click\n"},
            (PYTEST,),
            "pip install -r requirements.txt",
        ),
        ({"package.json": '{"scripts": {"test": "tap"}}', "package-lock.json": "{}"}, ("npm test",), "npm ci"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, (), "npm install"),
        ({"package.json": "[]"}, (), "npm install"),
        ({"go.mod": "module a\n"}, ("go test ./...",), None),
        ({"Cargo.toml": ""}, ("cargo test --offline",), None),
        ({"tests/test_a.py": CASE, "tests/__init__.py": ""}, ("python3 -m unittest discover -q -s tests -t .",), None),
        ({"tests/unit/test_a.py": CASE}, ("python3 -m unittest discover -q -s tests",), None),
        ({"test/test_a.py": "def test_a():\n    pass\n"}, (PYTEST,), "pip install pytest"),
        ({"tests/test_a.py": CASE, "tests/conftest.py": ""}, (PYTEST,), "pip install pytest"),
        ({"tests/a.sh": "true\n", "Makefile": "all: a\ntest: all\n\ttrue\n"}, ("make test",), None),
        ({"tests/a.sh": "true\n", "Makefile": "test := a\n"}, (), None),
        ({}, (), None),
    ],
)
def test_setup_and_checks_follow_from_the_files(
    fresh: Path, files: dict[str, str], checks: tuple[str, ...], setup: str | None
) -> None:
    write(fresh, files)
    said = made(fresh)
    found = settings_of(fresh)
    assert found.checks == checks
    assert next(iter(found.setup), None) == setup
    assert any("no tests were found" in line for line in said) == (not checks)


def test_the_base_is_the_branch_that_is_checked_out(fresh: Path) -> None:
    git(fresh, "checkout", "-q", "-b", "trunk")
    made(fresh)
    assert settings_of(fresh).base == "trunk"


def test_the_base_of_a_clone_is_the_head_of_its_origin(tmp_path: Path, fresh: Path) -> None:
    commit(fresh, "first", {"a": "a"})
    git(tmp_path, "clone", "-q", str(fresh), "clone")
    git(tmp_path / "clone", "checkout", "-q", "-b", "topic")
    made(tmp_path / "clone")
    assert settings_of(tmp_path / "clone").base == "main"


@pytest.mark.parametrize("model", ["hf.co/unsloth/Qwen3-4B-GGUF:Q4_K_M", "Ünïcode: #1", "llama3.2:3b"])
def test_any_model_name_makes_a_valid_file(fresh: Path, model: str) -> None:
    list(initialise(fresh, model, "http://localhost:11434", commit=True))
    assert settings_of(fresh).agents[0].model == model


@pytest.mark.parametrize(
    ("title", "id"),
    [
        ("Login fails for names with a dot", "login-fails-for-names-with-a-dot"),
        ("  Größe & Maß!  ", "grosse-mass"),
        ("x" * 80, "x" * 50),
        ("word " * 30, "word-word-word-word-word-word-word-word-word-word"),
    ],
)
def test_a_title_becomes_an_id(title: str, id: str) -> None:
    assert slug_of(title) == id


def test_a_title_without_letters_needs_an_id(fresh: Path) -> None:
    made(fresh)
    said = pullwright(fresh, "task", "new", "修复登录")
    assert (said.status, "--id SLUG" in said.err) == (1, True)
    assert pullwright(fresh, "task", "new", "修复登录", "--id", "fix-login").status == 0
    assert "title: 修复登录" in (fresh / "tasks/fix-login.yaml").read_text()
