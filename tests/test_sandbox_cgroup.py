"""A cgroup for each command, where a part of the tree is ours; where none is, nothing is touched."""

import os
import subprocess
from pathlib import Path

import pytest
from cgroup_parts import tree
from hypothesis import given
from hypothesis import strategies as st

from runner.sandbox import Limits, cgroup, demotion, probe

__all__ = ["tree"]

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
33 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw
34 33 0:29 /user.slice /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
"""


@pytest.mark.parametrize(
    ("cgroups", "place"),
    [
        ("0::/user.slice/u/run.scope\n", "/sys/fs/cgroup/unified/u/run.scope"),
        ("9:memory:/x\n0::/user.slice\n", "/sys/fs/cgroup/unified"),
        ("0::/elsewhere\n", None),
        ("9:memory:/x\n", None),
        ("0::/../out\n", None),
        ("", None),
    ],
)
def test_our_own_cgroup_is_found_where_it_is_mounted(cgroups: str, place: str | None) -> None:
    assert cgroup.own(cgroups, MOUNTS) == (None if place is None else Path(place))
    assert cgroup.own(cgroups, MOUNTS.replace("cgroup2", "cgroup")) is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_whatever_the_kernel_says_there_is_an_answer(cgroups: str, mounts: str) -> None:
    cgroup.own(cgroups, mounts)
    cgroup.own("0::/" + cgroups, MOUNTS + mounts)


def test_all_of_a_command_ends_when_there_is_no_memory() -> None:
    found = cgroup.settings(Limits(memory=1 << 20, processes=10))
    assert found == {"memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1", "pids.max": "18"}


def test_what_nobody_delegated_is_not_touched(tmp_path: Path) -> None:
    assert cgroup.find({}) is None or os.getxattr(found_by_us(), "user.delegate") == b"1"
    assert cgroup.find({"PULLWRIGHT_CGROUP": str(tmp_path)}) is None, "no cgroup at all"
    (tmp_path / "cgroup.controllers").write_text("cpu io\n")
    assert cgroup.find({"PULLWRIGHT_CGROUP": str(tmp_path)}) is None, "without memory and pids"
    assert [path.name for path in tmp_path.iterdir()] == ["cgroup.controllers"]


def found_by_us() -> Path:
    found = cgroup.find({})
    assert found is not None
    return found


def test_the_level_says_what_bounds_a_command() -> None:
    watched, limited = (probe.level("1", as_root=False, limited=limited) for limited in (False, True))
    assert "memory and disk watched" in watched and "memory and processes limited by cgroups" in limited
    assert "process count is watched" in probe.level("1", as_root=True, limited=False)
    assert probe.level("1", as_root=True, limited=True).endswith("as host root")


LINE = "grep ^0:: /proc/self/cgroup; ls /proc/self/fd | wc -l; env; trap '' TERM; setsid sleep 90 & echo started; wait"


@pytest.mark.parametrize("user", [None, demotion.UID], ids=["as-we-are", "as-another-user"])
def test_a_program_starts_in_its_leaf_with_nothing_of_ours_and_ends_with_it(tree: Path, user: int | None) -> None:
    leaf = cgroup.Leaf(tree, {})
    words, quiet = leaf.into(["/usr/bin/bash", "-c", LINE]), subprocess.DEVNULL
    env = {"LEAKED": "yes"}
    process = subprocess.Popen(
        words, env=env, pass_fds=(leaf.entry,), stdin=quiet, stdout=subprocess.PIPE, text=True, user=user, cwd="/"
    )
    try:
        assert process.stdout is not None
        said = list(iter(process.stdout.readline, "started\n"))
        inside = (leaf.folder / "cgroup.procs").read_text().split()
    finally:
        leaf.close()
        process.communicate(timeout=60)
    assert said[0].endswith(f"/{leaf.folder.name}\n") and said[1] == "4\n", "the fourth is the listing's own"
    assert "LEAKED" not in "".join(said) and len(inside) >= 2
    assert process.returncode == -9 and not leaf.folder.exists()


def test_what_a_killed_run_left_is_swept(tree: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    names = [f"command-{gone.pid}-1", f"command-{os.getpid()}-1", "somebody-elses"]
    for name in names:
        (tree / name).mkdir()
    cgroup.sweep(tree)
    assert {path.name for path in tree.iterdir() if path.is_dir()} == set(names[1:]), "what other runs begin is theirs"
    for name in names[1:]:
        (tree / name).rmdir()


def test_a_limit_that_cannot_be_set_leaves_no_folder(tree: Path) -> None:
    with pytest.raises(OSError):
        cgroup.Leaf(tree, {"no.such.file": "1"})
    assert not list(tree.glob("command-*"))
