"""How a repository's tests are run, as its own files suggest it: a guess, written where a person looks at it."""

import itertools
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

LOOKED_AT = 200  # test files that are read for what runs them


class Guess(NamedTuple):
    """Commands that prepare a fresh checkout, commands that must pass, patterns of the files that are tests."""

    setup: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    tests: tuple[str, ...] = ("tests/**",)


def guess(top: Path) -> Guess:
    """What the files of the work tree `top` suggest; without checks where nothing is known of its tests."""
    if (top / "pyproject.toml").exists() or (top / "setup.py").exists():
        return Guess((*_install(top), "pip install pytest"), ("python -m pytest -q",), ("tests/**", "**/test_*.py"))
    if (top / "package.json").exists():
        return _node(top)
    if (top / "go.mod").exists():
        return Guess((), ("go test ./...",), ("**/*_test.go",))
    if (top / "Cargo.toml").exists():
        return Guess((), ("cargo test --offline",))
    return _loose_python(top) or _make(top) or Guess()


def _install(top: Path) -> tuple[str, ...]:
    """What installs a Python project, or what it needs where it is none: a pyproject.toml may be for a linter alone."""
    try:
        said = tomllib.loads(_text(top / "pyproject.toml"))
    except tomllib.TOMLDecodeError:
        said = {"project": {}}
    is_project = "project" in said or "build-system" in said or "poetry" in said.get("tool", {})
    if is_project or (top / "setup.py").exists():
        return (f"pip install -e .{_extra(said)}",)
    return _requirements(top)


def _extra(said: dict[str, Any]) -> str:
    """The extra with which a Python project says what its tests need: `[test]`, or nothing."""
    extras = said.get("project", {}).get("optional-dependencies", {})
    return next((f"[{name}]" for name in ("test", "tests", "testing", "dev") if name in extras), "")


def _requirements(top: Path) -> tuple[str, ...]:
    return tuple(f"pip install -r {path.name}" for path in sorted(top.glob("requirements*.txt")))


def _loose_python(top: Path) -> Guess | None:
    """Python tests in a folder of their own, in a repository that cannot be installed."""
    for folder in ("tests", "test"):
        files = list(itertools.islice(_python_tests(top / folder), LOOKED_AT))
        if files and _needs_pytest(top, files):
            return Guess((*_requirements(top), "pip install pytest"), ("python -m pytest -q",), (f"{folder}/**",))
        if files:  # unittest imports a folder from the top only where that is a package
            start = f"python3 -m unittest discover -q -s {folder}"
            package = (top / folder / "__init__.py").exists()
            return Guess(_requirements(top), (f"{start} -t ." if package else start,), (f"{folder}/**",))
    return None


def _python_tests(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*.py") if re.fullmatch(r"test.*|.*_test", path.stem))


def _needs_pytest(top: Path, files: list[Path]) -> bool:
    """Whether unittest would not do: it passes over tests that are plain functions, and says that all is well."""
    if any((top / name).exists() for name in ("pytest.ini", "conftest.py", "tests/conftest.py", "test/conftest.py")):
        return True
    return any(
        re.search(r"^(import pytest|from pytest|(async )?def test)", _text(path), re.MULTILINE) for path in files
    )


def _node(top: Path) -> Guess:
    """`npm test` where package.json says what that is; what `npm init` writes there only fails."""
    try:
        said = json.loads(_text(top / "package.json"))
        script = str(said["scripts"]["test"])
    except (ValueError, KeyError, TypeError):
        script = ""
    checks = ("npm test",) if script and "no test specified" not in script else ()
    setup = "npm ci" if (top / "package-lock.json").exists() else "npm install"
    return Guess((setup,), checks, ("test/**", "tests/**", "**/*.test.*", "**/*.spec.*"))


def _make(top: Path) -> Guess | None:
    """The usual target of a Makefile."""
    has_target = re.search(r"^test\s*:(?!=)", _text(top / "Makefile"), re.MULTILINE)
    return Guess(checks=("make test",)) if has_target else None


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""
