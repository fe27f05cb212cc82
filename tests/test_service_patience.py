"""Whoever opens connections and asks for nothing, or for half of something, takes none away from others for long."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from service.running import until

from webhook.patience import Patient

ASKED = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Answers:
    """An application that answers what was sent, once all of it is there, and once it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()
        self.heard = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
            self.heard = len(body)
        await asyncio.to_thread(self.may.wait, 60)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


class Served:
    """A server whose looks come when the test says so."""

    def __init__(self, app: Answers, server: uvicorn.Server, address: tuple[str, int]) -> None:
        self.app = app
        self.connections = server.server_state.connections
        self.address = address

    def connect(self) -> socket.socket:
        before = len(self.connections)
        line = socket.create_connection(self.address, timeout=60)
        until(lambda: len(self.connections) > before, seconds=60)
        return line

    def look(self) -> None:
        """One look at the only connection."""
        (connection,) = self.connections
        assert isinstance(connection, Patient)

        async def look() -> None:
            connection.look()

        asyncio.run_coroutine_threadsafe(look(), connection.loop).result(60)

    def answers(self) -> bool:
        """Whether a request has come that is not answered yet."""
        return any(isinstance(each, Patient) and each.cycle is not None for each in self.connections)


def hung_up(line: socket.socket) -> bool:
    """Whether the server lets go, also with something unread."""
    try:
        return line.recv(1000) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def served() -> Iterator[Served]:
    listener = socket.create_server(("127.0.0.1", 0))
    app = Answers()
    server = uvicorn.Server(uvicorn.Config(app, http=Patient, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield Served(app, server, listener.getsockname())
    server.should_exit = True
    thread.join(60)
    listener.close()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nhost: x\r\nx-more: "])
def test_a_connection_on_which_no_request_comes_is_let_go(served: Served, said: bytes) -> None:
    with served.connect() as line:
        line.sendall(said)
        served.look()
        assert hung_up(line)


@pytest.mark.parametrize("rest", [b"", b"GET / HTT"])
def test_one_whose_next_request_does_not_come_is_let_go_later(served: Served, rest: bytes) -> None:
    with served.connect() as line:
        for _ in range(2):
            line.sendall(ASKED)
            assert line.recv(1000).startswith(b"HTTP/1.1 200")
            served.look()
        line.sendall(rest)
        served.look()
        assert hung_up(line)


def test_a_request_whose_body_comes_slowly_may_take_its_time(served: Served) -> None:
    with served.connect() as line:
        line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n")
        until(served.answers, seconds=60)
        served.look()
        for number, piece in enumerate((b"b", b"o", b"d", b"y"), 1):
            line.sendall(piece)
            until(lambda: served.app.heard == number, seconds=60)  # noqa: B023
            served.look()
        line.sendall(b".")
        assert line.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_request_whose_body_stops_coming_is_let_go(served: Served) -> None:
    with served.connect() as line:
        line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nbo")
        until(lambda: served.answers() and served.app.heard == 2, seconds=60)
        for _ in range(2):
            served.look()
        assert hung_up(line)


def test_one_that_is_being_answered_is_waited_for_however_long_it_takes(served: Served) -> None:
    with served.connect() as line:
        served.app.may.clear()
        line.sendall(ASKED)
        until(served.answers, seconds=60)
        for _ in range(3):
            served.look()
        served.app.may.set()
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
