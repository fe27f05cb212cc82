"""A small project with a fault, a good change of it, and its gates on a bench with real Git and the real sandbox."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from runner import git
from runner.agents import Agent, Settings
from runner.gates import evidence
from runner.gates.case import Case
from runner.gates.checks import Bench, Verdict
from runner.lifecycle import STAGES, Stage
from runner.record import Entry, Record, Request
from runner.sandbox import Sandbox

FOLDER = "tasks/t"
CHECK = "python3 -m unittest discover -s tests -t ."
Files = Mapping[str, bytes | None]


def suite(*bodies: str) -> bytes:
    """A test file with one method for each of `name: body`."""
    methods = "".join("    def {}(self):\n        {}\n".format(*body.split(": ", 1)) for body in bodies)
    return f"import unittest\nimport calc\n\n\nclass T(unittest.TestCase):\n{methods}".encode()


OLD_TEST = "test_zero: self.assertEqual(calc.add(0, 0), 0)"
NEW_TEST = "test_sum: self.assertEqual(calc.add(1, 2), 3)"
BASE: Files = {
    "calc.py": b"def add(a, b):\n    return a - b\n",
    "tests/__init__.py": b"",
    "tests/test_calc.py": suite(OLD_TEST),
    "tasks/t.yaml": b"title: Sums\n",
    "tasks/other.yaml": b"title: Other\n",
    "tasks/other/record.yaml": b"version: 1\n",
}
FIXED = b"def add(a, b):\n    return a + b\n"
DESIGN = b"".join(
    f"## {name}\nAdd.\n".encode() for name in ("Goal", "Approach", "Files to touch", "Risks", "How it will be tested")
)
GOOD: Files = {
    "calc.py": FIXED,
    "tests/test_calc.py": suite(OLD_TEST, NEW_TEST),
    f"{FOLDER}/design.md": DESIGN,
    f"{FOLDER}/test-report.md": b"## 1 and 2 are 3\nTest: tests/test_calc.py test_sum, exit 0.\n",
    f"{FOLDER}/review.md": b"- [low] no docstring \xe2\x80\x94 answered: the others have none either\n",
    f"{FOLDER}/summary.md": b"Sums are right.\n\nResult: calc.py\n",
}


class Project(NamedTuple):
    """The project's base commit, and where its gates run."""

    bench: Bench
    base: str

    def commit(self, changes: Files, *parents: str) -> str:
        """A commit of base with `changes`, on base or on `parents`."""
        repo = self.bench.repo
        return put(repo, git.tree_with(repo, git.tree_of(repo, self.base), changes), *(parents or (self.base,)))

    def judge(self, stage: Stage, commit: str, **more: Any) -> tuple[Verdict, ...]:
        """The gates of a stage on a commit; `more` are fields of the settings, the request and the case."""
        return evidence.judge(self.bench, self.case(stage, commit, **more))

    def case(self, stage: Stage, commit: str, **more: Any) -> Case:
        """What `judge` judges."""
        given = {name: more.pop(name) for name in ("target", "base", "done") if name in more}
        asked = {name: more.pop(name) for name in ("acceptance", "tests_must_fail_before") if name in more}
        done = given.get("done", STAGES[: STAGES.index(stage)])
        base = given.get("base", self.base)
        return Case(stage, commit, given.get("target", base), base, FOLDER, record(done, **asked), settings(**more))


def project(place: Path, sandbox: Sandbox, seconds: float = 60.0) -> Project:
    """The project in a mirror below `place`."""
    repo = git.init_bare(place / "repo.git")
    return Project(
        Bench(repo, sandbox, place / "state", place / "logs", seconds), put(repo, git.tree_with(repo, None, BASE))
    )


def put(repo: git.Repo, tree: str, *parents: str) -> str:
    """A commit of a tree; equal ones have equal ids."""
    return git.commit(repo, tree, parents, "a commit\n", when="2026-01-01T00:00:00Z")


def settings(**more: Any) -> Settings:
    """What stands on base."""
    agent = Agent(name="ann", model="m", endpoint="http://localhost:1")
    whole = Settings(version=1, repository="5b1f8a52-3c0e-4d8e-9f57-0c6f4f1d2e3a", agents=(agent,), checks=(CHECK,))
    return msgspec.structs.replace(whole, **more)


def record(done: tuple[Stage, ...], **more: Any) -> Record:
    """A record in which the stages `done` are."""
    request = Request(
        "Sums", "", "0" * 64, "Pat", "tasks/t.yaml", 3, "", STAGES, **{"acceptance": ("1 and 2 are 3",), **more}
    )
    entry = Entry("done", 1, "ann", "m", "c", "h", "b", "2026-01-01T00:00:00Z")
    return Record(1, request, dict.fromkeys(done, entry))


def fault(verdicts: tuple[Verdict, ...]) -> str:
    """`gate: detail` of the gate that refuses; empty when all pass."""
    return next((f"{v.gate.name}: {v.detail}" for v in verdicts if not v.gate.passed), "")
