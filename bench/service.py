"""The service's intake and reads beside a bare ASGI floor and a peer, in one run: `python bench/service.py [seconds]`.

Each is one uvicorn process; 32 connections ask again as soon as they are answered. *webhook*: 18 KB, signed, on disk
before the 202. *same page*: 50 of 10,000 tasks, unchanged. *other page*: the same after a write, so that nothing kept
helps. Rounds are interleaved; CPU is that of the server's process and counts where the machine is busy otherwise.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from serving.load import SECRET, Answered, load, other, same, webhook

SERVERS = ("floor", "ours", "peer")
REQUESTS: dict[str, Callable[..., bytes]] = {"webhook": webhook, "same page": same, "other page": other}
ROUNDS = 3
TASKS = 10_000


class Measured(NamedTuple):
    """One round: what was answered, and µs of the server's CPU for each."""

    answered: Answered
    cpu: float


def main(seconds: float) -> None:
    """Print the medians."""
    found: dict[tuple[str, str], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        prepare(Path(name))
        running = {server: stack.enter_context(served(server, Path(name))) for server in SERVERS}
        for number in range(ROUNDS):
            for what in REQUESTS:
                for server in SERVERS:
                    first = (number + 1) * 10_000_000
                    load(running[server][0], REQUESTS[what], 0.3, first + 5_000_000)
                    found.setdefault((what, server), []).append(measured(*running[server], what, seconds, first))
    for line in table(found):
        print(line)


def table(found: dict[tuple[str, str], list[Measured]]) -> Iterator[str]:
    """Rows of Markdown."""
    yield "| what | server | requests/s | p99, ms | µs CPU each | rate ÷ floor's | CPU ÷ floor's |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for what in REQUESTS:
        rate, cpu = (median(get(each) for each in found[what, "floor"]) for get in (_rate, _cpu))
        for server in SERVERS:
            rounds = found[what, server]
            own, p99, spent = (median(get(each) for each in rounds) for get in (_rate, _p99, _cpu))
            yield (
                f"| {what} | {server} | {own:,.0f} | {p99:.1f} | {spent:.0f} | {own / rate:.2f} | {spent / cpu:.2f} |"
            )


def _rate(each: Measured) -> float:
    return each.answered.rate


def _p99(each: Measured) -> float:
    return each.answered.p99


def _cpu(each: Measured) -> float:
    return each.cpu


def measured(port: int, pid: int, what: str, seconds: float, first: int) -> Measured:
    """One round at one server."""
    before = spent(pid)
    answered = load(port, REQUESTS[what], seconds, first)
    assert answered.wrong == 0, f"{what}: {answered.wrong} were refused"
    return Measured(answered, 1e6 * (spent(pid) - before) / (answered.rate * seconds))


def spent(pid: int) -> float:
    """Seconds of CPU of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def prepare(folder: Path) -> None:
    """A clone beside a hub with many tasks, and its index."""
    import index as bench

    from pullwright.serving import rebuild
    from runner import git

    hub = git.init_bare(folder / "hub.git")
    bench.first(hub, TASKS)
    subprocess.run(["git", "clone", "-q", "--no-checkout", str(hub.git_dir), str(folder / "clone")], check=True)
    rebuild(folder / "clone")


@contextmanager
def served(server: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A server's port and process."""
    words = [sys.executable, __file__, server, str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    port = int(process.stdout.readline())
    time.sleep(5)  # until it listens, and the first look at the hub is over
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def serve(server: str, folder: Path) -> None:
    """Be that server until somebody ends it."""
    import socket

    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(application(server, folder), log_config=None, access_log=False)).run([listener])


def application(server: str, folder: Path) -> object:
    """The server's ASGI application."""
    from runner.host import site_at
    from webhook.app import create_app
    from webhook.options import Options

    options = Options(site_at(folder / "clone"), secrets=(SECRET,), poll=3600)
    if server == "ours":
        return create_app(options)
    if server == "floor":
        from serving.floor import Floor

        return Floor(str(folder / "floor.sqlite"), str(options.index), SECRET)
    from serving.peer import app

    return app(str(folder / "peer.sqlite"), str(options.index), SECRET)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        serve(sys.argv[1], Path(sys.argv[2]))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
