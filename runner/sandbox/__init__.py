"""Where commands run: nothing an agent asks for is executed anywhere else. `references`: docs/sandbox.md."""

from pathlib import Path
from typing import Literal, Protocol

import msgspec

Network = Literal["none", "registry", "open"]
Ending = Literal["exited", "timeout", "memory", "disk", "output", "failed"]


class Mount(msgspec.Struct, frozen=True):
    """`source` on the host seen as `target` (absolute) inside. Never take a source below an agent-writable folder."""

    source: Path
    target: str
    writable: bool = False


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one command: `seconds` of wall clock, the rest in bytes or counts."""

    seconds: float = 120.0
    memory: int = 2 << 30
    processes: int = 256
    file_size: int = 1 << 30
    open_files: int = 1024
    output: int = 1 << 20
    disk: int = 4 << 30
    files: int = 500_000


class Command(msgspec.Struct, frozen=True):
    """One command. `argv` is executed as it is; a shell line is `("bash", "-c", line)`.

    `env` is added to the sandbox's own small environment (PATH, HOME, LANG, TERM …). `path` folders go first in PATH.
    """

    argv: tuple[str, ...]
    mounts: tuple[Mount, ...]
    cwd: str = "/workspace/src"
    env: dict[str, str] = {}
    path: tuple[str, ...] = ()
    stdin: bytes = b""
    network: Network = "none"
    limits: Limits = Limits()


class Result(msgspec.Struct, frozen=True):
    """What came of a command.

    `exit` is None unless it `exited` (a signal is 128 + n); `output` is stdout and stderr in the order written, its
    middle left out beyond `Limits.output` (`omitted` bytes); `failed` means the sandbox could not start it.
    """

    ending: Ending
    exit: int | None
    output: bytes
    seconds: float
    omitted: int = 0

    @property
    def ok(self) -> bool:
        """The command ran to its end and said success."""
        return self.ending == "exited" and self.exit == 0

    @property
    def text(self) -> str:
        """The output as text; what is not UTF-8 is replaced."""
        return self.output.decode("utf-8", "replace")


class Sandbox(Protocol):
    """Anything that runs a `Command` apart from the host."""

    level: str
    """One line that says what is in force, for logs, records and pull requests."""

    def check(self) -> None:
        """Probe once. Raises `UserError` with the cause and the exact remedy when commands cannot be contained."""
        ...

    def run(self, command: Command) -> Result:
        """Run `command` to its end or to a limit; nothing of it is left running."""
        ...

    def locate(self, mounts: tuple[Mount, ...], inside: str) -> str:
        """The path by which a command with these mounts sees `inside` (absolute, as in `Mount.target`)."""
        ...


class Cloning(msgspec.Struct, frozen=True):
    """Where public repositories are fetched: a sandbox whose `registry` reaches the server `site` and nothing else.

    A clone has at most `most` bytes.
    """

    sandbox: Sandbox
    site: str = "https://github.com"
    most: int = 200 << 20
