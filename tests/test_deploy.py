"""What lies in deploy/: the unit as systemd reads it, the recipe of the image without building it, their commands."""

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from service.running import until

from runner.host import site_at
from webhook.options import Options

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "deploy" / "pullwright.service"
RECIPE = ROOT / "deploy" / "Containerfile"
KNOWN = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "CMD"}
TOKEN = "t" * 24


def instructions() -> list[tuple[str, str]]:
    """The recipe's instructions, each with its words on one line."""
    lines = "\n".join(line for line in RECIPE.read_text().splitlines() if not line.startswith("#"))
    found = [line.partition(" ") for line in lines.replace("\\\n", " ").splitlines() if line.strip()]
    return [(name, " ".join(rest.split())) for name, _, rest in found]


def words(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def settings(name: str) -> list[str]:
    """The values of a key of the unit."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    here = shutil.which("pullwright", path=str(Path(sys.executable).parent))
    assert here is not None
    program = settings("ExecStart")[0].split()[0]
    copy.write_text(UNIT.read_text().replace(program, '"' + here.replace("%", "%%") + '"'))  # a path may hold spaces
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_recipe_has_only_instructions_that_are_known_and_copies_what_exists() -> None:
    names = [name for name, _ in instructions()]
    assert names[0] == "FROM" and set(names) <= KNOWN
    for source in (rest.split()[0] for rest in words("COPY")):
        assert (ROOT / source).exists()
    target = words("COPY")[0].split()[1]
    inside = set(re.findall(rf"{target}/(\S+)", " ".join(words("RUN"))))
    assert inside == {"constraints.txt"} and all((ROOT / name).exists() for name in inside)


def test_the_recipe_installs_what_the_setup_installs_and_runs_as_nobody_special() -> None:
    packages = words("RUN")[0].split("--no-install-recommends ")[1].split(" &&")[0].split()
    assert {"git", "bubblewrap"} <= set(packages)
    assert all(package in (ROOT / "scripts" / "setup").read_text() for package in packages)
    (user,) = words("USER")
    assert f"useradd --create-home {user}" in words("RUN")[1]
    assert words("EXPOSE") == [str(Options(site_at(ROOT)).port)]


@contextmanager
def started(command: list[str], folder: Path) -> Iterator[str]:
    """A service that a command starts, on a free port instead of its own; its address."""
    env = {**os.environ, "PULLWRIGHT_API_TOKEN": TOKEN, "PYTHONUNBUFFERED": "1"}
    at = command.index("--port") if "--port" in command else len(command)
    words = [*command[:at], "--port", "0", *command[at + 2 :]]
    with subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline().decode()
            yield f"http://127.0.0.1:{line.rpartition(':')[2].partition('/')[0]}"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) in (0, -signal.SIGTERM)


def well(address: str) -> bool:
    return httpx.get(f"{address}/readyz").status_code == 200


def tried(command: list[str], folder: Path) -> None:
    """It starts, is well, keeps strangers out, and the image's own question about its health is answered."""
    with started(command, folder) as address:
        until(lambda: well(address), "not ready", 60)
        loopback = "127.0.0.1" in command
        assert httpx.get(f"{address}/api/tasks").status_code == (200 if loopback else 401)
        known = {"authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{address}/api/tasks", headers=known).json()["items"][0]["slug"] == "greet"
        (health,) = re.findall(r'python -c "(.*)"', words("HEALTHCHECK")[0])
        question = health.replace("http://127.0.0.1:8080", address)
        assert subprocess.run([sys.executable, "-c", question], env={}).returncode == 0


def here(line: str) -> list[str]:
    """A command line with this environment's `pullwright`."""
    _, *rest = line.split()
    return [str(Path(sys.executable).parent / "pullwright"), *rest]


def test_the_commands_of_image_and_unit_start_the_service(repository: Path) -> None:
    image = " ".join(re.findall(r'"([^"]*)"', words("CMD")[0]))
    for line in (image, settings("ExecStart")[0]):
        tried(here(line), repository)


@pytest.mark.soak
def test_in_a_plain_environment_the_images_steps_give_a_service_that_starts(repository: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    copy = tmp_path / "opt"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
    step = next(rest for rest in words("RUN") if rest.startswith("pip install")).split(" &&")[0]
    pip = step.replace("/opt/pullwright", str(copy)).split()
    subprocess.run([python, "-m", *pip, "--quiet", "--disable-pip-version-check"], check=True)
    tried([str(python.parent / "pullwright"), *re.findall(r'"([^"]*)"', words("CMD")[0])[1:]], repository)
