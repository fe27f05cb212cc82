"""The fake GitHub on loopback. Start reading at `FakeGitHub`."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import SplitResult, parse_qsl

from fake_github import answers, apps, description, git_http, graphql, loopback, pushes
from fake_github.asked import Asked
from fake_github.faults import Fault, refusal
from fake_github.loopback import Reply
from fake_github.reading import Moved
from fake_github.routes import routes
from fake_github.shapes import Shapes
from fake_github.state import World
from fake_github.values import Refusal, Token


class Seen(NamedTuple):
    """A request as it arrived, and the status that was answered."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    headers: dict[str, str]


class FakeGitHub:
    """One server with one repository. A context manager.

    `faults` are the switches; `on_request(number, phase, method, path)` is called before and after each outgoing write
    of the client, Git's among them. `seen` holds the REST requests, `answers` ours before the description filled them,
    `complaints` what GitHub's description has against requests or answers.
    """

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.folder = folder
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.complaints: list[str] = []
        self.on_request: Callable[[int, str, str, str], None] = lambda number, phase, method, path: None
        self.world.tell = self._tell
        self.git_rules: dict[str, str] = {}
        self.minted: list[dict[str, Any]] = []
        self.answers: list[tuple[str, int, Any]] = []
        self.writes = 0
        self.limit = 5000
        self._older: dict[str, tuple[int, Any]] = {}
        self._newest: dict[str, tuple[int, Any]] = {}
        git_http.install_hook(self.world.git_dir)
        self._routes = routes()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), loopback.handler(self._answer))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`, as https://github.com is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def api(self) -> str:
        """Where REST is, as on a GitHub Enterprise server."""
        return f"{self.url}/api/v3"

    @property
    def clone_url(self) -> str:
        return f"{self.url}/{self.world.owner}/{self.world.name}.git"

    @property
    def shapes(self) -> Shapes:
        return Shapes(self.world, self.api)

    def token(self, login: str, **more: Any) -> str:
        """A token of a person's account."""
        text = f"github_pat_{uuid.uuid4().hex}"
        self.world.tokens[text] = Token(self.world.users[login], **more)
        return text

    def install_app(self, public_key: str) -> int:
        """Install an App with write access; returns its id."""
        return apps.install(self.world, public_key)

    def payload(self, given: dict[str, Any]) -> dict[str, Any]:
        """A webhook's payload for an event of the world."""
        return self.shapes.payload(given)

    def _tell(self, event: str, given: dict[str, Any]) -> None:
        if self.world.hook is not None:
            self.world.hook.fire(event, self.payload(given))

    def _answer(self, method: str, address: SplitResult, headers: dict[str, str], data: bytes) -> Reply:
        """REST, GraphQL, Git, or a file that REST has sent the client to."""
        path = address.path.removeprefix("/api/v3").replace("/api/graphql", "/graphql")
        if path.startswith("/_store/"):
            return self.stored(int(path.removeprefix("/_store/")), headers)
        if f"/{self.world.name}.git/" in path:
            return self.git(method, path, address.query, headers, data)
        return self.rest(method, path, dict(parse_qsl(address.query)), headers, data)

    # --- REST ------------------------------------------------------------------------------------------------------

    def rest(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], data: bytes) -> Reply:
        """Answer one REST request, with whatever fault is switched on for it."""
        body = json.loads(data) if data else None
        number = self._begin(method, path)
        fault = next((each for each in self.faults if each.hits(method, path)), None)
        refused = refusal(fault)
        if refused is not None:
            status, answer, extra = refused
        else:
            status, answer = self._performed(method, path, query, headers, body)
            extra = {"Location": answer.location} if isinstance(answer, Moved) else {}
            if fault is not None and fault.kind == "stale":
                status, answer = self._older.get(f"{path}?{query}", (200, []))
        self.seen.append(Seen(method, path, query, body, status, headers))
        if number is not None:
            self.on_request(number, "after", method, path)
        if fault is not None and fault.kind == "lost":
            return answers.reply(502, {"message": "Server Error"}, answers.limits(self.limit))
        if fault is not None and fault.kind == "cut":
            return Reply(0, {}, b"", cut=True)
        asked = f"{self.api}{path}"
        made = answers.paged(asked, query, headers, status, answer, extra | answers.limits(self.limit))
        self.limit -= made.status != 304
        return made

    def _begin(self, method: str, path: str) -> int | None:
        if method == "GET" or path == "/graphql":
            return None
        with self.world.lock:
            self.writes += 1
            number = self.writes
        self.on_request(number, "before", method, path)
        return number

    def _performed(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        with self.world.lock:
            try:
                status, answer = self._answered(method, path, query, headers, body)
            except Refusal as refusal:
                return refusal.status, refusal.body
            found = description.operation(method, path)
            if found is not None:
                self.answers.append((found.name, status, answer))
                answer = description.filled(found.name, status, answer)
                self.complaints += description.faults_of_answer(found.name, status, answer)
            key = f"{path}?{query}"
            if method == "GET":
                if key in self._newest and self._newest[key][1] != answer:
                    self._older[key] = self._newest[key]
                self._newest[key] = (status, answer)
            return status, answer

    def _answered(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> tuple[int, Any]:
        if "x-github-api-version" not in headers:
            self.complaints.append(f"{method} {path}: no API version")
        if path == "/graphql":
            return 200, graphql.answer(self.world, body)
        found = description.operation(method, path)
        self.complaints += description.faults_of_request(method, path, query, body)
        if found is None:
            raise Refusal(404, "Not Found")
        bearer = headers.get("authorization", "").partition(" ")[2]
        if apps.is_apps(bearer):
            return apps.answer(self.world, self.minted, found.name, found.fields, bearer, body)
        token = self._token(bearer)
        here = (self.world.owner, self.world.name)
        if "{owner}" in found.name and (found.fields["owner"], found.fields["repo"]) != here:
            raise Refusal(404, "Not Found")
        if method != "GET" and not token.user.may("read"):
            raise Refusal(403, "Resource not accessible by personal access token")
        return self._routes[found.name](self.world, self.shapes, Asked(token, found.fields, query, body))

    def _token(self, text: str) -> Token:
        found = self.world.tokens.get(text)
        if found is None or (found.expires is not None and found.expires < time.time()):
            raise Refusal(401, "Bad credentials")
        return found

    def stored(self, job: int, headers: dict[str, str]) -> Reply:
        """The log of a job, where GitHub keeps them; a token that is sent there has left GitHub."""
        if "authorization" in headers:
            self.complaints.append("a token was sent to the store of logs")
        logs = {each["id"]: each["log"] for run in self.world.runs for each in run["jobs"]}
        return Reply(200, {"Content-Type": "text/plain"}, logs[job].encode())

    # --- Git -------------------------------------------------------------------------------------------------------

    def git(self, method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer Git, after asking who it is."""
        kind, _, coded = headers.get("authorization", "").partition(" ")
        try:
            token = self._token(base64.b64decode(coded).decode().partition(":")[2]) if kind.lower() == "basic" else None
        except Refusal:
            token = None
        pushing = "git-receive-pack" in path or "git-receive-pack" in query
        if token is None and (pushing or self.world.private):
            return Reply(401, {"WWW-Authenticate": 'Basic realm="GitHub"'}, b"")
        if token is not None and not token.user.may("write" if pushing else "read"):
            return Reply(403, {}, b"Write access to repository not granted.\n")
        push = path.endswith("/git-receive-pack") and method == "POST"
        number = self._begin("POST", path) if push else None
        fault = next((each for each in self.faults if each.hits("GIT", path)), None) if push else None
        rules = self.git_rules | ({"FAKE_WORKFLOWS": "yes"} if token is not None and token.workflows else {})
        before = self.world.refs() if push else {}
        answer = git_http.serve(self.folder, method, path, query, headers, body, rules)
        if push:
            with self.world.lock:
                pushes.after_push(self.world, token.user if token else None, before)
        if number is not None:
            self.on_request(number, "after", "POST", path)
        if fault is not None:
            return Reply(0, {}, b"", cut=True)
        return git_http.from_cgi(answer)
