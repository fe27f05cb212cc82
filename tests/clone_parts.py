"""A Git server with TLS on loopback, in the place of github.com: what is cloned comes from there."""

import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from fake_github import git_http
from web_parts import certificate

from runner.sandbox import Cloning
from runner.sandbox.bubblewrap import Bubblewrap


class GitServer(NamedTuple):
    """`folder` holds its repositories; `cloning` reaches it alone; who believes in `ca` believes in it."""

    folder: Path
    cloning: Cloning
    seen: list[dict[str, str]]
    ca: Path


@contextmanager
def git_server(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    """It serves until the end, and the environment names its certificate."""
    folder, seen, files = place / "served", list[dict[str, str]](), certificate(place, "localhost")

    class Requests(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # with the older one TLS would not be ended properly

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("content-length") or 0)))

        def _serve(self, body: bytes) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            seen.append({"path": self.path, **headers})
            path, _, query = self.path.partition("?")
            answer = git_http.serve(folder, self.command, path, query, headers, body, {})
            head, _, rest = answer.partition(b"\r\n\r\n")
            lines = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(lines.pop("Status", "200").split()[0]))
            for key, value in (lines | {"Content-Length": str(len(rest))}).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(rest)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    from runner.sandbox.indexes import configured

    configured.cache_clear()
    with http.server.ThreadingHTTPServer(("127.0.0.2", 0), Requests) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        threading.Thread(target=listening.serve_forever, args=(0.05,), daemon=True).start()
        at = f"127.0.0.2:{listening.server_port}"
        try:
            yield GitServer(folder, Cloning(Bubblewrap(registry_hosts=(at,)), f"https://{at}"), seen, files.ca)
        finally:
            configured.cache_clear()
            listening.shutdown()


def publish(server: GitServer, name: str, source: Path) -> None:
    server.folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "-q", "--bare", source, server.folder / f"{name}.git"], check=True)
