"""A service that really runs: uvicorn on loopback in a thread, beside a real hub; and a client that speaks to it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from runner.host import site_at
from webhook.app import create_app
from webhook.front import Front
from webhook.options import Options

WRITE, READ, SECRET, OTHER = "w" * 24, "r" * 24, "s" * 24, "t" * 24


class Service:
    """A running service: `client` carries the writing token, `log` is what it said."""

    def __init__(self, front: Front, url: str, log: list[dict[str, Any]]) -> None:
        self.front = front
        self.url = url
        self.log = log
        self.client = httpx.Client(base_url=url, headers={"authorization": f"Bearer {WRITE}"}, timeout=60)
        self.stranger = httpx.Client(base_url=url, timeout=60)

    def cookie(self, token: str) -> str:
        """What a browser sends that came in with `token`, also through a proxy that tells no port."""
        port, session = self.url.rpartition(":")[2], self.front.sessions.begin(token)
        return f"pullwright-{port}={session}; pullwright={session}"

    def faults(self) -> list[dict[str, Any]]:
        """What went wrong in the background."""
        return [line for line in self.log if line["what"] in ("look failed", "fault")]


@contextmanager
def serving(folder: Path, **more: Any) -> Iterator[Service]:
    """Serve the repository around `folder`, ready to be asked."""
    options = Options(site_at(folder), writers=(WRITE,), readers=(READ,), secrets=(SECRET, OTHER), poll=0.3)
    log: list[dict[str, Any]] = []
    front = create_app(replace(options, **more), lambda what, **rest: log.append({"what": what, **rest}))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(front, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    service = Service(front, f"http://127.0.0.1:{listener.getsockname()[1]}", log)
    try:
        until(lambda: service.stranger.get("/readyz").status_code == 200, log)
        yield service
    finally:
        front.inner.state.room.ending = True
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()
        service.client.close()
        service.stranger.close()
        listener.close()


def until(true: Callable[[], bool], what: object = "", seconds: float = 60) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)
