"""How one service is to run: where, for whom, beside which repository."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from runner import wiring
from runner.agents import Settings
from runner.errors import UserError
from runner.forge import Hosting
from runner.host import Host, Site

Dispatch = Literal["local", "workflow", "none"]


@dataclass(frozen=True)
class Options:
    """What `pullwright serve` was told.

    `writers` and `readers` are the tokens of each scope; `secrets` those that sign webhooks, several while they are
    exchanged. `names` are what tokens are called, of those that are. `own` is the writing token which the service made
    for this run, if it did; `ticket` lets one browser in, once, as whoever has the first one. `command` starts a
    runner. `poll`, `sweep` and `debounce` are seconds. `wire` and `hosting` give what speaking with the forge needs.
    """

    site: Site
    host: str = "127.0.0.1"
    port: int = 8080
    writers: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    own: str = ""
    ticket: str = ""
    dispatch: Dispatch = "none"
    command: tuple[str, ...] = ()
    poll: float = 15.0
    sweep: float = 300.0
    debounce: float = 0.2
    wire: Callable[[Site, Settings, Callable[[str], None]], Host] = wiring.host
    hosting: Callable[[Site, Settings], Hosting | None] = wiring.hosting

    @property
    def index(self) -> Path:
        """The index's file."""
        return self.site.state / "index.sqlite"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service: then reading needs no token."""
        return is_loopback(self.host)


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether an address is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def words(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The words of an environment variable: one, or several while they are exchanged."""
    return tuple(env.get(name, "").split())


def tokens(env: Mapping[str, str], name: str) -> dict[str, str]:
    """The tokens of an environment variable, each with its name: `ada:TOKEN`, or a bare `TOKEN` of nobody's own.

    Raises `UserError` for a name that could not stand in a history.
    """
    found: dict[str, str] = {}
    for word in words(env, name):
        who, colon, token = word.rpartition(":")
        if (colon and not _NAME.fullmatch(who)) or found.setdefault(token, who) != who:
            raise UserError(f"{name} has a word that says no token", "write TOKEN or NAME:TOKEN, each token once")
    return found


_NAME = re.compile(r"[^\W_][\w.@+-]{0,62}")
"""Of a token: letters and digits of any script, and what stands in a login or an address."""


def check(options: Options, forge: str) -> None:
    """Raises `UserError` for what would leave the service open, or deaf."""
    if not options.loopback and not options.writers:
        raise UserError(
            f"{options.host} can be reached from other machines, and no token is set",
            "set PULLWRIGHT_API_TOKEN to a long random word, or serve on 127.0.0.1",
        )
    if forge == "github" and not options.secrets:
        raise UserError(
            "agents.yaml says forge: github, and no secret for its webhooks is set",
            "set PULLWRIGHT_WEBHOOK_SECRET to the secret of the repository's webhook",
        )
    short = [word for word in (*options.writers, *options.readers, *options.secrets) if len(word) < 16]
    if short:
        raise UserError("a token or secret has fewer than 16 characters", "make one: openssl rand -hex 32")


def dispatch_of(word: str) -> Dispatch:
    """The kind of dispatch that a word names. Raises `UserError`."""
    if word not in ("local", "workflow", "none"):
        raise UserError(f"there is no dispatch {word}", "say local, workflow or none")
    return cast(Dispatch, word)
