"""The only way out of a sandbox with `network="registry"`: a proxy on a Unix socket that knows an exact list of hosts.

It accepts nothing but `CONNECT host:port`, matched as bytes before anything is resolved, since lists that the proxy and
the resolver read differently have let traffic out elsewhere (a NUL in the name, a trailing dot, other notations of an
address). What a package name in a URL says to the registry itself remains a narrow channel outwards.
"""

import base64
import contextlib
import ipaddress
import re
import selectors
import shutil
import socket
import tempfile
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

_CONNECT = re.compile(rb"CONNECT ([a-z0-9.-]{1,253}):([0-9]{1,5}) HTTP/1\.[01]")
# RFC 5737: nobody's private network. Sites that put a mirror in the place of public hosts answer from there.
_DOCUMENTATION = tuple(map(ipaddress.IPv4Network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HEADER = 8192
_PATIENCE = 30.0  # seconds for a request line, a connection, an answer of the next proxy
_IDLE = 300.0
_AT_ONCE = 64


class Target(NamedTuple):
    """A permitted destination. `private`: named with its port by the operator, so it may be on a private network."""

    host: str
    port: int
    private: bool


def targets(hosts: tuple[str, ...]) -> tuple[Target, ...]:
    """`host` (port 443, public addresses only) or `host:port` (any address) → targets; `ValueError` for other forms."""
    found = []
    for word in hosts:
        host, colon, port = word.partition(":")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", host) or not (not colon or port.isdecimal()):
            raise ValueError(f"{word!r} is not a lower-case host name, or one with a port")
        found.append(Target(host, int(port or 443), bool(colon)))
    return tuple(found)


def permitted(line: bytes, allowed: tuple[Target, ...]) -> Target | None:
    """The target that a request line names, if it is exactly one of `allowed`."""
    match = _CONNECT.fullmatch(line)
    if match is None:
        return None
    named = (match[1].decode("ascii"), match[2].decode("ascii"))
    return next((target for target in allowed if named == (target.host, str(target.port))), None)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, whatever form it is wrapped in."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
    elif any(ip in network for network in _DOCUMENTATION):
        return True
    return ip.is_global and not ip.is_multicast


class Proxy:
    """Listens on `socket` from its making on; ends with `close` or when nobody holds it any more."""

    def __init__(self, hosts: tuple[str, ...], *, next_proxy: Callable[[str], str | None] | None = None) -> None:
        """`next_proxy` gives the URL of the proxy through which a host is reached, None for none."""
        folder = tempfile.mkdtemp(prefix="pullwright-proxy-")
        self.socket = Path(folder, "proxy.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        self.socket.chmod(0o666)  # the folder is ours alone; inside, the sandbox's user has to write to it
        listener.listen(_AT_ONCE)
        handler = _Handler(targets(hosts), next_proxy or _environment_proxy)
        threading.Thread(target=_accept, args=(listener, handler), name="registry-proxy", daemon=True).start()
        self.close = weakref.finalize(self, _close, listener, folder)

    def answers(self) -> bool:
        """Whether somebody is listening."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            with contextlib.suppress(OSError):
                probe.connect(str(self.socket))
                return True
        return False


def _close(listener: socket.socket, folder: str) -> None:
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which a close alone would not
    listener.close()
    shutil.rmtree(folder, ignore_errors=True)


def _accept(listener: socket.socket, handler: "_Handler") -> None:
    free = threading.BoundedSemaphore(_AT_ONCE)

    def serve(client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError):
                handler.serve(client)
        finally:
            free.release()

    while True:
        free.acquire()  # before accepting, so that a flood of connections waits in the kernel and not in threads
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(client,), daemon=True).start()


class _Handler:
    """One connection: read the request, find out whether it may pass, connect, copy."""

    def __init__(self, allowed: tuple[Target, ...], next_proxy: Callable[[str], str | None]) -> None:
        self._allowed, self._next_proxy = allowed, next_proxy

    def serve(self, client: socket.socket) -> None:
        client.settimeout(_PATIENCE)
        header = _header(client)
        target = None if header is None else permitted(header.split(b"\r\n", 1)[0], self._allowed)
        if target is None:
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        try:
            server = self._connect(target)
        except OSError:
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        with server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _copy(client, server)

    def _connect(self, target: Target) -> socket.socket:
        if proxy := self._next_proxy(target.host):
            return _through(urlsplit(proxy), target)
        return connect_to(target)


def _header(peer: socket.socket) -> bytes | None:
    """A header up to the empty line; None when there is none in time or in bounds.

    Byte by byte, so that what follows it stays in the socket for whoever it is meant for.
    """
    deadline, data = time.monotonic() + _PATIENCE, b""
    while not data.endswith(b"\r\n\r\n"):
        byte = peer.recv(1) if time.monotonic() < deadline and len(data) < _HEADER else b""
        data += byte
        if not byte:
            return None
    return data


def connect_to(target: Target) -> socket.socket:
    """A connection to the very address that was looked at; a second look-up could answer otherwise (DNS rebinding).

    Raises `OSError` when no address may be used or answers.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    failure = OSError(f"{target.host} has no public address")
    for family, kind, number, _, address in found:
        if not (target.private or is_public(str(address[0]))):
            continue
        server = socket.socket(family, kind, number)
        server.settimeout(_PATIENCE)
        try:
            server.connect(address)
            return server
        except OSError as error:
            server.close()
            failure = error
    raise failure


def _through(proxy: SplitResult, target: Target) -> socket.socket:
    """Ask the next proxy for the same; it resolves the name, which is one of the exact list."""
    server = socket.create_connection((proxy.hostname or "", proxy.port or 80), timeout=_PATIENCE)
    place = f"{target.host}:{target.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.username:
        name = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(name.encode()).decode()}")
    server.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = _header(server)
    if answer is None or not re.match(rb"HTTP/1\.[01] 200\b", answer):
        server.close()
        raise OSError(f"the proxy {proxy.hostname} refused {place}")
    return server


def _environment_proxy(host: str) -> str | None:
    """The proxy of our own environment (HTTPS_PROXY, NO_PROXY)."""
    from urllib.request import getproxies, proxy_bypass

    proxy = getproxies().get("https")
    return proxy if proxy and not proxy_bypass(host) else None


def _copy(client: socket.socket, server: socket.socket) -> None:
    """Copy both ways until both sides ended or nothing came for a while."""
    other = {client: server, server: client}
    with selectors.DefaultSelector() as selector:
        for side in other:
            selector.register(side, selectors.EVENT_READ)
        while selector.get_map() and (ready := selector.select(_IDLE)):
            for side in (client, server):
                if any(key.fileobj is side for key, _ in ready) and not _pass_on(side, other[side]):
                    selector.unregister(side)


def _pass_on(source: socket.socket, target: socket.socket) -> bool:
    """Copy what is there; at the end of `source` say so to `target` and answer False."""
    chunk = source.recv(1 << 16)
    if chunk:
        target.sendall(chunk)
    else:
        target.shutdown(socket.SHUT_WR)
    return bool(chunk)
