"""The arrows between the rooms, and that importing a module does nothing but define it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"ddgs", "git", "github", "httpx", "litestar", "ollama", "openai", "reportlab", "rich", "sqlite_utils"}

# Forks once for each module, so that each is imported into an interpreter that has imported none of the others, and
# hears by audit events (docs.python.org/3/library/audit_events.html) what importing it does to the world.
IMPORTER = """
import importlib, json, os, sys, traceback
sys.dont_write_bytecode = True
DEEDS = {"os.mkdir", "os.rename", "os.remove", "os.symlink", "os.chmod", "os.truncate", "os.putenv", "os.unsetenv",
         "os.system", "os.fork", "os.exec", "os.posix_spawn", "os.chdir", "subprocess.Popen", "sqlite3.connect",
         "socket.connect", "socket.bind", "socket.getaddrinfo", "_thread.start_new_thread", "signal.signal"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
heard, listening = [], False

def hear(event, arguments):
    if listening and (event in DEEDS or (event == "open" and arguments[2] & WRITES)):
        heard.append(f"{event}{arguments[:2]!r}")

sys.addaudithook(hear)
for module in sys.stdin.read().split():
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        print(os.fdopen(reader).read(), flush=True)
        os.wait()
        continue
    os.dup2(writer, 1)
    try:
        listening = True
        importlib.import_module(module)
        listening = False
    except BaseException:
        heard.append(traceback.format_exc())
    finally:
        listening = False
        sys.stdout.write(json.dumps({"module": module, "heard": heard, "loaded": sorted(sys.modules)}))
        sys.stdout.flush()
        os._exit(0)
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


def imported(names: list[str]) -> dict[str, dict[str, list[str]]]:
    """What each module's import did: `heard` events and errors, and the modules that were `loaded` with it."""
    run = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        input=" ".join(names),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    return {answer["module"]: answer for answer in answers}


@pytest.fixture(scope="module")
def imports() -> dict[str, dict[str, list[str]]]:
    return imported(modules())


def test_each_module_can_be_imported_alone_and_doing_so_does_nothing(
    imports: dict[str, dict[str, list[str]]],
) -> None:
    assert {name: answer["heard"] for name, answer in imports.items() if answer["heard"]} == {}
    assert sorted(imports) == modules()


def test_the_listener_would_hear_a_deed() -> None:
    assert "subprocess.Popen" in "".join(imported(["git"])["git"]["heard"])


def test_the_command_starts_without_the_heavy_packages(imports: dict[str, dict[str, list[str]]]) -> None:
    assert HEAVY & set(imports["pullwright.cli"]["loaded"]) == set()


def test_the_contracts_between_the_rooms_are_kept() -> None:
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
