"""Whoever opens connections and asks for nothing takes none away from others for long."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from webhook.patience import Patient


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """An application that says how it was asked, once it knows."""
    assert scope["type"] == "http"
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Hasty(Patient):
    patience = 0.2


@pytest.fixture(scope="module")
def hasty() -> Iterator[tuple[str, int]]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(answers, http=Hasty, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()
    server.should_exit = True
    thread.join(20)
    listener.close()


ASKED = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nhost: x\r\nx-more: ", ASKED, ASKED + b"GET / HTT"])
def test_a_connection_on_which_no_request_comes_is_let_go(hasty: tuple[str, int], said: bytes) -> None:
    with socket.create_connection(hasty, timeout=60) as line:
        line.sendall(said)
        heard = b"".join(iter(lambda: line.recv(1000), b""))  # until the server hangs up
    assert heard.startswith(b"HTTP/1.1 200" if ASKED in said else b"")


def test_a_request_that_has_begun_may_take_its_time(hasty: tuple[str, int]) -> None:
    with socket.create_connection(hasty, timeout=60) as line, socket.create_connection(hasty, timeout=60) as other:
        line.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n")
        assert other.recv(1) == b""  # so long has it taken by now
        with socket.create_connection(hasty, timeout=60) as third:
            assert third.recv(1) == b""
        line.sendall(b"body")
        assert line.recv(1000).startswith(b"HTTP/1.1 200")
