"""A runner that is killed while bwrap makes its namespaces: nothing waits for ever."""

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.sandbox import Command, Limits, kernel, launcher, leftovers
from runner.sandbox.bubblewrap import BWRAP, Bubblewrap
from runner.sandbox.descriptors import Descriptors
from runner.sandbox.status import Status

TOKEN = f"4713.{os.getpid():07}"  # what we start is told from what other tests start at the same time


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it, for a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether it runs, and is not only still listed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ours(name: str) -> set[int]:
    """The processes called `name` that have our token among their words."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (place / "comm").read_text() == f"{name}\n" and TOKEN.encode() in (place / "cmdline").read_bytes():
                found.add(int(place.name))
    return found


def test_what_a_runner_started_dies_with_it_from_its_first_moment_on() -> None:
    runner = os.fork()
    if runner == 0:
        try:
            launcher.start(["/usr/bin/sleep", TOKEN], stdin=subprocess.DEVNULL, output=subprocess.DEVNULL)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(runner, 0)
    until(lambda: not ours("sleep"), "it outlives the runner")


@pytest.fixture
def orphans() -> set[int]:
    """An inner bwrap whose outer one died as it does where nobody reads what it says of itself."""
    gone, status = os.pipe()
    os.close(gone)
    with Descriptors() as open_:
        data = open_.data(b"x")
        words = [BWRAP, "--unshare-all", "--unshare-user", "--die-with-parent", "--ro-bind", "/", "/"]
        words += ["--json-status-fd", str(status), "sleep", TOKEN]
        run = subprocess.Popen(words, pass_fds=(status, data))
        assert run.wait(60) == -signal.SIGPIPE
    os.close(status)
    return ours("bwrap")


def test_what_a_killed_runner_left_waiting_the_next_one_ends(orphans: set[int]) -> None:
    Bubblewrap().check()
    until(lambda: not any(map(lives, orphans)), "it waits for ever")


def test_a_sandbox_that_somebody_waits_for_is_left_alone() -> None:
    block, unblock = os.pipe()
    with Descriptors() as open_:
        data = open_.data(b"x")
        words = [BWRAP, "--unshare-all", "--ro-bind", "/", "/", "--block-fd", str(block), "true", TOKEN]
        with subprocess.Popen(words, pass_fds=(block, data)) as run:
            until(lambda: len(ours("bwrap")) == 2, "there is no inner one")
            leftovers.sweep()
            os.write(unblock, b"x")
            assert run.wait(60) == 0
    os.close(block)
    os.close(unblock)


def test_who_ends_a_sandbox_that_is_being_made_ends_the_inner_one_too() -> None:
    said, saying = os.pipe()
    outer, inner = (subprocess.Popen(["/usr/bin/sleep", TOKEN]) for _ in range(2))
    says = threading.Timer(0.2, lambda: os.write(saying, b'{"child-pid": %d}\n' % inner.pid))
    says.start()
    with outer, inner, Status(said) as status:
        status.end(outer)
        says.join()
        os.close(saying)
        inner.terminate()  # too late where it has been killed
        assert (outer.wait(60), inner.wait(60)) == (-signal.SIGKILL, -signal.SIGKILL)


def test_a_child_whose_parent_died_before_it_could_say_so_ends_itself() -> None:
    tie = kernel.tied()
    middle = os.fork()
    if middle == 0:
        inner = os.fork()
        if inner == 0:
            tie()
            os._exit(0)
        _, status = os.waitpid(inner, 0)
        os._exit(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
    assert os.waitstatus_to_exitcode(os.waitpid(middle, 0)[1]) == signal.SIGKILL


def test_a_command_that_is_given_up_at_once_leaves_nothing() -> None:
    sandbox = Bubblewrap()
    sandbox.check()
    for _ in range(20):
        sandbox.run(Command(("/usr/bin/sleep", TOKEN), (), cwd="/", limits=Limits(seconds=0.001)))
    assert not ours("bwrap")


def _killed(moment: float) -> None:
    """A runner that does one command after the other, killed so many seconds after its first one."""
    told, telling = os.pipe()
    runner = os.fork()
    if runner == 0:
        try:
            sandbox = Bubblewrap()
            sandbox.check()
            os.write(telling, b"x")
            while True:
                sandbox.run(Command(("/usr/bin/true", TOKEN), (), cwd="/"))
        finally:
            os._exit(1)
    os.close(telling)
    assert os.read(told, 1) == b"x"
    os.close(told)
    time.sleep(moment)
    os.kill(runner, signal.SIGKILL)
    os.waitpid(runner, 0)


def _kills(number: int) -> None:
    chance = random.Random(1)
    for _ in range(number):
        _killed(chance.uniform(0, 0.05))
    until(none_left, "they wait for ever")


def none_left() -> bool:
    """Whether the next runner has ended what is there."""
    leftovers.sweep()
    return not ours("bwrap")


def test_a_runner_killed_at_any_moment_leaves_nothing_for_ever() -> None:
    _kills(6)


@pytest.mark.soak
def test_a_runner_killed_at_five_hundred_moments_leaves_nothing_for_ever() -> None:
    _kills(500)
