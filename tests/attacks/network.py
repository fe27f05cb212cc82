"""Attacks over the network, and over what is no network to a network namespace."""

import socket
import time

import pytest

from attacks.scene import Attack, Prepared, Scene, on_the_host_as_root, said, with_network, without
from runner.sandbox import Command, Result
from runner.sandbox.bubblewrap import Bubblewrap


def _heard(scene: Scene, _: Result) -> bool:
    return scene.heard > 0


def _listening(scene: Scene) -> Prepared:
    return {"port": scene.listen(socket.AF_INET, ("127.0.0.1", 0)).getsockname()[1]}


def _listening_six(scene: Scene) -> Prepared:
    return {"port": scene.listen(socket.AF_INET6, ("::1", 0)).getsockname()[1]}


def _ollama(scene: Scene) -> Prepared:
    deadline = time.monotonic() + 3  # another test beside this one may have the port for a moment
    while True:
        try:
            scene.listen(socket.AF_INET, ("127.0.0.1", 11434))
            return {}
        except OSError:
            if time.monotonic() > deadline:
                pytest.skip("something of this host listens on 11434 already")
            time.sleep(0.05)


def _abstract(scene: Scene) -> Prepared:
    name = f"pullwright-test-{id(scene)}"
    scene.listen(socket.AF_UNIX, "\0" + name)
    return {"socket": name}


def _listed(scene: Scene, command: Command) -> Result:
    port = command.argv[-1].partition("127.0.0.1:")[2].partition(" ")[0]
    return Bubblewrap(registry_hosts=(f"127.0.0.1:{port}",)).run(command)


def python(program: str) -> str:
    """A line that runs a program given without single quotes."""
    assert "'" not in program
    return f"python3 -c '{program}'"


FAMILIES = """
import socket
for family in (40, 17, 38, 31):
    try:
        socket.socket(family, socket.SOCK_RAW if family == 17 else socket.SOCK_SEQPACKET if family == 38 else 1)
        print("opened", family)
    except OSError as error:
        print(error)
"""
RAW = """
import socket
try:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    print("opened")
except OSError as error:
    print(error)
"""
# A datagram socket that is connected asks for a route and sends nothing.
ROUTE = """
import socket
for address in ("192.0.2.1", "169.254.169.254"):
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect((address, 80))
        print("there is a way")
    except OSError as error:
        print(error)
"""
URING = """
import ctypes
print("ring" if ctypes.CDLL(None, use_errno=True).syscall(425, 2, ctypes.create_string_buffer(120)) >= 0 else "none")
"""
ABSTRACT = """
import socket
socket.socket(socket.AF_UNIX).connect("\\0{socket}")
"""
TUNNEL = "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3"
PIP = "python3 -m pip download -q --no-deps --retries 0 --timeout 2"
LINE = f"echo '--index-url http://127.0.0.1:{{port}}/simple' > r.txt; echo walled >> r.txt; {PIP} -r r.txt"
OWN = "printf '[global]\\nindex-url = http://127.0.0.1:{port}/\\n' > pip.conf"
INDEX = f"{OWN}; PIP_CONFIG_FILE=pip.conf {PIP} walled"

ATTACKS = (
    Attack(30, "host-tcp", "exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3", _heard, with_network, _listening),
    Attack(30, "host-tcp-six", "exec 3<>/dev/tcp/::1/{port}; cat <&3", _heard, with_network, _listening_six),
    Attack(31, "ollama-port", "exec 3<>/dev/tcp/127.0.0.1/11434; cat <&3", _heard, with_network, _ollama),
    Attack(32, "internet-metadata", python(ROUTE), said("there is a way"), with_network),
    Attack(33, "abstract-socket", python(ABSTRACT), _heard, with_network, _abstract),
    Attack(35, "families", python(FAMILIES), said("opened"), without("--seccomp")),
    Attack(
        36,
        "raw-socket",
        python(RAW),
        said("opened"),
        on_the_host_as_root,
    ),
    Attack(37, "io-uring", python(URING), said("ring"), without("--seccomp")),
    Attack(38, "interface", "tail -n +3 /proc/net/dev | grep -v lo: && echo another", said("another"), with_network),
    Attack(39, "proxy-other-place", TUNNEL, _heard, _listed, _listening, network="registry"),
    Attack(
        39,
        "around-the-proxy",
        "exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3",
        _heard,
        with_network,
        _listening,
        network="registry",
    ),
    Attack(82, "requirements-line", LINE, _heard, with_network, _listening, network="registry"),
    Attack(84, "own-index", INDEX, _heard, with_network, _listening, network="registry"),
)
