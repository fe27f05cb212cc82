"""The ways out of a sandbox: none, an exact list of package hosts, or what the operator opened."""

import http.server
import io
import socket
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner.sandbox import Command, Mount, Network, Result
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.indexes import combine, configured, configured_registry_hosts, parse
from runner.sandbox.registry import Proxy, Target, connect_to, is_public, permitted, targets


class Listener:
    """A TCP server on loopback that greets and counts who came."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.seen = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.seen += 1
            with client:
                client.sendall(b"greetings")

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)  # a thread left in accept would go on with whatever gets the number
        self._server.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.close()


def ask(proxy: Proxy, request: bytes) -> bytes:
    """What the proxy answers to raw bytes."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(proxy.socket))
        client.sendall(request)
        answer = b""
        while chunk := client.recv(4096):
            answer += chunk
        return answer


def connect(place: str) -> bytes:
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode("latin-1")


# The proxy


def test_a_listed_place_is_reached(listener: Listener) -> None:
    place = f"127.0.0.1:{listener.port}"
    answer = ask(Proxy((place,)), connect(place))
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"greetings")


@pytest.mark.parametrize(
    "line",
    [
        b"CONNECT other.example:443 HTTP/1.1",
        b"CONNECT files.example:22 HTTP/1.1",
        b"CONNECT 127.0.0.1:443 HTTP/1.1",
        b"CONNECT 169.254.169.254:443 HTTP/1.1",
        b"CONNECT files.example\x00.evil.example:443 HTTP/1.1",
        b"CONNECT user@files.example:443 HTTP/1.1",
        b"CONNECT FILES.example:443 HTTP/1.1",
        b"CONNECT files.example.:443 HTTP/1.1",
        b"CONNECT [::1]:443 HTTP/1.1",
        b"CONNECT 0x7f000001:443 HTTP/1.1",
        b"CONNECT files.example:0443 HTTP/1.1",
        b"CONNECT files.example:443 HTTP/1.1\nX: y",
        b"CONNECT files.example :443 HTTP/1.1",
        b"CONNECT files.example:443 HTTP/2",
        b"GET http://files.example/ HTTP/1.1",
        b"GET / HTTP/1.1",
        b"",
        "CONNECT filеs.example:443 HTTP/1.1".encode(),  # a Cyrillic letter
    ],
)
def test_every_other_form_is_refused(line: bytes) -> None:
    assert permitted(line, targets(("files.example",))) is None
    proxy = Proxy(("files.example",), next_proxy=lambda _: "http://127.0.0.1:1")
    assert ask(proxy, line + b"\r\n\r\n").startswith(b"HTTP/1.1 403")


def test_the_listed_form_passes() -> None:
    found = permitted(b"CONNECT files.example:443 HTTP/1.1", targets(("files.example",)))
    assert found is not None and (found.host, found.port, found.private) == ("files.example", 443, False)


def test_a_listed_name_that_leads_to_a_private_address_is_not_followed(listener: Listener) -> None:
    with connect_to(Target("localhost", listener.port, private=True)) as server:
        assert server.recv(9) == b"greetings"
    with pytest.raises(OSError, match="localhost has no public address"):
        connect_to(Target("localhost", listener.port, private=False))
    assert ask(Proxy(("localhost",)), connect("localhost:443")).startswith(b"HTTP/1.1 502")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700:4700::1111", True),
        ("203.0.113.9", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::101:101", True),
        ("2002:7f00:1::", False),
    ],
)
def test_what_counts_as_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("host", ["", "Files.example", "a b", "https://files.example", "files.example/", "[::1]:443"])
def test_a_host_of_another_form_is_refused_at_once(host: str) -> None:
    with pytest.raises(ValueError, match="is not a lower-case host name"):
        targets((host,))


def test_a_request_that_never_ends_is_dropped() -> None:
    assert ask(Proxy(("files.example",)), b"CONNECT " + b"a" * (8192 - len("CONNECT "))).startswith(b"HTTP/1.1 403")


def test_the_next_proxy_is_asked_for_the_same_place(listener: Listener) -> None:
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            heard.append(client.recv(4096))
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            client.sendall(b"beyond")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        upstream = f"http://me:p%40ss@127.0.0.1:{server.getsockname()[1]}"
        answer = ask(Proxy(("files.example",), next_proxy=lambda _: upstream), connect("files.example:443"))
    assert answer.endswith(b"beyond")
    assert heard[0].startswith(b"CONNECT files.example:443 HTTP/1.1\r\n") and b"Basic bWU6cEBzcw==" in heard[0]


def test_a_closed_proxy_leaves_nothing() -> None:
    proxy = Proxy(("files.example",))
    assert proxy.answers()
    proxy.close()
    assert not proxy.answers() and not proxy.socket.parent.exists()


# Commands


@pytest.fixture
def run(tmp_path: Path, listener: Listener) -> Callable[..., Result]:
    sandbox = Bubblewrap(registry_hosts=(f"127.0.0.1:{listener.port}",))
    (tmp_path / "src").mkdir()

    def run(line: str, network: Network) -> Result:
        mounts = (Mount(tmp_path / "src", "/workspace/src", True),)
        return sandbox.run(Command(("bash", "-c", line), mounts, network=network))

    return run


DIRECT = "exec 3<>/dev/tcp/127.0.0.1/{port} && cat <&3"
THROUGH = "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3"


@pytest.mark.parametrize("network", ["none", "registry", "open"])
def test_only_an_open_network_reaches_the_host(run: Callable[..., Result], listener: Listener, network: str) -> None:
    result = run(DIRECT.format(port=listener.port), network)
    assert ("greetings" in result.text, listener.seen) == ((True, 1) if network == "open" else (False, 0))


@pytest.mark.parametrize(("network", "reached"), [("none", False), ("registry", True)])
def test_only_the_registry_network_has_the_proxy(
    run: Callable[..., Result], listener: Listener, network: str, reached: bool
) -> None:
    result = run(THROUGH.format(port=listener.port), network)
    assert ("greetings" in result.text) is reached
    assert bool(listener.seen) is reached


def test_a_loopback_of_its_own_works(run: Callable[..., Result]) -> None:
    program = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    assert run(f'python3 -c "{program}"', "none").ok


def test_the_command_behind_the_relay_is_the_command(run: Callable[..., Result]) -> None:
    result = run("echo out; echo err >&2; cat; exit 7", "registry")
    assert (result.exit, result.text) == (7, "out\nerr\n")


def test_a_command_is_refused_when_the_proxy_is_gone(tmp_path: Path) -> None:
    sandbox = Bubblewrap(registry_hosts=("files.example",))
    command = Command(("touch", "f"), (Mount(tmp_path, "/workspace/src", True),), network="registry")
    assert sandbox.run(command).ok
    (tmp_path / "f").unlink()
    proxy = sandbox._egress._proxy
    assert proxy is not None
    proxy.close()
    result = sandbox.run(command)
    assert result.ending == "failed" and "proxy does not answer" in result.text
    assert not (tmp_path / "f").exists()


# pip


def wheel() -> bytes:
    """The smallest package there is."""
    data = io.BytesIO()
    info = "walled-1.0.dist-info"
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("walled.py", "answer = 42\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: walled\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "walled.py,,\n")
    return data.getvalue()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """An index server with TLS on loopback; yields its host and port. Its certificate is `tmp_path/cert.pem`."""
    page = tmp_path / "www/simple/walled"
    page.mkdir(parents=True)
    (page / "walled-1.0-py3-none-any.whl").write_bytes(wheel())
    (page / "index.html").write_text('<a href="walled-1.0-py3-none-any.whl">walled-1.0-py3-none-any.whl</a>')
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*words.split(), "-keyout", key, "-out", cert], check=True, capture_output=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path / "www"))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_pip_installs_through_the_proxy(tmp_path: Path, index: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "certs").mkdir()
    (tmp_path / "cert.pem").rename(tmp_path / "certs/cert.pem")
    mounts = (Mount(tmp_path / "src", "/workspace/src", True), Mount(tmp_path / "certs", "/certs"))
    env = {
        "PIP_INDEX_URL": f"https://{index}/simple",
        **dict.fromkeys(("PIP_CERT", "REQUESTS_CA_BUNDLE"), "/certs/cert.pem"),
    }
    env |= {
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_DEFAULT_TIMEOUT": "60",
        "NO_PROXY": "",
        "no_proxy": "",
    }
    install = "python3 -m pip install -q --target lib walled"
    use = "PYTHONPATH=lib python3 -c 'import walled; print(walled.answer)'"
    for network, found in (("registry", True), ("none", False)):
        command = Command(("bash", "-c", f"{install} && {use}"), mounts, env=env, network=network)  # type: ignore[arg-type]
        result = Bubblewrap(registry_hosts=(index,)).run(command)
        assert ("42" in result.text, result.ok) == (found, found), result.text
        subprocess.run(["rm", "-rf", tmp_path / "src/lib"], check=True)


BUILT_IN = ("index.example", "files.example")
LISTING = """\
:env:.cert='/certs/own.pem'
global.index-url='https://me:secret@mirror.example:8443/simple'
global.extra-index-url='file:///srv/packages/simple\\nhttps://other.example/simple'
global.cert='/certs/old.pem'
install.find-links='/srv/wheels'
freeze.timeout='10'
"""


def test_pips_own_settings_say_what_is_reached_and_shown(tmp_path: Path) -> None:
    for folder in ("wheels", "packages/simple"):
        (tmp_path / folder).mkdir(parents=True)
    found = combine(parse(LISTING.replace("/srv", str(tmp_path))), BUILT_IN, {}, Path("/home/me"))
    assert found.hosts == ("mirror.example:8443", "other.example:443", "files.example")
    assert found.folders == (tmp_path / "packages", tmp_path / "wheels")
    assert found.env["PIP_CERT"] == "/certs/own.pem"
    assert found.env["PIP_INDEX_URL"] == "https://mirror.example:8443/simple", "no secret goes inside"
    assert "PIP_TIMEOUT" not in found.env


def test_without_settings_pips_own_hosts_count() -> None:
    assert combine({}, BUILT_IN, {}, Path("/home/me")).hosts == (
        "index.example",
        "files.example",
    )
    assert combine({"no-index": "true"}, BUILT_IN, {}, Path("/home/me")).hosts == ()


def test_no_folder_is_shown_that_holds_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home/me"
    (home / "simple").mkdir(parents=True)
    settings = {"find-links": f"{tmp_path}/home {home}", "extra-index-url": f"file://{home}/simple"}
    assert combine(settings, (), {}, home).folders == (home / "simple",)


def test_pip_here_says_its_hosts() -> None:
    hosts = configured_registry_hosts()
    assert hosts and targets(hosts)
    assert configured() is configured()


def test_without_pip_and_without_hosts_the_person_is_asked(tmp_path: Path) -> None:
    program = """
import sys
from runner.errors import UserError
from runner.sandbox.egress import Egress
sys.executable = sys._base_executable = "/bin/false"
try:
    Egress(()).prepare("registry")
except UserError as error:
    print(error)
print(Egress(("files.example",)).prepare("registry")[1]["HTTPS_PROXY"])
"""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert "policy.registry" in done.stdout and "127.0.0.1:3128" in done.stdout
