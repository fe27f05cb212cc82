"""`pullwright init`: make a repository ready. It asks nothing that it can find out, and overwrites nothing."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

from runner import git, schemas
from runner.agents import parse_settings
from runner.errors import UserError

ATTRIBUTES = (
    "tasks/**/record.yaml linguist-generated=true -diff",
    "tasks/**/updates.jsonl linguist-generated=true -diff",
)

TASKS_README = """# Tasks

One YAML file a task; `title` is the only key that must be there. Make one with `pullwright task new TITLE`.
A folder beside a task's file is its record, written by the runner.
"""

AGENTS = """\
# yaml-language-server: $schema=.pullwright/schemas/agents.json
version: 1
repository: {repository}   # made once; the ids of everything derive from it
base: {base}
forge: local
{setup}{checks}{tests}agents:
  - name: {name}
    model: {model}
    endpoint: {endpoint}
    provider: ollama
    min_complexity: 1
    max_complexity: 10
policy:
  # human: a person merges (pullwright review ID --approve); auto: the runner merges when every gate is green
  review: {{design: human, build: auto, test: auto, review: auto, complete: human}}
  protected: [".github/**", "agents.yaml", ".pullwright/**", "CODEOWNERS"]
"""


def initialise(folder: Path, model: str, endpoint: str, *, commit: bool) -> Iterator[str]:
    """Make `folder` a Pullwright repository; yields what was done, line by line. Raises `UserError`."""
    git.require_git()
    folder.mkdir(parents=True, exist_ok=True)
    if _git(folder, "rev-parse", "--git-dir").returncode != 0:
        _must(folder, "init", "--quiet", "--initial-branch=main")
        yield f"made a Git repository in {folder}"
    top = Path(_must(folder, "rev-parse", "--path-format=absolute", "--show-toplevel"))
    written = []
    for path, text in _files(top, model, endpoint):
        target = top / path
        if target.exists():
            yield f"kept {path}"
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        written.append(path)
        yield f"wrote {path}"
    written += _attributes(top)
    parse_settings((top / "agents.yaml").read_bytes())
    if written and commit:
        _must(top, "add", "--", *written)
        _must(top, "commit", "--quiet", "-m", "Make the repository ready for Pullwright", "--", *written)
        yield "committed them"
    yield 'next: pullwright task new "…", then pullwright run'


def _files(top: Path, model: str, endpoint: str) -> Iterator[tuple[str, str]]:
    yield "agents.yaml", _settings(top, model, endpoint)
    yield "tasks/README.md", TASKS_README
    for name, text in schemas.files().items():
        yield f".pullwright/schemas/{name}", text


def _settings(top: Path, model: str, endpoint: str) -> str:
    """agents.yaml with what can be found out: the base branch, the setup, the checks, where tests are."""
    setup, checks, tests = _project(top)
    name = "".join(char if char.isalnum() else "-" for char in model.rpartition("/")[2].partition(":")[0].lower())
    return AGENTS.format(
        repository=uuid.uuid4(),
        base=_base(top),
        setup=_line("setup", setup, "prepares a fresh checkout for the checks, in the sandbox"),
        checks=_line("checks", checks, "what must pass"),
        tests=_line("tests", tests, "which files are tests"),
        name=name.strip("-") or "agent",
        model=model,
        endpoint=endpoint,
    )


def _line(key: str, values: list[str], meaning: str) -> str:
    shown = ", ".join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return f"{key}: [{shown}]   # {meaning}\n"


def _project(top: Path) -> tuple[list[str], list[str], list[str]]:
    """`(setup, checks, tests)` as the repository's own files suggest them."""
    if (top / "pyproject.toml").exists() or (top / "setup.py").exists():
        install = (
            "pip install -e .[test]"
            if "[project.optional-dependencies]" in _text(top / "pyproject.toml")
            else "pip install -e ."
        )
        return [install, "pip install pytest"], ["python -m pytest -q"], ["tests/**", "**/test_*.py"]
    if (top / "package.json").exists():
        return ["npm ci"], ["npm test"], ["test/**", "tests/**", "**/*.test.*", "**/*.spec.*"]
    if (top / "go.mod").exists():
        return [], ["go test ./..."], ["**/*_test.go"]
    if (top / "Cargo.toml").exists():
        return [], ["cargo test --offline"], ["tests/**"]
    if (top / "tests").is_dir():
        return [], ["python3 -m unittest discover -q -s tests -t ."], ["tests/**"]
    return [], [], ["tests/**"]


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _base(top: Path) -> str:
    """The branch that tasks come from: the remote's head if it is known, else the one that is checked out."""
    remote = _git(top, "symbolic-ref", "--short", "refs/remotes/origin/HEAD").stdout.strip()
    return remote.removeprefix("origin/") or _must(top, "symbolic-ref", "--short", "HEAD")


def _attributes(top: Path) -> list[str]:
    """Mark the runner's files as generated, so that reviewers see the work."""
    path = top / ".gitattributes"
    present = _text(path)
    missing = [line for line in ATTRIBUTES if line not in present.splitlines()]
    if not missing:
        return []
    joint = "" if not present or present.endswith("\n") else "\n"
    path.write_text(present + joint + "\n".join(missing) + "\n")
    return [".gitattributes"]


def _git(folder: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    """Git as the person would run it in their own repository: their identity, their hooks."""
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True)


def _must(folder: Path, *args: str) -> str:
    done = _git(folder, *args)
    if done.returncode != 0:
        raise UserError(f"git {args[0]} failed: {(done.stderr or done.stdout).strip()}", "mend that, then run it again")
    return done.stdout.strip()
