"""The fake GitHub on loopback. Start reading at `FakeGitHub`."""

import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt

from fake_github import description, git_http
from fake_github.faults import Fault
from fake_github.reading import Moved
from fake_github.routes import Asked, routes
from fake_github.shapes import Shapes
from fake_github.state import Refusal, Token, World

TOKEN_LIFE = 3600.0


class Seen(NamedTuple):
    """A request as it arrived, and the status that was answered."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    headers: dict[str, str]


class Reply(NamedTuple):
    """What goes back: status, headers, body; `cut`: the connection is closed instead."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool = False


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
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
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

    # --- REST ------------------------------------------------------------------------------------------------------

    def rest(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], data: bytes) -> Reply:
        """Answer one REST request, with whatever fault is switched on for it."""
        body = json.loads(data) if data else None
        number = self._begin(method, path)
        fault = next((each for each in self.faults if each.hits(method, path)), None)
        refused = self._refused(fault)
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
            return self._reply(502, {"message": "Server Error"}, {})
        if fault is not None and fault.kind == "cut":
            return Reply(0, {}, b"", cut=True)
        return self._paged(path, query, headers, status, answer, extra)

    def _begin(self, method: str, path: str) -> int | None:
        if method == "GET" or path == "/graphql":
            return None
        with self.world.lock:
            self.writes += 1
            number = self.writes
        self.on_request(number, "before", method, path)
        return number

    def _refused(self, fault: Fault | None) -> tuple[int, Any, dict[str, str]] | None:
        if fault is None or fault.kind in ("lost", "cut", "stale"):
            return None
        if fault.kind == "refused":
            return 502, {"message": "Server Error"}, {}
        if fault.kind == "expired":
            return 401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, {}
        status = 403 if fault.kind == "limit" else 429
        said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        return status, {"message": said}, {} if fault.kind == "limit-wordless" else {"Retry-After": "2"}

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
            return 200, self._graphql(body)
        found = description.operation(method, path)
        self.complaints += description.faults_of_request(method, path, query, body)
        if found is None:
            raise Refusal(404, "Not Found")
        bearer = headers.get("authorization", "").partition(" ")[2]
        if bearer.count(".") == 2 and not bearer.startswith("ghs_"):
            return self._as_app(found.name, found.fields, bearer, body)
        token = self._token(bearer)
        if "{owner}" in found.name and (found.fields["owner"], found.fields["repo"]) != (
            self.world.owner,
            self.world.name,
        ):
            raise Refusal(404, "Not Found")
        if method != "GET" and not token.user.may("read"):
            raise Refusal(403, "Resource not accessible by personal access token")
        return self._routes[found.name](self.world, self.shapes, Asked(token, found.fields, query, body))

    def _token(self, text: str) -> Token:
        found = self.world.tokens.get(text)
        if found is None or (found.expires is not None and found.expires < time.time()):
            raise Refusal(401, "Bad credentials")
        return found

    def _graphql(self, body: Any) -> Any:
        """What REST cannot answer: when a text was last edited; and what it cannot do: resolve a thread."""
        given = body["variables"]
        if "resolveReviewThread" in body["query"]:
            return self._resolved(int(given["thread"].removeprefix("T_")))
        if "reviewThreads" in body["query"]:
            pull = {"reviewThreads": {"nodes": self._threads(given["number"])}}
            return {"data": {"repository": {"pullRequest": pull}}}
        issue = self.world.issue(given["number"])
        return {
            "data": {"repository": {"issue": {"lastEditedAt": issue.edited, "title": issue.title, "body": issue.body}}}
        }

    def _threads(self, number: int) -> list[dict[str, Any]]:
        first = [c for c in self.world.comments.values() if c.path and c.number == number and c.reply_to is None]
        return [
            {"id": f"T_{c.id}", "isResolved": c.resolved, "comments": {"nodes": [{"databaseId": c.id}]}} for c in first
        ]

    def _resolved(self, first: int) -> Any:
        if not self.world.resolvable:
            return {"data": {"resolveReviewThread": None}, "errors": [{"type": "FORBIDDEN", "message": "Resource not"}]}
        self.world.comments[first].resolved = True
        return {"data": {"resolveReviewThread": {"thread": {"isResolved": True}}}}

    # --- the App ---------------------------------------------------------------------------------------------------

    def install_app(self, public_key: str) -> int:
        """Install an App with write access; returns its id."""
        self.world.app = {"id": 4242, "slug": "pullwright-test", "key": public_key}
        self.world.user("pullwright-test[bot]", "write", id=90001, type="Bot")
        return 4242

    def _as_app(self, name: str, fields: dict[str, str], token: str, body: Any) -> tuple[int, Any]:
        app = self.world.app
        if app is None:
            raise Refusal(401, "A JSON web token could not be decoded")
        try:
            claims = jwt.decode(token, app["key"], algorithms=["RS256"])
        except jwt.PyJWTError as error:
            raise Refusal(401, "A JSON web token could not be decoded") from error
        if str(claims["iss"]) != str(app["id"]) or claims["exp"] - claims["iat"] > 660:
            raise Refusal(401, "'Issuer' claim is wrong or 'Expiration time' is too far in the future")
        if name == "GET /app":
            return 200, {"id": app["id"], "slug": app["slug"], "name": app["slug"], "permissions": {}, "events": []}
        if name == "GET /repos/{owner}/{repo}/installation":
            return 200, {"id": 31, "app_id": app["id"], "app_slug": app["slug"], "permissions": {}, "events": []}
        if name != "POST /app/installations/{installation_id}/access_tokens" or fields["installation_id"] != "31":
            raise Refusal(404, "Not Found")
        self.minted.append(body)
        text = f"ghs_{app['id']}_{uuid.uuid4().hex}.{uuid.uuid4().hex}.{uuid.uuid4().hex}"
        user = self.world.users[f"{app['slug']}[bot]"]
        actions = "actions" in body.get("permissions", {})
        self.world.tokens[text] = Token(user, app=True, actions=actions, expires=time.time() + TOKEN_LIFE)
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + TOKEN_LIFE))
        return 201, {"token": text, "expires_at": until, "permissions": body.get("permissions", {})}

    # --- answers ---------------------------------------------------------------------------------------------------

    def _paged(
        self, path: str, query: dict[str, str], headers: dict[str, str], status: int, answer: Any, extra: dict[str, str]
    ) -> Reply:
        if isinstance(answer, list) and status == 200:
            size, page = int(query.get("per_page", "30")), int(query.get("page", "1"))
            if len(answer) > page * size:
                following = urlencode(query | {"page": str(page + 1)})
                extra = extra | {"Link": f'<{self.api}{path}?{following}>; rel="next"'}
            answer = answer[(page - 1) * size : page * size]
        tag = f'W/"{hashlib.sha256(json.dumps(answer, sort_keys=True).encode()).hexdigest()}"'
        if status == 200 and headers.get("if-none-match") == tag:
            return Reply(304, {"ETag": tag} | self._limits(), b"")
        self.limit -= 1
        return self._reply(status, answer, extra | ({"ETag": tag} if status == 200 else {}))

    def _reply(self, status: int, answer: Any, extra: dict[str, str]) -> Reply:
        kinds = {"Content-Type": "application/json; charset=utf-8"}
        return Reply(status, kinds | self._limits() | extra, b"" if status == 204 else json.dumps(answer).encode())

    def _limits(self) -> dict[str, str]:
        reset = str(int(time.time()) + 3600)
        return {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": str(self.limit), "X-RateLimit-Reset": reset,
                "X-RateLimit-Used": str(5000 - self.limit), "X-RateLimit-Resource": "core"}  # fmt: skip

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
                self.world.after_push(token.user if token else None, before)
        if number is not None:
            self.on_request(number, "after", "POST", path)
        if fault is not None:
            return Reply(0, {}, b"", cut=True)
        return _from_cgi(answer)

    # --- webhooks --------------------------------------------------------------------------------------------------

    def payload(self, given: dict[str, Any]) -> dict[str, Any]:
        """A webhook's payload for an event of the world."""
        shapes = self.shapes
        shown: dict[str, Any] = {"repository": shapes.repository(), "sender": shapes.user(given.get("sender"))}
        for key in ("issue", "comment", "review"):
            if key in given:
                shown[key] = getattr(shapes, key)(given[key])
        if "pull" in given:
            shown["pull_request"] = shapes.pull(given["pull"], whole=False) | {"merged": given["pull"].merged}
        return shown | {key: given[key] for key in ("label", "action") if key in given} | given.get("plain", {})

    def _tell(self, event: str, given: dict[str, Any]) -> None:
        if self.world.hook is not None:
            self.world.hook.fire(event, self.payload(given))


def _from_cgi(answer: bytes) -> Reply:
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    return Reply(int(headers.pop("Status", "200").split()[0]), headers, body)


def _handler(fake: FakeGitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            data = self._body(headers)
            address = urlsplit(self.path)
            path = address.path.removeprefix("/api/v3").replace("/api/graphql", "/graphql")
            if path.startswith("/_store/"):
                reply = fake.stored(int(path.removeprefix("/_store/")), headers)
            elif f"/{fake.world.name}.git/" in path:
                reply = fake.git(self.command, path, address.query, headers, data)
            else:
                reply = fake.rest(self.command, path, dict(parse_qsl(address.query)), headers, data)
            if reply.cut:
                self.close_connection = True
                return
            try:
                self._send(reply)
            except OSError:
                self.close_connection = True  # the client was killed, which is what some tests are about

        def _body(self, headers: dict[str, str]) -> bytes:
            if headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(headers.get("content-length") or 0))
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data

        def _send(self, reply: Reply) -> None:
            self.send_response_only(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            """Tests read `seen`, not a log."""

    return Handler
