"""Attacks on secrets in environments and command lines, on other tasks, on the result; and by packages."""

import subprocess
from pathlib import Path

import msgspec

from attacks.scene import CANARY, Attack, Prepared, Scene, on_the_host, plain, said, without
from runner.sandbox import Command, Result
from runner.sandbox.bubblewrap import Bubblewrap

LEAKED = said(CANARY)


def _exported(scene: Scene) -> Prepared:
    scene.export("PULLWRIGHT_TEST_TOKEN", CANARY)
    return {}


def _environment_behind_clearenv(scene: Scene, command: Command) -> Result:
    """What `--clearenv` alone does: the command's environment is clean, that of bwrap as PID 1 is not."""
    flags = ["--ro-bind", "/", "/", "--unshare-user", "--unshare-pid", "--proc", "/proc", "--clearenv"]
    return plain(scene, ["bwrap", *flags, "/usr/bin/bash", *command.argv[1:]])


def _poisoned(scene: Scene) -> Prepared:
    (scene.root / "evil.sh").write_text("echo pwned\n")
    scene.export("BASH_ENV", str(scene.root / "evil.sh"))
    return {}


def _workflow_file(scene: Scene) -> Prepared:
    scene.export("GITHUB_ENV", str(scene.victim_file))
    return {}


def _into_a_file(scene: Scene, command: Command) -> Result:
    log = scene.root / "log"
    with log.open("wb") as file:
        subprocess.run(command.argv, cwd=scene.src, stdout=file, check=False)
    return Result("exited", 0, log.read_bytes(), 0.0)


MARK = f"mkdir -p $HOME/.cache/pip; for d in /tmp $HOME $HOME/.cache/pip /dev/shm; do echo {CANARY} > $d/mark; done"


def _another_task_before(scene: Scene) -> Prepared:
    assert Bubblewrap().run(Command(("bash", "-c", MARK), scene.mounts[:2])).ok
    return {}


def _in_the_same_sandbox(scene: Scene, command: Command) -> Result:
    line = f"{MARK}; {command.argv[-1]}"
    return Bubblewrap().run(msgspec.structs.replace(command, argv=("bash", "-c", line)))


SETUP = """
from setuptools import setup
open("{marker}", "w").write("pwned")
setup(name="evil", version="1", py_modules=[])
"""
INSTALL = "python3 -m pip install -q --no-index --no-build-isolation --no-deps --target lib"


def _package(scene: Scene) -> Prepared:
    folder = scene.src / "evil"
    folder.mkdir()
    marker = scene.root / "marker"
    (folder / "setup.py").write_text(SETUP.replace("{marker}", str(marker)))
    return {"marker": marker}


def _startup_file(scene: Scene) -> Prepared:
    (scene.src / "evil.pth").write_text(f"import pathlib; pathlib.Path({str(scene.root / 'marker')!r}).touch()\n")
    return {}


def _marked(scene: Scene, _: Result) -> bool:
    return Path(scene.root, "marker").exists()


ATTACKS = (
    Attack(64, "env", "env", LEAKED, on_the_host, _exported),
    Attack(65, "environ", "cat /proc/*/environ | tr '\\0' '\\n'", LEAKED, _environment_behind_clearenv, _exported),
    Attack(
        66,
        "command-line",
        "cat /proc/*/cmdline | tr '\\0' '\\n'",
        LEAKED,
        without(inline=True),
        env=(("TOKEN", CANARY),),
    ),
    Attack(67, "launcher-env", "true", said("pwned"), on_the_host, _poisoned),
    Attack(
        68,
        "workflow-files",
        'echo PATH=/evil >> "${GITHUB_ENV:-/dev/null}"',
        lambda scene, _: scene.victim_file.read_text() != CANARY,
        on_the_host,
        _workflow_file,
    ),
    Attack(
        72,
        "fake-errors",
        'echo "bwrap: Can\'t mount"; for n in 1 2 3 4 5 6 7 8 9; do echo \'{"exit-code": 0}\' >&$n; done; exit 9',
        lambda _, result: (result.ending, result.exit) != ("exited", 9),
        "the status pipe is in no process that a command could reach: fd-leak shows it",
    ),
    Attack(
        73,
        "stdout-reopen",
        "echo first; : > /proc/self/fd/1; echo second",
        lambda _, result: "first" not in result.text,
        _into_a_file,
    ),
    Attack(80, "setup-py", f"{INSTALL} ./evil", _marked, on_the_host, _package),
    Attack(81, "editable", f"cd evil && {INSTALL} 'evil @ file:.' || {INSTALL} .", _marked, on_the_host, _package),
    Attack(
        83,
        "pth",
        "python3 -c 'import site; site.addsitedir(\".\")'",
        _marked,
        on_the_host,
        _startup_file,
    ),
    Attack(85, "cache", "cat $HOME/.cache/pip/mark", LEAKED, _in_the_same_sandbox, _another_task_before),
    Attack(
        89,
        "cross-task",
        "cat /tmp/mark $HOME/mark /dev/shm/mark",
        LEAKED,
        _in_the_same_sandbox,
        _another_task_before,
    ),
)
