"""An index of packages on loopback with TLS, and pip on this host configured for it."""

import http.server
import io
import ssl
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from web_parts import certificate

from runner.sandbox.indexes import configured


def wheel(name: str = "walled", version: str = "1.0", code: str = "answer = 42\n", needs: str = "") -> bytes:
    """A small package of one module."""
    data, info = io.BytesIO(), f"{name}-{version}.dist-info"
    requires = f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(data, "w") as file:
        file.writestr(f"{name}.py", code)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n")
    return data.getvalue()


class Index:
    """What the index has, and which paths were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, list[str]()

    def add(self, name: str, file: str, data: bytes) -> None:
        page = self.folder / "simple" / name
        page.mkdir(parents=True, exist_ok=True)
        (page / file).write_bytes(data)
        names = [each.name for each in page.iterdir() if each.name != "index.html"]
        (page / "index.html").write_text("".join(f'<a href="{each}">{each}</a>' for each in names))


@contextmanager
def package_index(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The index runs, and pip here knows no other until the end."""
    (folder / "www" / "simple").mkdir(parents=True)
    index, files = Index(folder / "www"), certificate(folder, "localhost")

    class Requests(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(index.folder))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            index.asked.append(self.path)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    with http.server.ThreadingHTTPServer(("127.0.0.2", 0), Requests) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        patch.setenv("PIP_CONFIG_FILE", "/dev/null")
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY", "https_proxy"):
            patch.delenv(name, raising=False)
        patch.setenv("PIP_INDEX_URL", f"https://127.0.0.2:{server.server_port}/simple")
        for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            patch.setenv(name, str(files.ca))
        configured.cache_clear()
        try:
            yield index
        finally:
            configured.cache_clear()
            server.shutdown()
