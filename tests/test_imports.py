"""The arrows between the rooms, and that importing a module does nothing but define it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"ddgs", "git", "github", "httpx", "litestar", "ollama", "openai", "reportlab", "rich", "sqlite_utils"}

# Imports modules one after the other, and hears by audit events (docs.python.org/3/library/audit_events.html) what that
# does to the world. The contract against knots says that the order cannot matter, so one process is enough for all.
IMPORTER = """
import importlib, json, os, sys, traceback
sys.dont_write_bytecode = True
DEEDS = {"os.mkdir", "os.rename", "os.remove", "os.symlink", "os.chmod", "os.truncate", "os.putenv", "os.unsetenv",
         "os.system", "os.fork", "os.exec", "os.posix_spawn", "os.chdir", "subprocess.Popen", "sqlite3.connect",
         "socket.connect", "socket.bind", "socket.getaddrinfo", "_thread.start_new_thread", "signal.signal"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
heard, listening = [], ""

def hear(event, arguments):
    if listening and (event in DEEDS or (event == "open" and arguments[2] & WRITES)):
        heard.append(f"{listening}: {event}{arguments[:2]!r}")

sys.addaudithook(hear)
for module in sys.stdin.read().split():
    try:
        listening = module
        importlib.import_module(module)
    except BaseException:
        listening = ""
        heard.append(f"{module}: {traceback.format_exc()}")
listening = ""
json.dump({"heard": heard, "loaded": sorted(sys.modules)}, sys.stdout)
"""


def modules() -> list[str]:
    """The dotted names of all modules of the three packages. A folder without `__init__.py` is data."""
    found = []
    for package in ("runner", "webhook", "pullwright"):
        for folder, below, files in os.walk(ROOT / package):
            if "__init__.py" not in files:
                below.clear()
                continue
            parts = Path(folder).relative_to(ROOT).parts
            names = [Path(file).stem for file in files if file.endswith(".py")]
            found += [".".join((*parts, name)).removesuffix(".__init__") for name in names if name != "__main__"]
    return sorted(found)


def imported(names: list[str]) -> dict[str, list[str]]:
    """What importing these did in a process of their own: `heard` events and errors, and the modules `loaded`."""
    run = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        input=" ".join(names),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    answer: dict[str, list[str]] = json.loads(run.stdout)
    return answer


@pytest.mark.parametrize("backward", [False, True])
def test_modules_can_be_imported_in_any_order_and_doing_so_does_nothing(backward: bool) -> None:
    imports = imported(sorted(modules(), reverse=backward))
    assert imports["heard"] == []
    assert set(modules()) <= set(imports["loaded"])


def test_the_listener_would_hear_a_deed() -> None:
    assert "git: subprocess.Popen" in "".join(imported(["json", "git"])["heard"])


def test_the_command_starts_without_the_heavy_packages() -> None:
    assert HEAVY & set(imported(["pullwright.cli"])["loaded"]) == set()


def test_the_contracts_between_the_rooms_are_kept() -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
