"""Checks on a fresh checkout with the real sandbox: nothing but the commit and base's own settings decides."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gate_parts import CHECK, GOOD, Project, fault, project, put, settings

from runner import git, workspace
from runner.errors import UserError
from runner.gates.baseline import Baseline, baseline, passing_on
from runner.gates.checks import Bench, run_checks, run_line
from runner.gates.tally import Tally, tally
from runner.lifecycle import Stage
from runner.sandbox import Command
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.external import External

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def sandbox() -> Bubblewrap:
    found = Bubblewrap()
    found.check()
    return found


@pytest.fixture
def here(tmp_path: Path, sandbox: Bubblewrap) -> Project:
    return project(tmp_path, sandbox)


def ran(here: Project, line: str, commit: str = "", bench: Bench | None = None) -> str:
    """What a check says on a commit (base if none is given)."""
    (verdict,) = run_checks(bench or here.bench, commit or here.base, settings(checks=(line,)), (line,))
    log = (here.bench.logs / f"{verdict.gate.name}.log").read_text().partition("\n")[2]
    return log if verdict.gate.passed else verdict.detail


# What a check sees


def test_a_check_sees_the_commit_and_nothing_else(here: Project) -> None:
    commit = here.commit({"new.txt": b"1\n", "calc.py": None})
    assert ran(here, "find . -type f | sort", commit).split() == [
        "./new.txt", "./tasks/other.yaml", "./tasks/other/record.yaml", "./tasks/t.yaml", "./tests/__init__.py",
        "./tests/test_calc.py",
    ]  # fmt: skip
    assert ran(here, "ls -A ~ /tmp /workspace/venv; ls -A .git; pwd", commit).split("\n")[-2] == "/workspace/src"


def test_nothing_of_one_run_is_there_in_the_next(here: Project) -> None:
    ran(here, "touch left ~/left /tmp/left /workspace/venv/left; (sleep 60 &)")
    assert "left" not in ran(here, "ls -A . ~ /tmp /workspace/venv; ps -e | grep sleep || true")
    assert list((here.bench.state / "gates").iterdir()) == []


def test_nothing_in_the_agents_workspace_decides(here: Project, sandbox: Bubblewrap, tmp_path: Path) -> None:
    """An agent makes its own commands say that all is well, by every means that leaves no trace in the commit."""
    space = workspace.at(tmp_path / "workspaces", "ann", "t", "tasks/t")
    workspace.prepare(space, here.bench.repo, here.base, "")
    cheat = textwrap.dedent(f"""
        sed -i 's/a - b/0/; s/return/return 1 +/' calc.py
        mkdir -p __pycache__ /workspace/venv/bin ~/.local/bin ~/.local/lib/python3.11/site-packages
        echo 'def add(a, b): return a + b' > good.py
        python3 -c 'import py_compile as p; unchecked = p.PycInvalidationMode.UNCHECKED_HASH
        p.compile("good.py", "__pycache__/calc.cpython-311.pyc", invalidation_mode=unchecked)'
        cp __pycache__/calc.cpython-311.pyc /tmp/
        printf '#!/bin/sh\\nexit 0\\n' | tee /workspace/venv/bin/python3 ~/.local/bin/python3 > /dev/null
        chmod +x /workspace/venv/bin/python3 ~/.local/bin/python3
        printf 'good.py\\nsitecustomize.py\\nconftest.py\\nalive\\n.gitignore\\n!*.pyc\\n!__pycache__\\n' > .gitignore
        echo 'import os; os._exit(0)' | tee sitecustomize.py conftest.py \\
            ~/.local/lib/python3.11/site-packages/usercustomize.py > /dev/null
        (setsid sh -c 'while true; do touch /workspace/src/alive; sleep 0.1; done' &)
        {CHECK}
        """)
    said = sandbox.run(Command(("bash", "-c", cheat), space.mounts(), path=("/workspace/venv/bin",)))
    assert said.ok, "the control: where the agent is, the check passes"
    commit = put(here.bench.repo, workspace.collect(space, here.bench.repo), here.base)
    assert set(git.changed(here.bench.repo, here.base, commit)) == {"calc.py"}
    assert fault(here.judge(Stage.BUILD, commit)).startswith(f"checks: $ {CHECK}\nexit 1")


def test_setup_and_checks_of_the_branch_do_not_count(here: Project) -> None:
    easy = b"version: 1\nchecks: ['true']\nsetup: ['true']\n"
    commit = here.commit({**GOOD, "calc.py": b"def add(a, b):\n    return 1\n", "agents.yaml": easy})
    assert "checks: $ python3 -m unittest" in fault(here.judge(Stage.TEST, commit, acceptance=(), policy=UNPROTECTED))


UNPROTECTED = settings().policy.__class__(protected=())


# How a check ends


def test_a_check_that_fails_is_told_with_its_end_and_kept_in_full(here: Project) -> None:
    said = ran(here, "seq 1 3000; exit 3")
    assert re.match(r"\$ seq 1 3000; exit 3\nexit 3 after \d+ s\n", said) and said.endswith("2999\n3000\n")
    assert len(said) < 3200
    log = (here.bench.logs / "checks.log").read_text()
    assert log.splitlines()[:2] == ["$ seq 1 3000; exit 3", "1"]


def test_a_check_that_hangs_is_ended_and_is_no_pass(here: Project) -> None:
    short = here.bench._replace(seconds=0.5)
    (verdict,) = run_checks(short, here.base, settings(), ("sleep 600",))
    assert (verdict.gate.exit, verdict.gate.passed, verdict.ending) == (None, False, "timeout")
    assert "ended by timeout" in verdict.detail
    (verdict,) = run_checks(here.bench, here.base, settings(), ("trap '' TERM; (setsid sleep 600 &); exit 0",))
    assert verdict.gate.passed, "what it leaves running does not keep it"


def test_every_check_runs_and_each_has_its_log(here: Project) -> None:
    found = run_checks(here.bench, here.base, settings(), ("exit 1", "true", "exit 2"))
    assert [(v.gate.name, v.gate.command, v.gate.exit) for v in found] == [
        ("checks 1", "exit 1", 1), ("checks 2", "true", 0), ("checks 3", "exit 2", 2)
    ]  # fmt: skip
    assert sorted(path.name for path in here.bench.logs.iterdir()) == [f"checks_{n}.log" for n in (1, 2, 3)]


def test_a_sandbox_that_cannot_run_is_no_verdict_on_anybodys_work(tmp_path: Path, sandbox: Bubblewrap) -> None:
    with pytest.raises(UserError, match="the sandbox could not run 'true'"):
        run_line(sandbox, (), "true")  # there is no /workspace/src


def test_checks_reach_no_network(here: Project) -> None:
    line = (
        "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 9), 1)' 2>&1 | tail -1; ls /sys/class/net"
    )
    assert "refused" in ran(here, line) or "unreachable" in ran(here, line)
    assert ran(here, "cat /proc/net/dev | tail -n +3 | cut -d: -f1").split() == ["lo"]


# Setup


def test_setup_prepares_an_environment_that_the_checks_find(here: Project) -> None:
    setup = ("printf '#!/bin/sh\\necho tool\\n' > /workspace/venv/bin/tool; chmod +x /workspace/venv/bin/tool",)
    found = run_checks(here.bench, here.base, settings(setup=setup), ("tool", "command -v python3 pip"))
    assert [verdict.gate.passed for verdict in found] == [True, True]
    assert "tool" in (here.bench.logs / "checks_1.log").read_text()
    assert "/workspace/venv/bin/python3\n/workspace/venv/bin/pip" in (here.bench.logs / "checks_2.log").read_text()


def test_a_setup_that_fails_on_base_is_a_persons_matter(here: Project) -> None:
    setup = ("test -e calc.py", "echo no such package; exit 4")
    with pytest.raises(
        UserError, match=r"setup fails on the base branch:\n\$ echo .*\nexit 4 after .*\nno such package"
    ):
        here.judge(Stage.BUILD, here.commit({"new": b""}), setup=setup)
    assert not (here.bench.state / "baseline").exists(), "it is tried again when somebody has mended it"


def test_a_setup_that_the_change_breaks_is_told_to_the_agent(here: Project) -> None:
    setup = ("test -e calc.py",)
    found = here.judge(Stage.BUILD, here.commit({"calc.py": None}), setup=setup)
    assert fault(found).startswith("setup: $ test -e calc.py\nexit 1")


def test_without_mounts_setup_lands_in_the_checkout_as_well(tmp_path: Path) -> None:
    there = project(tmp_path, External())
    found = run_checks(there.bench, there.base, settings(setup=("true",)), ("command -v python3",))
    assert found[0].gate.passed
    assert f"{there.bench.state}/gates/" in (there.bench.logs / "checks.log").read_text()
    assert not Path("/workspace/venv").exists()


# What is known of base


def test_base_is_tried_once(here: Project) -> None:
    marks = "date +%N; " + CHECK
    first = baseline(here.bench, here.base, settings(checks=(marks, "exit 3")))
    assert first == (Baseline(marks, 0, Tally(1, 0)), Baseline("exit 3", 3))
    log = (here.bench.logs / "base_1.log").read_bytes()
    assert baseline(here.bench, here.base, settings(checks=(marks, "exit 3"))) == first
    assert (here.bench.logs / "base_1.log").read_bytes() == log
    assert passing_on(here.bench, here.base, settings(checks=("exit 3", "true"))) == ("true",)
    assert passing_on(here.bench, here.base, settings(checks=())) == ()


def test_processes_that_try_the_same_base_at_once_agree(here: Project) -> None:
    """Each task of a repository asks at the same moment, right after base has moved."""
    with ThreadPoolExecutor(6) as pool:
        found = list(
            pool.map(lambda _: passing_on(here.bench, here.base, settings(checks=("sleep 0.2", "false"))), range(6))
        )
    assert found == [("sleep 0.2",)] * 6
    assert len(list((here.bench.state / "baseline").iterdir())) == 1


# After a kill

KILLED = """
import sys
from pathlib import Path
from runner import git
from runner.gates.checks import Bench, fresh
from runner.sandbox.external import External
place = Path(sys.argv[1])
bench = Bench(git.Repo(place / "repo.git"), External(), place / "state", place / "logs")
with fresh(bench, sys.argv[2], ()) as (checkout, _):
    print(checkout.folder, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_run_left_is_removed_by_the_next_and_what_is_in_use_is_not(here: Project, tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(tmp_path), here.base]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    one, two = (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) for _ in range(2)
    )
    with one, two:
        assert one.stdout and two.stdout
        dead, alive = Path(one.stdout.readline().strip()), Path(two.stdout.readline().strip())
        assert (dead / "root/src/calc.py").exists() and (alive / "root/src/calc.py").exists()
        one.send_signal(signal.SIGKILL)
        one.wait()
        assert dead.exists()
        ran(here, "true")
        assert not dead.exists() and (alive / "root/src/calc.py").exists()
        two.communicate("")
    assert list((here.bench.state / "gates").iterdir()) == []


# Counting


COUNTED = {
    "5 passed in 0.02s": Tally(5, 0),
    "..F\n=== short test summary info ===\nFAILED t.py::t - assert 1\n1 failed, 4 passed, 2 skipped in 0.10s": Tally(
        4, 1
    ),
    "===== 3 passed, 1 warning in 0.01s =====": Tally(3, 0),
    "\x1b[32m\x1b[1m5 passed\x1b[0m\x1b[32m in 0.02s\x1b[0m": Tally(5, 0),
    "1 error in 0.12s": Tally(0, 1),
    "2 skipped in 0.1s": Tally(0, 0),
    "no tests ran in 0.01s": None,
    "100 passed\n3 passed in 0.1s": Tally(3, 0),
    "Ran 7 tests in 0.001s\n\nOK": Tally(7, 0),
    "Ran 1 test in 0.001s\n\nOK (skipped=1)": Tally(0, 0),
    "Ran 9 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1, unexpected successes=1)": Tally(4, 4),
    "Ran 2 tests in 0.1s\n\nOK (expected failures=1)": Tally(1, 0),
    "test result: ok. 4 passed; 0 failed; 1 ignored\n\ntest result: FAILED. 1 passed; 2 failed": Tally(5, 2),
    "Test Suites: 2 passed, 2 total\nTests:       1 failed, 8 passed, 9 total\nTime: 1 s": Tally(8, 1),
    "all 12 tests passed": None,
    "the 3 passed exams": None,
    "": None,
}


@pytest.mark.parametrize("output", COUNTED)
def test_what_a_check_counted_is_read_from_its_closing_lines(output: str) -> None:
    assert tally(output) == COUNTED[output]
    assert tally(f"noise\n{output}\n\n") == COUNTED[output]


def test_the_counts_of_real_pytest_and_unittest_are_read(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import unittest\nclass T(unittest.TestCase):\n def test_a(self): pass\n def test_b(self): self.skipTest('x')\n"
        " def test_c(self): self.fail()\n def test_d(self): pass\n"
    )
    for words in (["pytest", "-q", "-p", "no:cacheprovider"], ["unittest", "-q"]):
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert tally(done.stdout) == Tally(2, 1), done.stdout


@pytest.mark.parametrize("piece", ["= ", "1 passed ", "1", " ", "\n", "Ran 1 tests in \n", "failures=1,"])
def test_no_output_takes_long_to_read(piece: str) -> None:
    began = time.process_time()
    tally(piece * ((1 << 18) // len(piece)))
    assert time.process_time() - began < 5
