"""Attacks on the host's processes and its kernel, and on what bounds a command."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

from attacks.network import python
from attacks.scene import (
    Attack,
    Prepared,
    Scene,
    on_the_host,
    said,
    with_limits,
    without,
)
from runner.sandbox import Limits, Result

MB = 1 << 20
DAEMON = f"pullwright-daemon-{os.getpid()}"


def _victim_died(scene: Scene, _: Result) -> bool:
    """Whether it ended, or is about to: whoever was not hit sleeps."""
    state = re.compile(r"^State:\t(\w)", re.MULTILINE)
    while scene.victim.poll() is None:
        if state.findall(Path(f"/proc/{scene.victim.pid}/status").read_text()) == ["S"]:
            return False
        time.sleep(0.01)
    return True


def _daemon_lives(_: Scene, __: Result) -> bool:
    """Whether there is one; ends it."""
    found = subprocess.run(["pgrep", "-f", f"^{DAEMON}"], capture_output=True, text=True, check=False).stdout.split()
    for pid in found:
        os.kill(int(pid), signal.SIGKILL)
    return bool(found)


def _bystander(scene: Scene) -> Prepared:
    return {"pid": scene.bystander()}


CALLS = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
calls = dict(ptrace=(101, 0, 0, 0, 0), process_vm_readv=(310, 1, 0, 0, 0, 0, 0), setns=(308, -1, 0), bpf=(321, 0, 0, 0),
             perf_event_open=(298, 0, 0, -1, -1, 0), userfaultfd=(323, 1), keyctl=(250, 0, -4, 1), unshare=(272, 0),
             add_key=(248, 0, 0, 0, 0, 0), open_by_handle_at=(304, -1, 0, 0), mount=(165, 0, 0, 0, 0, 0),
             umount2=(166, 0, 0), fsopen=(430, 0, 0), memfd_secret=(447, 0), quotactl=(179, 0, 0, 0, 0))
for name, call in calls.items():
    ctypes.set_errno(0)
    answer = libc.syscall(*call)
    if answer >= 0 or ctypes.get_errno() != errno.EPERM:
        print("reached", name, answer, ctypes.get_errno())
"""
CLONE3 = """
import ctypes, errno
ctypes.CDLL(None, use_errno=True).syscall(435, 0, 0)
print("absent" if ctypes.get_errno() == errno.ENOSYS else "reached")
"""
X32 = """
import ctypes
ctypes.CDLL(None).syscall(0x40000000 | 39)
print("survived")
"""
TYPING = """
import errno, fcntl, os, pty, termios
master, slave = pty.openpty()
if os.fork() == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    try:
        fcntl.ioctl(slave, termios.TIOCSTI, b"x")
        print("reached")
    except OSError as error:
        print("refused" if error.errno == errno.EPERM else "reached")
else:
    os.wait()
"""
FORKS = """
import os, time
started = 0
try:
    while started < 100:
        if not os.fork(): time.sleep(5); os._exit(0)
        started += 1
except BlockingIOError:
    pass
print("started", started)
"""
# Each waits for the others, so that they hold it together, and then as long as it may take until somebody looks.
HOLD = """
import os, sys, time
held = bytearray(60 << 20)
open("held" + sys.argv[1], "w")
while sum(name.startswith("held") for name in os.listdir()) < 5: time.sleep(0.02)
time.sleep(3)
"""
FILES = 'f = [open("/dev/null") for _ in range(500)]; print("opened")'

KERNEL = (
    Attack(41, "kill-host", "kill -9 {pid}", _victim_died, on_the_host, _bystander),
    Attack(41, "kill-all", "kill -9 -1", _victim_died, "it would end every process of the host", _bystander),
    Attack(
        42,
        "kill-init",
        "kill -9 1; kill -STOP 1; sleep 0.1; echo alive",
        lambda _, result: "alive" not in result.text or result.exit != 0,
        "that is the kernel's rule for the first process of any PID namespace",
    ),
    Attack(
        43,
        "daemon",
        f"(setsid bash -c 'trap \"\" TERM HUP INT; exec -a {DAEMON} sleep 60' >/dev/null 2>&1 &); "
        f"until pgrep -f '^{DAEMON}' >/dev/null; do sleep 0.02; done",
        _daemon_lives,
        on_the_host,
    ),
    Attack(46, "userns", "unshare -Ur id && echo inside", said("inside"), without("--seccomp", "--disable-userns")),
    Attack(47, "system-calls", python(CALLS), said("reached"), without("--seccomp")),
    Attack(47, "clone3", python(CLONE3), said("reached"), without("--seccomp")),
    Attack(48, "x32", python(X32), said("survived"), without("--seccomp")),
    Attack(49, "privileges", "su -c id; grep NoNewPrivs /proc/self/status", said("NoNewPrivs:\t0"), on_the_host),
    Attack(69, "typing", python(TYPING), said("reached"), without("--seccomp")),
)

RESOURCES = (
    Attack(
        50, "fork-growth", python(FORKS), said("started 100"), with_limits(processes=1000), limits=Limits(processes=30)
    ),
    Attack(
        54,
        "inode-flood",
        "mkdir many; cd many; seq 1 6000 | xargs touch; sleep 0.2",
        lambda _, result: result.ending != "disk",
        with_limits(files=500_000),
        limits=Limits(files=3000),
    ),
    Attack(
        51,
        "memory",
        python('bytearray(400 << 20); print("held")'),
        said("held"),
        with_limits(memory=2048 * MB),
        limits=Limits(memory=200 * MB),
    ),
    Attack(
        52,
        "memory-of-many",
        f"for i in 1 2 3 4 5; do {python(HOLD)} $i & done; wait; echo held",
        said("held"),
        with_limits(memory=2048 * MB),
        limits=Limits(memory=150 * MB),
    ),
    Attack(
        53, "shared-memory", "head -c 80000000 /dev/zero > /dev/shm/f && echo filled", said("filled"), without("--size")
    ),
    Attack(
        55,
        "big-file",
        "head -c 5000000 /dev/zero > f && echo filled",
        said("filled"),
        with_limits(file_size=8 * MB),
        limits=Limits(file_size=MB),
    ),
    Attack(
        56,
        "many-files",
        "for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/urandom > f$i; done; sync -f .",
        lambda _, result: result.ending == "exited",
        with_limits(disk=64 * MB),
        limits=Limits(disk=4 * MB),
    ),
    Attack(
        56,
        "file-without-a-name",
        "exec 9> f; rm f; for i in 1 2 3 4 5 6 7 8; do head -c 2000000 /dev/urandom >&9; done; sync -f .; sleep 60",
        lambda _, result: result.ending != "disk",
        with_limits(disk=64 * MB, seconds=3.0),
        limits=Limits(disk=4 * MB, seconds=60.0),
    ),
    Attack(57, "sparse-file", "truncate -s 100G f && echo sparse", said("sparse"), with_limits(file_size=1 << 40)),
    Attack(
        58,
        "output-flood",
        "head -c 30000000 /dev/zero",
        lambda _, result: result.ending == "exited",
        with_limits(output=40 * MB),
        limits=Limits(output=1000),
    ),
    Attack(
        60,
        "busy-loop",
        "while [ $SECONDS -lt 2 ]; do :; done; echo finished",
        said("finished"),
        with_limits(seconds=20.0),
        limits=Limits(seconds=0.3),
    ),
    Attack(
        62, "descriptors", python(FILES), said("opened"), with_limits(open_files=4096), limits=Limits(open_files=64)
    ),
)

ATTACKS = KERNEL + RESOURCES
