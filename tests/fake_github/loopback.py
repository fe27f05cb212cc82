"""HTTP on loopback: bytes in, and a reply out again."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit


class Reply(NamedTuple):
    """What goes back: status, headers, body; `cut`: the connection is closed instead."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool = False


Answerer = Callable[[str, SplitResult, dict[str, str], bytes], Reply]
"""Method, address, headers (names in lower case) and body → what goes back."""


def handler(answer: Answerer) -> type[BaseHTTPRequestHandler]:
    """What a `ThreadingHTTPServer` is made with."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            try:
                reply = answer(self.command, urlsplit(self.path), headers, self._body(headers))
                self.close_connection |= reply.cut
                if not reply.cut:
                    self._send(reply)
            except (ConnectionError, TimeoutError):
                self.close_connection = True  # the client was killed, which is what some tests are about

        def _body(self, headers: dict[str, str]) -> bytes:
            """What was sent. Raises `ConnectionError` where the client went before all of it was."""
            if headers.get("transfer-encoding") != "chunked":
                return self._exactly(int(headers.get("content-length") or 0))
            data = b""
            while size := int(self._line().split(b";")[0], 16):
                data += self._exactly(size)
                self._line()
            self._line()
            return data

        def _exactly(self, size: int) -> bytes:
            data = self.rfile.read(size)
            if len(data) < size:
                raise ConnectionAbortedError("the client is gone")
            return data

        def _line(self) -> bytes:
            line = self.rfile.readline()
            if not line.endswith(b"\n"):
                raise ConnectionAbortedError("the client is gone")
            return line

        def _send(self, reply: Reply) -> None:
            self.send_response_only(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            """Tests read `FakeGitHub.seen`, not a log."""

    return Handler
