"""A command → the arguments of bwrap. Pure but for looking which system folders this host has."""

import math
import os
from pathlib import Path
from typing import NamedTuple

from runner.sandbox import Command, Limits, Mount
from runner.sandbox.interpreter import LINKED, Interpreter

UID = 1000
HOME = "/home/agent"
HOSTNAME = "sandbox"
RELAY = "/run/pullwright/relay.py"
PROXY = "/run/pullwright/proxy.sock"
PORT = 3128
_SCRATCH = 256 << 20  # bytes of /tmp and of HOME where the caller mounts nothing there; they are memory
_SHARED_MEMORY = 64 << 20

# Of /etc only what programs need to start, to trust certificates and to draw text; no secret lives in any of these.
_ETC = (
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/magic",
    "/etc/mime.types",
)
_ETC_OF_AN_OPEN_NETWORK = ("/etc/resolv.conf", "/etc/hosts")

# Without these su, whoami, Git's identity and `expanduser` fail; the host's own would name its people.
FILES = {
    "/etc/passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\nagent:x:{UID}:{UID}:agent:{HOME}:/bin/bash\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": f"root:x:0:\nagent:x:{UID}:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_HOSTS = f"127.0.0.1 localhost {HOSTNAME}\n::1 localhost\n"


class Surroundings(NamedTuple):
    """What a command finds beside the system and its own mounts: a Python, `shown` folders, variables."""

    interpreter: Interpreter
    shown: tuple[Mount, ...]
    env: dict[str, str]


class Fds(NamedTuple):
    """Descriptors that bwrap reads from or writes to; `files` by their path inside."""

    seccomp: int
    status: int
    files: dict[str, int]


def files(network: str) -> dict[str, str]:
    """The files that a sandbox has beside the host's, by path."""
    hosts = {} if network == "open" else {"/etc/hosts": _HOSTS}
    relay = {RELAY: Path(__file__).with_name("relay.py").read_text()} if network == "registry" else {}
    return {**FILES, **hosts, **relay}


def program(command: Command, interpreter: Interpreter) -> tuple[str, ...]:
    """What bwrap executes: the command within its limits, behind the relay where there is a proxy to reach."""
    relayed = (interpreter.program, "-I", "-S", RELAY, str(PORT), PROXY) if command.network == "registry" else ()
    return limited((*relayed, *command.argv), command.limits)


def environment(command: Command, around: Surroundings) -> dict[str, str]:
    """All that a command finds in its environment; nothing comes from ours but where packages are."""
    path = ":".join((*command.path, *around.interpreter.path))
    own = {"PATH": path, "HOME": HOME, "USER": "agent", "LOGNAME": "agent", "SHELL": "/bin/bash", "TMPDIR": "/tmp"}
    return {**own, "LANG": "C.UTF-8", "TERM": "dumb", "PWD": command.cwd, **around.env, **command.env}


def limited(argv: tuple[str, ...], limits: Limits, *, count_processes: bool = True) -> tuple[str, ...]:
    """`argv` started by prlimit(1), so that the limits are set inside the user namespace and count only there.

    DATA rather than AS: the latter breaks programs that reserve more than they use (node, Go, the JVM).
    """
    processors = os.cpu_count() or 1
    bounds = [f"--data={limits.memory}", f"--fsize={limits.file_size}", f"--nofile={limits.open_files}", "--core=0"]
    bounds += [f"--cpu={math.ceil(limits.seconds) * processors + 1}"]
    bounds += [f"--nproc={limits.processes}"] if count_processes else []
    return ("/usr/bin/prlimit", *bounds, "--", *argv)


def _system() -> list[str]:
    """/usr read-only, and /bin, /lib … as they are on this host: links into /usr, or folders of an older layout."""
    flags = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/", name)
        if path.is_symlink():
            flags += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            flags += ["--ro-bind", str(path), str(path)]
    return flags


def _etc(network: str, fds: Fds) -> list[str]:
    shown = _ETC + (_ETC_OF_AN_OPEN_NETWORK if network == "open" else ())
    flags = [word for path in shown for word in ("--ro-bind-try", path, path)]
    for path, fd in fds.files.items():
        flags += ["--perms", "0444", "--ro-bind-data", str(fd), path]
    return flags


def _scratch(mounts: tuple[Mount, ...]) -> list[str]:
    flags: list[str] = []
    for place in ("/tmp", HOME):
        if not any(mount.target == place for mount in mounts):
            flags += _tmpfs(place, "0700", _SCRATCH)
    return flags


def _tmpfs(place: str, mode: str, size: int) -> list[str]:
    return ["--perms", mode, "--size", str(size), "--tmpfs", place]


def _binds(mounts: tuple[Mount, ...]) -> list[str]:
    return [w for m in mounts for w in ("--bind" if m.writable else "--ro-bind", str(m.source), m.target)]


def _walls(network: str) -> list[str]:
    share = ["--share-net"] if network == "open" else []
    users = ["--unshare-user", "--disable-userns", "--uid", str(UID), "--gid", str(UID)]
    ends = ["--new-session", "--die-with-parent", "--hostname", HOSTNAME, "--cap-drop", "ALL"]
    return ["--unshare-all", *share, *users, *ends]


def arguments(command: Command, around: Surroundings, mounts: tuple[Mount, ...], fds: Fds) -> list[str]:
    """Every argument of bwrap but the program to run; `mounts` are all there are, in their order.

    Raises `ValueError` for a NUL byte in one of them.
    """
    interpreter = around.interpreter
    flags = [*_walls(command.network), "--clearenv"]
    for name, value in environment(command, around).items():
        flags += ["--setenv", name, value]
    flags += [*_system(), *_etc(command.network, fds)]
    flags += ["--symlink", interpreter.link, f"{LINKED}/python3"] if interpreter.link else []
    flags += [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--perms",
        "1777",
        "--size",
        str(_SHARED_MEMORY),
        "--tmpfs",
        "/dev/shm",
    ]
    flags += [*_scratch(mounts), *_binds(mounts), "--remount-ro", "/dev", "--remount-ro", "/"]
    flags += ["--seccomp", str(fds.seccomp), "--json-status-fd", str(fds.status), "--chdir", command.cwd]
    if any("\0" in flag for flag in flags):
        raise ValueError("a NUL byte in a command's environment, mounts or working directory")
    return flags
