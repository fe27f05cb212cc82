"""Load: so many connections that each ask again as soon as they were answered. Little of it is spent on the client."""

import asyncio
import hmac
import json
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from statistics import quantiles
from typing import NamedTuple

CONNECTIONS = 32
SECRET = "s" * 32
PAYLOAD = json.dumps({
    "action": "opened", "issue": {"number": 7, "title": "Login fails", "body": "so " * 6000},
    "repository": {"full_name": "acme/shop"}, "sender": {"login": "mona"},
}).encode()  # fmt: skip
SIGNED = "sha256=" + hmac.new(SECRET.encode(), PAYLOAD, sha256).hexdigest()


class Answered(NamedTuple):
    """Requests a second, the 99th percentile of their times in ms, and how many were not answered with success."""

    rate: float
    p99: float
    wrong: int


def webhook(numbers: "count[int]") -> bytes:
    """A new delivery of 18 KB."""
    head = (
        f"POST /webhook HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-github-event: issues\r\n"
        f"x-github-delivery: bench-{next(numbers)}\r\nx-hub-signature-256: {SIGNED}\r\n"
        f"content-length: {len(PAYLOAD)}\r\n\r\n"
    )
    return head.encode() + PAYLOAD


def same(numbers: "count[int]") -> bytes:
    """The first page of tasks, always the same."""
    return b"GET /api/tasks?limit=50 HTTP/1.1\r\nhost: localhost\r\n\r\n"


def other(numbers: "count[int]") -> bytes:
    """The first page of tasks, asked in words that nobody remembers: as after a write."""
    return f"GET /api/tasks?limit=50&n={next(numbers)} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()


class Caller(asyncio.Protocol):
    """One connection. `make` makes the next request; times go to `times`."""

    def __init__(self, make: Callable[[], bytes], times: list[float], wrong: list[bytes]) -> None:
        self.make, self.times, self.wrong = make, times, wrong
        self.left = -1
        self.head = b""
        self.ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.make())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self.left < 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = int(self.head[: end + 2].lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
            self.left, data = length, self.head[end + 4 :]
            if self.head[9:10] != b"2":
                self.wrong.append(self.head)
            self.head = b""
        self.left -= len(data)
        if self.left == 0:
            self.left = -1
            self.times.append(time.perf_counter() - self.began)
            if self.ending:
                self.transport.close()
            else:
                self._ask()


def load(port: int, request: Callable[["count[int]"], bytes], seconds: float, first: int = 0) -> Answered:
    """Ask for so many seconds. `first` keeps the deliveries of several runs apart."""
    times: list[float] = []
    wrong: list[bytes] = []
    numbers = count(first)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        made = [await loop.create_connection(lambda: Caller(lambda: request(numbers), times, wrong), "127.0.0.1", port)
                for _ in range(CONNECTIONS)]  # fmt: skip
        await asyncio.sleep(seconds)
        for _, caller in made:
            caller.ending = True
        await asyncio.sleep(0.2)

    asyncio.run(run())
    return Answered(len(times) / seconds, 1000 * quantiles(times, n=100)[98], len(wrong))
