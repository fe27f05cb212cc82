"""With what we go to a GitHub server: an App, a token, or a job's own token. Read from the environment, kept in memory.

A token reaches Git through `GIT_ASKPASS` alone, and only for the server that it belongs to: never a URL, an argument
list, a log, a record or the sandbox.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from runner.errors import UserError

API_VERSION = "2022-11-28"
TIMEOUT = 30  # seconds
FRESH = 300.0  # seconds for which a minted token is used again: a push never meets one that is about to end
PERMISSIONS = {
    "contents": "write", "issues": "write", "pull_requests": "write", "statuses": "write", "checks": "read",
    "metadata": "read",
}  # fmt: skip
"""What an installation token is narrowed to; `workflows` is not among them: agents do not change what runs them."""
FOR_LOGS = {"actions": "read", "metadata": "read"}
"""The same for the logs of checks alone: an App without that permission gets no token that asks for it."""

ASKPASS = """#!/bin/sh
case $1 in
    Username*) echo x-access-token ;;
    *) printf '%s\\n' "$PULLWRIGHT_GIT_TOKEN" ;;
esac
"""


class Place(NamedTuple):
    """A repository on a GitHub server: `web` is the server's address, `api` that of its REST interface."""

    web: str
    api: str
    owner: str
    name: str

    @property
    def path(self) -> str:
        """The repository in REST addresses."""
        return f"/repos/{self.owner}/{self.name}"


def place_of(url: str, env: Mapping[str, str] = os.environ) -> Place | None:
    """The repository that a remote's address names, if it is on the server that `GITHUB_SERVER_URL` names.

    Without that variable it is github.com. Anywhere else is None, so that no token goes to a server that did not issue
    it.
    """
    web = env.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    host, path = _split(url)
    if host.lower() != (urlsplit(web).netloc or "").lower():
        return None
    parts = path.removesuffix("/").removesuffix(".git").strip("/").split("/")
    if len(parts) != 2 or not all(parts):
        return None
    api = env.get("GITHUB_API_URL") or ("https://api.github.com" if web == "https://github.com" else f"{web}/api/v3")
    return Place(web, api.rstrip("/"), *parts)


def _split(url: str) -> tuple[str, str]:
    """Host (with port) and path of `https://host/path`, `ssh://git@host/path` or `git@host:path`."""
    if "://" in url:
        parts = urlsplit(url)
        return parts.netloc.rpartition("@")[2], parts.path
    host, _, path = url.rpartition("@")[2].partition(":")
    return host, path


@dataclass
class Credentials:
    """One way in. `kind` says which, for the limits that it has."""

    kind: Literal["app", "token", "job"]
    place: Place
    secret: str = field(repr=False)
    app: str = ""
    clock: Callable[[], float] = time.time
    permissions: Mapping[str, str] = field(default_factory=lambda: PERMISSIONS)
    _minted: tuple[str, float] | None = field(default=None, repr=False)

    def token(self) -> str:
        """A token that is good now. Raises `UserError` where the server gives none."""
        if self.kind != "app":
            return self.secret
        if self._minted is None or self.clock() - self._minted[1] > FRESH:
            self._minted = (self._mint(), self.clock())
        return self._minted[0]

    def bearer(self) -> str:
        """The App's own word for who it is, good for five minutes."""
        import github

        try:
            return github.Auth.AppAuth(self.app, self.secret).create_jwt()
        except Exception as error:  # PyJWT's many ways to say that this is no RSA key
            raise UserError(f"the key of the GitHub App {self.app} cannot be used: {error}", _APP) from error

    def _mint(self) -> str:
        """A token for this repository alone, with no more than is needed."""
        ours = {"repositories": [self.place.name], "permissions": dict(self.permissions)}
        installation = self.as_app("GET", f"{self.place.path}/installation")["id"]
        made = self.as_app("POST", f"/app/installations/{installation}/access_tokens", ours)
        return str(made["token"])

    def as_app(self, verb: str, path: str, body: Any = None) -> Any:
        """A request as the App itself. Raises `UserError`."""
        import json

        import requests

        headers = {"Authorization": f"Bearer {self.bearer()}"}
        try:
            status, _, text = requester(self.place.api).requestJson(verb, path, headers=headers, input=body)
        except requests.RequestException as error:
            raise UserError(f"{self.place.api} does not answer: {error}", "try again when it does") from error
        if status >= 300:
            raise UserError(f"the GitHub App {self.app} is refused: {path} answers {status}: {text[:200]}", _APP)
        return json.loads(text)

    def git(self, askpass: Path) -> dict[str, str]:
        """The environment by which a git command gets the token; `askpass` is the script that says it."""
        return {
            "GIT_ASKPASS": str(askpass),
            "PULLWRIGHT_GIT_TOKEN": self.token(),
            "GIT_CONFIG_COUNT": "1",  # else a helper of the person's would be asked first, and might remember
            "GIT_CONFIG_KEY_0": "credential.helper",
            "GIT_CONFIG_VALUE_0": "",
        }


_APP = "check PULLWRIGHT_GITHUB_APP_ID and _KEY, and that the App is installed on the repository (docs/github.md)"


def requester(api: str, timeout: int = TIMEOUT) -> Any:
    """PyGithub's plain requests: no lazy objects and none of its retries, which repeat writes that have landed."""
    import github

    gh = github.Github(
        base_url=api, retry=None, timeout=timeout, per_page=100, api_version=API_VERSION,
        seconds_between_requests=0, seconds_between_writes=0, user_agent="Pullwright",
    )  # fmt: skip
    return gh.requester


def from_environment(url: str, env: Mapping[str, str] = os.environ) -> Credentials | None:
    """The credentials for a remote's address, or None where there are none for that server."""
    place = place_of(url, env)
    if place is None:
        return None
    app, key = env.get("PULLWRIGHT_GITHUB_APP_ID", ""), env.get("PULLWRIGHT_GITHUB_APP_KEY", "")
    if app and key:
        return Credentials("app", place, _key(key), app)
    own = env.get("PULLWRIGHT_GITHUB_TOKEN", "")
    token = own or env.get("GITHUB_TOKEN", "")
    if not token:
        return None
    job = env.get("GITHUB_ACTIONS") == "true" and not own and token.startswith("ghs_")
    return Credentials("job" if job else "token", place, token)


def _key(given: str) -> str:
    """A key itself, or the file that holds it."""
    if given.startswith("-----BEGIN"):
        return given
    path = Path(given).expanduser()
    if not path.is_file():
        raise UserError("PULLWRIGHT_GITHUB_APP_KEY is neither a key nor a file", _APP)
    return path.read_text()


def for_git(url: str, state: Path, env: Mapping[str, str] = os.environ) -> Callable[[], Mapping[str, str]] | None:
    """What `git.Repo.credentials` is for a hub: the environment of commands that talk to it. None: Git's own ways."""
    if not url.startswith(("http://", "https://")):
        return None
    found = from_environment(url, env)
    if found is None:
        return None
    askpass = state / "askpass"

    def environment() -> Mapping[str, str]:
        if not askpass.exists():
            askpass.parent.mkdir(parents=True, exist_ok=True)
            askpass.write_text(ASKPASS)
            askpass.chmod(0o700)
        return found.git(askpass)

    return environment
