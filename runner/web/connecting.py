"""Connections to the public internet alone, to the very address that was looked at, and none longer than its time.

An address is checked at the moment of connecting, for every redirect anew, so that no name that answers otherwise the
second time (DNS rebinding) leads to this host or its network.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore

from runner.sandbox.registry import is_public

Resolve = Callable[[str, int], list[str]]


class NotPublic(Exception):
    """A name that leads nowhere on the public internet."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host as the system knows them. Raises `OSError`."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class PublicOnly(httpcore.NetworkBackend):
    """Connects to public addresses until `deadline` (monotonic seconds); `allowed` (`host:port`) may be private."""

    def __init__(self, deadline: float, allowed: frozenset[str], resolve: Resolve) -> None:
        self._deadline, self._allowed, self._resolve = deadline, allowed, resolve
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of `host` that answers. Raises `NotPublic`."""
        failure: Exception = NotPublic(f"{host} is not on the public internet")
        for address in self._addresses(host, port):
            try:
                stream = self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
                return _Timed(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            found = self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address") from error
        if f"{host}:{port}" in self._allowed:
            return found
        return [address for address in found if _public(address)]


def _public(address: str) -> bool:
    try:
        return is_public(str(ipaddress.ip_address(address)))
    except ValueError:
        return False  # with a zone, as fe80::1%eth0


class _Timed(httpcore.NetworkStream):
    """A connection that ends at its deadline, however slowly its bytes drip."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, self._left(timeout)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time is up")
        return left if timeout is None else min(timeout, left)
