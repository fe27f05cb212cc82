"""Every attack is contained, and works where the defence is missing."""

from pathlib import Path

import pytest

from attacks import files, network, processes, secrets
from attacks.scene import Attack, Scene, command_of, weakened
from runner.sandbox import Command
from runner.sandbox.bubblewrap import Bubblewrap

ATTACKS = (*files.ATTACKS, *network.ATTACKS, *processes.ATTACKS, *secrets.ATTACKS)
EACH = pytest.mark.parametrize("attack", ATTACKS, ids=[f"{attack.number:02}-{attack.name}" for attack in ATTACKS])


@pytest.fixture(scope="module")
def sandbox() -> Bubblewrap:
    return Bubblewrap(registry_hosts=("files.example",))


@EACH
def test_it_is_contained(attack: Attack, sandbox: Bubblewrap, tmp_path: Path) -> None:
    with Scene(tmp_path) as scene:
        result = sandbox.run(command_of(attack, scene))
        assert not attack.worked(scene, result), result.text
        assert result.ending != "failed", result.text


@EACH
def test_it_works_without_the_defence(attack: Attack, tmp_path: Path) -> None:
    if isinstance(attack.control, str):
        pytest.skip(f"no control: {attack.control}")
    with Scene(tmp_path) as scene:
        result = attack.control(scene, command_of(attack, scene))
        assert attack.worked(scene, result), result.text


@pytest.mark.parametrize("dropped", [("--seccomp",), ("--disable-userns",)], ids=["no-filter", "no-count"])
def test_either_of_two_walls_stops_user_namespaces(dropped: tuple[str, ...], tmp_path: Path) -> None:
    with weakened(dropped) as sandbox, Scene(tmp_path) as scene:
        result = sandbox.run(Command(("unshare", "-Ur", "id"), scene.mounts))
        assert result.ending == "exited" and not result.ok, result.text
