"""What a command's network means: the mounts and variables that go with it."""

import os
import threading
from pathlib import Path

from runner.errors import UserError
from runner.sandbox import Mount, Network, flags
from runner.sandbox.indexes import Indexes, configured
from runner.sandbox.registry import Proxy

_LOCAL = "localhost,127.0.0.1,::1"
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy")


class Egress:
    """The ways out of the sandboxes of one runner. `hosts` empty: those that pip on this host is configured for."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._hosts = hosts
        self._proxy: Proxy | None = None
        self._starting = threading.Lock()

    def prepare(self, network: Network) -> tuple[tuple[Mount, ...], dict[str, str]]:
        """The mounts and the environment of a command with this network.

        Raises `UserError` when nobody said which hosts packages come from, `OSError` when the proxy does not answer:
        a command that was to have a guarded way out is refused, not run with another one.
        """
        if network == "none":
            return (), {}
        indexes = self._indexes()
        shown = tuple(Mount(path, str(path)) for path in indexes.folders)
        if network == "open":
            return shown, {**indexes.env, **{name: os.environ[name] for name in _PROXIES if name in os.environ}}
        return (*shown, Mount(self._socket(indexes), flags.PROXY)), {**indexes.env, **_through_the_relay()}

    def _indexes(self) -> Indexes:
        try:
            return configured()
        except UserError:
            if not self._hosts:
                raise
            return Indexes({}, (), self._hosts)

    def _socket(self, indexes: Indexes) -> Path:
        with self._starting:
            if self._proxy is None:
                self._proxy = Proxy(self._hosts or indexes.hosts)
        if not self._proxy.answers():
            raise OSError(f"the package proxy does not answer on {self._proxy.socket}")
        return self._proxy.socket


def _through_the_relay() -> dict[str, str]:
    address = f"http://127.0.0.1:{flags.PORT}"
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    return {
        **dict.fromkeys(names, address),
        "NO_PROXY": _LOCAL,
        "no_proxy": _LOCAL,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
