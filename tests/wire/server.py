"""A real HTTP server on loopback that says what a test wrote down."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self


class Answer(NamedTuple):
    """`chunks` are sent one by one after `pause` seconds; `cut` closes the connection before the reply's end."""

    chunks: Iterable[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = {}
    pause: float = 0.0
    cut: bool = False


class Asked(NamedTuple):
    """A request as it arrived; `body` is its JSON, `connection` the client's port."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    connection: int = 0


Route = Callable[[Asked], Answer]


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An ordinary JSON answer."""
    kinds = {"Content-Type": "application/json", **(headers or {})}
    return Answer((json.dumps(value).encode(),), status, kinds)


class ScriptedServer:
    """Answers `script` in order to POSTs of `chat_path`, and `routes` to everything else. A context manager."""

    def __init__(self, script: Sequence[Answer], chat_path: str, routes: Mapping[tuple[str, str], Route]) -> None:
        self.requests: list[Asked] = []
        self._script = list(script)
        self._chat_path = chat_path
        self._routes = routes
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def chats(self) -> list[Any]:
        """The bodies of the requests to the chat path, in order."""
        return [asked.body for asked in self.requests if asked.path == self._chat_path]

    def answer(self, asked: Asked) -> Answer:
        """What the script says to one request."""
        with self._lock:
            self.requests.append(asked)
            if asked.path == self._chat_path:
                return self._script.pop(0) if self._script else as_json({"error": "the script is at its end"}, 418)
        route = self._routes.get((asked.method, asked.path))
        return route(asked) if route else as_json({"error": "404 page not found"}, 404)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(script: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 0
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(size)
            if len(data) < size:  # the client was killed: nobody answers half a question
                self.close_connection = True
                return
            headers = {key.lower(): value for key, value in self.headers.items()}
            body = json.loads(data) if data else None
            answer = script.answer(Asked(self.command, self.path, headers, body, self.client_address[1]))
            time.sleep(answer.pause)
            try:
                self._send(answer)
            except OSError:
                # The client went away, which several tests are about.
                self.close_connection = True

        def _send(self, answer: Answer) -> None:
            self.send_response_only(answer.status)
            for key, value in answer.headers.items():
                self.send_header(key, value)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for chunk in answer.chunks:
                self.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            if answer.cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = _serve

        def log_message(self, *_: object) -> None:
            """Tests read `requests`, not a log."""

    return Handler
