"""Open streams of one discussion: what each costs, and whether slow readers hold others up: `python bench/talk.py [N]`.

A real `serve` in a process of its own; N readers follow one discussion. A scripted model then says 400 words in some
4 seconds, twice: with these readers alone, and with ten more that asked for 5 MB of history and read nothing of it.
*late* is how long after the model said a word the readers had it; the service sends what is new twenty times a second.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from repositories import COMMAND, PEOPLE, bare_hub, project, settings
from wire import ScriptedOllama
from wire.ollama import chunk, last
from wire.server import Answer, Asked

from runner.host import site_at
from runner.talk import discussions
from runner.talk.messages import Message, new_id

TOKEN = "t" * 24
WORDS, PACE = 400, 0.01
SLOW, HISTORY = 10, 60
MODEL = "qwen3:32b"


class Paced(ScriptedOllama):
    """Says a word every hundredth of a second, and when it did."""

    def __init__(self) -> None:
        super().__init__(models={MODEL: ("completion", "tools")})
        self.said: dict[int, float] = {}

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/api/chat" or not asked.body.get("messages"):
            return super().answer(asked)
        return Answer(_Words(self.said), headers={"Content-Type": "application/x-ndjson"})  # type: ignore[arg-type]


class _Words:
    """The chunks of one reply, each made when it is due."""

    def __init__(self, said: dict[int, float]) -> None:
        self.said = said

    def __iter__(self) -> Iterator[bytes]:
        for number in range(WORDS):
            time.sleep(PACE)
            self.said[number] = time.monotonic()
            yield json.dumps(chunk(f"w{number} ")).encode() + b"\n"
        yield json.dumps(last()).encode() + b"\n"


def main(readers: int) -> None:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as name, Paced() as model, served(Path(name), model) as (process, port):
        asyncio.run(measured(process, Path(name) / "clone", port, model, readers))


async def measured(process: subprocess.Popen[str], clone: Path, port: int, model: Paced, readers: int) -> None:
    id = json.loads(await asked(port, "POST", "/api/discussions", {"title": "Bench"}))["id"]
    await asyncio.to_thread(history, clone, id)
    await asyncio.sleep(2)
    before = memory(process.pid)
    streams = [await opened(port, f"/api/discussions/{id}/events") for _ in range(readers)]
    await asyncio.sleep(2)
    each = (memory(process.pid) - before) / readers
    print(f"{readers} open streams: {before / 1024:.0f} MB without, {each:.1f} KB more for each\n")
    print("| readers | late, median ms | late, p99 ms | CPU, s | memory in all, MB |")
    print("| --- | --- | --- | --- | --- |")
    for slow in (0, SLOW):
        for _ in range(slow):
            await opened(port, f"/api/discussions/{id}/events?after=0", window=4096)
        spent = cpu(process.pid)
        model.said.clear()
        reading = [asyncio.create_task(stream.words(model)) for stream in streams]
        await asked(port, "POST", f"/api/discussions/{id}/messages", {"text": "Say something"})
        late = [one for found in await asyncio.gather(*reading) for one in found]
        label = f"{readers}, and {slow} that do not read" if slow else str(readers)
        times = f"{1000 * median(late):.0f} | {1000 * quantiles(late, n=100)[98]:.0f}"
        print(f"| {label} | {times} | {cpu(process.pid) - spent:.1f} | {memory(process.pid) / 1024:.0f} |")


def history(clone: Path, id: str) -> None:
    """5 MB of what was said before."""
    site = site_at(clone)
    discussions.bring(site, id)
    for number in range(HISTORY):
        text = f"{number} " + "x" * 90_000
        discussions.say(site, id, Message(new_id(), "2026-01-01T00:00:00Z", "note", "Pat", text))


class Stream:
    """An open stream of events."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.reader = reader

    async def words(self, model: Paced) -> list[float]:
        """How late each word came, up to the end of the answer."""
        late: list[float] = []
        while line := await self.reader.readline():
            if line.startswith(b"data: "):
                data = json.loads(line[6:])
                now = time.monotonic()
                if "at" in data and "text" in data and "role" not in data:
                    late += [now - model.said[int(word)] for word in re.findall(r"w(\d+) ", data["text"])]
                elif data.get("role") == "agent":
                    break
        return late


async def opened(port: int, path: str, window: int = 0) -> Stream:
    """A stream whose events begin to come; the kernel takes `window` bytes for it at most, where that is given."""
    own = socket.socket()
    if window:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    own.connect(("127.0.0.1", port))
    own.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=own, limit=window or 1 << 20)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    await writer.drain()
    while (await reader.readline()).strip():
        pass
    OPEN.append(writer)  # kept, or the connection would be closed
    return Stream(reader)


OPEN: list[asyncio.StreamWriter] = []


async def asked(port: int, method: str, path: str, body: dict[str, str]) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = json.dumps(body).encode()
    writer.write(
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode()
        + data
    )
    answer = (await reader.read()).decode()
    writer.close()
    return answer.partition("\r\n\r\n")[2]


@contextmanager
def served(folder: Path, model: Paced) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A service beside a small repository whose agent is behind `model`."""
    home = folder / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(PEOPLE)
    os.environ |= {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "PULLWRIGHT_API_TOKEN": TOKEN}
    here = project(folder / "clone", agents=settings({"name": "gemma", "model": MODEL, "endpoint": model.url}))
    bare_hub(here, folder / "hub.git")
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--dispatch", "none"],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found is not None
        time.sleep(3)
        yield process, int(found[1])
    finally:
        process.kill()
        process.wait()


def memory(pid: int) -> float:
    """KB of memory that are the process's own."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_"))


def cpu(pid: int) -> float:
    """Seconds of CPU."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
