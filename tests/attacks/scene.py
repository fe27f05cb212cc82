"""The host as an attack finds it: a secret, another task, a victim; and an attack as an entry of a table."""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from runner.sandbox import Command, Limits, Mount, Network, Result
from runner.sandbox.bubblewrap import Bubblewrap

CANARY = "canary-5e0a-of-the-host"
GREETING = b"greetings-of-the-host"


class Scene:
    """Everything is below `root`; commands see `src` as /workspace/src and `git` on its .git, and nothing else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.src, self.git = root / "task/src", root / "task/git"
        self.secret, self.other = root / "home/.ssh/id", root / "tasks/t2/f"
        self.victim_file = root / "victim"
        for folder in (self.src / ".git", self.git, self.secret.parent, self.other.parent, root / "task/tmp"):
            folder.mkdir(parents=True)
        for file in (self.secret, self.other, self.victim_file):
            file.write_text(CANARY)
        self.heard = 0
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """What a command of the task sees."""
        own = (Mount(self.src, "/workspace/src", True), Mount(self.git, "/workspace/src/.git", True))
        return (*own, Mount(self.root / "task/tmp", "/tmp", True))

    def listen(self, family: int, address: tuple[str, int] | str) -> socket.socket:
        """A server of the host that greets whoever comes and counts in `heard`."""
        server = socket.socket(family)
        server.bind(address)
        server.listen()
        self._closing.callback(_stop, server)
        threading.Thread(target=self._greet, args=(server,), daemon=True).start()
        return server

    def _greet(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                self.heard += 1
                with client:
                    client.sendall(GREETING)

    def bystander(self) -> int:
        """The number of a process of the host that an attack may want to end; it stays in `victim`."""
        self.victim = subprocess.Popen(["sleep", "600"])
        self._closing.callback(self.victim.wait)
        self._closing.callback(self.victim.kill)
        return self.victim.pid

    def export(self, name: str, value: str) -> None:
        """A variable in our own environment, as long as the scene lasts."""
        os.environ[name] = value
        self._closing.callback(os.environ.pop, name, None)

    def held_open(self, path: Path) -> int:
        """A descriptor of ours that children inherit."""
        fd = os.open(path, os.O_RDONLY)
        os.set_inheritable(fd, True)
        self._closing.callback(os.close, fd)
        return fd


def _stop(server: socket.socket) -> None:
    server.shutdown(socket.SHUT_RDWR)
    server.close()


Prepared = dict[str, object]


class Attack(NamedTuple):
    """One entry of the table.

    `line` is bash; `{name}` in it comes from `prepare(scene)` and from the scene's own paths. `worked` says whether it
    reached what it was after, from the result and the host. `control` runs the same where the defence is missing, and
    there `worked` must be true: without that a green result would mean nothing. A control of a `str` says why there is
    none.
    """

    number: int
    name: str
    line: str
    worked: Callable[[Scene, Result], bool]
    control: "Callable[[Scene, Command], Result] | str"
    prepare: Callable[[Scene], Prepared] = lambda _: {}
    network: Network = "none"
    limits: Limits = Limits(seconds=20.0)
    env: tuple[tuple[str, str], ...] = ()


def command_of(attack: Attack, scene: Scene) -> Command:
    """The attack with the scene's names put in."""
    own = {"secret": scene.secret, "other": scene.other, "victim_file": scene.victim_file, "root": scene.root}
    words = {name: str(value) for name, value in {**own, **attack.prepare(scene)}.items()}
    line = attack.line
    for name, value in words.items():
        line = line.replace("{" + name + "}", value)
    env = dict(attack.env)
    return Command(("bash", "-c", line), scene.mounts, env=env, network=attack.network, limits=attack.limits)


# Controls


def on_the_host(scene: Scene, command: Command) -> Result:
    """The command as a plain process of the host. Only for attacks that harm nothing but the scene."""
    return plain(scene, ["timeout", str(command.limits.seconds), *command.argv])


def plain(scene: Scene, words: list[str], *, close_fds: bool = True) -> Result:
    """What comes of a program of the host that is started without any care."""
    done = subprocess.run(
        words,
        cwd=scene.src,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        close_fds=close_fds,
    )
    return Result("exited", done.returncode, done.stdout, 0.0)


def on_the_host_as_root(scene: Scene, command: Command) -> Result:
    """The same for what only root may do anywhere."""
    if os.geteuid() != 0:
        pytest.skip("control: only root could do this on the host, and this is an ordinary user")
    return on_the_host(scene, command)


def with_network(scene: Scene, command: Command) -> Result:
    """The same sandbox with the host's network."""
    return Bubblewrap().run(msgspec.structs.replace(command, network="open"))


def without(*flags: str, adding: tuple[str, ...] = (), inline: bool = False) -> Callable[[Scene, Command], Result]:
    """The same sandbox but for these flags of bwrap (with their values), and with `adding`.

    `inline` puts the flags on bwrap's command line instead of into a descriptor.
    """

    def control(_: Scene, command: Command) -> Result:
        with weakened(flags, adding, inline) as sandbox:
            return sandbox.run(command)

    return control


def with_limits(**changed: float) -> Callable[[Scene, Command], Result]:
    """The same sandbox with other limits."""

    def control(_: Scene, command: Command) -> Result:
        limits = msgspec.structs.replace(command.limits, **changed)
        return Bubblewrap().run(msgspec.structs.replace(command, limits=limits))

    return control


def with_mount(source: Callable[[Scene], Path], target: str) -> Callable[[Scene, Command], Result]:
    """The same sandbox with one folder of the host too many."""

    def control(scene: Scene, command: Command) -> Result:
        mounts = (*command.mounts, Mount(source(scene), target, True))
        return Bubblewrap().run(msgspec.structs.replace(command, mounts=mounts))

    return control


WEAKENER = """\
#!/usr/bin/python3 -I
import os, sys
DROPPED, ADDED, INLINE = {dropped!r}, {added!r}, {inline!r}
VALUES = {{"--setenv": 2, "--seccomp": 1, "--uid": 1, "--gid": 1, "--cap-drop": 1, "--size": 1, "--remount-ro": 1}}
if "--args" not in sys.argv:
    os.execv("/usr/bin/bwrap", sys.argv)
at = sys.argv.index("--args")
words = open(int(sys.argv[at + 1]), closefd=False).read().split("\\0")[:-1]
kept = []
while words:
    word = words.pop(0)
    values = [words.pop(0) for _ in range(VALUES.get(word, 0))]
    if word not in DROPPED and " ".join([word, *values]) not in DROPPED:
        kept += [word, *values]
at_end = kept.index("--remount-ro") if "--remount-ro" in kept else len(kept)
kept[at_end:at_end] = ADDED
if INLINE:
    os.execv("/usr/bin/bwrap", ["bwrap", *kept, *sys.argv[at + 2 :]])
fd = os.memfd_create("args", 0)
os.write(fd, b"".join(os.fsencode(word) + b"\\0" for word in kept))
os.lseek(fd, 0, 0)
os.set_inheritable(fd, True)
sys.argv[at + 1] = str(fd)
os.execv("/usr/bin/bwrap", sys.argv)
"""


@contextlib.contextmanager
def weakened(dropped: tuple[str, ...], added: tuple[str, ...] = (), inline: bool = False) -> Iterator[Bubblewrap]:
    """A sandbox whose bwrap lacks some flags: a program in its place takes them out and starts the real one."""
    folder = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    folder.chmod(0o755)  # the sandbox's user has to start it
    program = folder / "bwrap"
    program.write_text(WEAKENER.format(dropped=list(dropped), added=list(added), inline=inline))
    program.chmod(0o755)
    try:
        yield Bubblewrap(bwrap=str(program))
    finally:
        program.unlink()
        folder.rmdir()


def said(word: str) -> Callable[[Scene, Result], bool]:
    """It worked if the output holds this."""
    return lambda _, result: word in result.text
