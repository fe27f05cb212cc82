"""The tasks of examples/ run as the page beside them says, with a weak model that makes every mistake once."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import weak_parts as weak
import yaml
from repositories import AUTO, git, pullwright, typed
from wire import ScriptedOllama

EXAMPLES = Path(__file__).parent.parent / "examples"
SENTENCE = "What a shop has recieved, by category: `python3 -m receipts data/march.csv`."
TOTAL = "receipts/total.py"
LINE = "        whole += (amount * price * (1 - discount)).quantize(CENT, ROUND_HALF_UP)"
MENDED = "        whole += amount * price * (1 - discount)"
TEST = """
import unittest
from decimal import Decimal

from receipts.total import total


class Rounding(unittest.TestCase):
    def test_the_sum_is_rounded_and_not_its_lines(self):
        self.assertEqual(total([(Decimal(1), Decimal("0.95"))] * 3, Decimal("0.1")), Decimal("2.57"))

    def test_half_a_cent_is_rounded_up(self):
        self.assertEqual(total([(Decimal(1), Decimal("0.105"))]), Decimal("0.11"))
"""
REPORT = """# Tests

- three lines at 0.95 with a discount of 0.1 come to 2.57: `test_the_sum_is_rounded_and_not_its_lines` fails on base
- a total of exactly half a cent is rounded up: `test_half_a_cent_is_rounded_up` passes with 0.105
"""
TABLE = (
    "| category | total |\n| --- | --- |\n| ink | 33.99 |\n| paper | 6.39 |\n| stamps | 10.26 |\n| total | 50.64 |\n"
)


def edit(path: str, search: str, replace: str) -> tuple[str, dict[str, str]]:
    change = f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"
    return "edit", {"path": path, "change": change}


def weakly() -> weak.Script:
    """The three tasks in the order in which they are taken."""
    script = weak.Script()
    done = ("finish", {"summary": "Done."})
    word = edit("README.md", SENTENCE, SENTENCE.replace("recieved", "received"))
    script.stage(weak.looking("receipts", "total.py"), weak.replies([word, done]))
    returned = edit(TOTAL, "    return whole", "    return whole.quantize(CENT, ROUND_HALF_UP)")
    script.stage(weak.changing(TOTAL, LINE), weak.replies([edit(TOTAL, LINE, MENDED), returned, done]))
    tests = ("write", {"path": "tests/test_rounding.py", "content": TEST})
    report = ("write", {"path": "tasks/round-once/test-report.md", "content": REPORT})
    script.stage(weak.running(), weak.replies([tests, report, done]))
    table = ("write", {"path": "/workspace/output/march.md", "content": TABLE})
    script.stage(weak.reading("data/march.csv"), weak.replies([table, done]))
    summary = ("write", {"path": "tasks/march-table/summary.md", "content": "# March\n\nResult: output/march.md\n"})
    script.stage(weak.noting(), weak.replies([summary, done]))
    return script


@pytest.fixture
def receipts(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example as the page says that it is set up."""
    shell = (EXAMPLES / "README.md").read_text().partition("```\n")[2].partition("\n```")[0]
    first, *others, last = re.split(r" && |\n", shell)
    assert first == "cp -r examples/receipts ~/receipts" and last == "pullwright run"
    folder = tmp_path / "receipts"
    shutil.copytree(EXAMPLES / "receipts", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for line in others[1:]:
        program, *words = shlex.split(line)
        if program == "git":
            git(folder, *words)
        else:
            assert typed(folder, *words).status == 0
    return folder


def with_agent(folder: Path, endpoint: str) -> None:
    """Another model instead of what `init` found, and nobody who is to be asked."""
    given = yaml.safe_load((folder / "agents.yaml").read_text())
    given["agents"] = [{"name": "weak", "model": "gemma3:4b", "endpoint": endpoint}]
    given["policy"]["review"] = AUTO
    (folder / "agents.yaml").write_text(yaml.safe_dump(given))
    git(folder, "commit", "-q", "-a", "-m", "A weak model")


def test_a_weak_model_that_makes_every_mistake_once_completes_the_examples(receipts: Path) -> None:
    script = weakly()
    with ScriptedOllama(script.answers) as server:
        with_agent(receipts, server.url)
        ran = pullwright(receipts, "run")
        chats = server.chats
    assert ran.status == 0, ran.out[-3000:] + ran.err
    script.was_heard(chats)
    tasks = [path.stem for path in (EXAMPLES / "receipts/tasks").glob("*.yaml")]
    assert len(tasks) == 3
    assert all(re.search(rf"^{task} +complete +done$", ran.out, re.MULTILINE) for task in tasks), ran.out[-3000:]
    assert git(receipts, "show", "main:tasks/march-table/output/march.md") + "\n" == TABLE
    git(receipts, "checkout", "-q", "main")
    assert "has received" in (receipts / "README.md").read_text()
