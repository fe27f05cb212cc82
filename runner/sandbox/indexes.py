"""Where pip on this host installs from, so that pip in a sandbox behaves like it. Asked of pip itself, once."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from runner.errors import UserError

# Settings that say where packages come from and how to reach them; later sections win, as in pip.
_SECTIONS = ("global", "download", "install", ":env:")
_LISTS = ("index-url", "extra-index-url", "find-links", "trusted-host")
_WORDS = ("no-index", "cert", "timeout", "default-timeout", "retries", "prefer-binary")
_CERTIFICATES = (
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)

_BUILT_IN = "from pip._internal.models.index import PyPI; print(PyPI.netloc, PyPI.file_storage_domain)"


class Indexes(NamedTuple):
    """`env` for a command that installs, `folders` (and certificate files) that it must see, `hosts` it must reach.

    A host with a port is one that this host's configuration names, and may be on a private network; one without comes
    from pip itself.
    """

    env: dict[str, str]
    folders: tuple[Path, ...]
    hosts: tuple[str, ...]


def configured_registry_hosts() -> tuple[str, ...]:
    """The hosts that pip on this machine installs from. Raises `UserError` where there is no pip to ask."""
    return configured().hosts


@cache
def configured() -> Indexes:
    """What pip's configuration files, environment and built-in default say together. Raises `UserError` without pip."""
    settings = parse(_ask("-m", "pip", "config", "list"))
    built_in = tuple(_ask("-c", _BUILT_IN).split())
    certificates = {name: os.environ[name] for name in _CERTIFICATES if os.environ.get(name)}
    return combine(settings, built_in, certificates, Path.home())


def _ask(*words: str) -> str:
    """The answer of the Python that has a pip: ours, or the one that our environment was made from."""
    for program in (sys.executable, getattr(sys, "_base_executable", sys.executable)):
        done = subprocess.run([program, "-I", *words], cwd="/", capture_output=True, check=False)
        if done.returncode == 0:
            return done.stdout.decode()
    raise UserError(
        "the network `registry` needs to know where packages come from, and there is no pip here to ask",
        "name the hosts in agents.yaml, policy.registry, or install pip for the Python that runs Pullwright",
    )


def parse(listing: str) -> dict[str, str]:
    """`pip config list` → setting → value, of those that matter here."""
    found: dict[tuple[str, str], str] = {}
    for line in listing.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if section in _SECTIONS and key in _LISTS + _WORDS:
            found[section, key] = str(ast.literal_eval(value))
    ordered = sorted(found.items(), key=lambda item: _SECTIONS.index(item[0][0]))
    return {key: value for (_, key), value in ordered}


def combine(settings: dict[str, str], built_in: tuple[str, ...], certificates: dict[str, str], home: Path) -> Indexes:
    """Settings, pip's own (index, file storage) hosts and certificate variables → what a command needs."""
    lists = {key: tuple(map(_without_credentials, settings[key].split())) for key in _LISTS if key in settings}
    plain = {key: settings[key] for key in _WORDS if key in settings}
    values = {**{key: " ".join(words) for key, words in lists.items()}, **plain}
    env = {"PIP_" + key.upper().replace("-", "_"): value for key, value in values.items()}
    places = [word for words in lists.values() for word in words]
    files = [Path(value) for value in (plain.get("cert"), *certificates.values()) if value]
    folders = [_folder(place, home) for place in places] + files
    hosts = [_host(word) for key in ("index-url", "extra-index-url", "find-links") for word in lists.get(key, ())]
    hosts += [] if _is_on(plain.get("no-index")) else built_in[1:] if "index-url" in lists else built_in
    return Indexes({**certificates, **env}, _shown(folders), tuple(dict.fromkeys(filter(None, hosts))))


def _is_on(value: str | None) -> bool:
    return (value or "").lower() in {"1", "true", "yes", "on", "t", "y"}


def _without_credentials(place: str) -> str:
    """No secret goes into a sandbox; an index that wants one has to be mirrored or opened."""
    parts = urlsplit(place)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else place


def _host(place: str) -> str | None:
    parts = urlsplit(place)
    return f"{parts.hostname}:{parts.port or 443}" if parts.scheme == "https" and parts.hostname else None


def _folder(place: str, home: Path) -> Path | None:
    """A local package folder. An index (PEP 503) links from `simple/` to files beside it, so its parent is shown."""
    parts = urlsplit(place)
    path = Path(parts.path) if parts.scheme in ("", "file") and parts.path.startswith("/") else None
    if path is None or path in (home, *home.parents):
        return None
    beside = path.parent
    return beside if path.name == "simple" and beside not in (home, *home.parents) else path


def _shown(paths: list[Path | None]) -> tuple[Path, ...]:
    """Those that exist and are not part of the system that every command sees."""
    system = ("/usr", "/etc/ssl/certs", "/etc/pki")
    wanted = [path for path in paths if path is not None and path.exists()]
    return tuple(dict.fromkeys(path for path in wanted if not any(path.is_relative_to(part) for part in system)))
