"""What races and kills are made of: claimants in processes of their own, Git over HTTP, a hub that fails at random.

`python races.py CLONE IN:OUT …` makes a claimant for each pair of descriptors: it reads a round a line (JSON) from the
one and answers each with a line on the other.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, TextIO

import msgspec

from runner import git, wiring
from runner.claims import Lost, taking
from runner.claims.lease import Lease
from runner.errors import UserError
from runner.host import Host, Hub, site_at
from runner.lifecycle import Stage
from runner.observe import View, observe
from runner.progress import task_state

HERE = Path(__file__).parent

CHANCE = """
lot=$(od -An -N2 -tu2 /dev/urandom)
chance() { [ $((lot % 100)) -lt "$(cat {folder}/$1 2>/dev/null || echo 0)" ]; }
"""
REFUSES = "#!/bin/sh\n" + CHANCE + "chance refuse && { echo 'not now'; exit 1; }\nexit 0\n"
# A push whose refs have moved and whose answer never leaves: receive-pack dies between the two.
LOSES = '#!/bin/sh\n[ "$1" = committed ] || exit 0\n' + CHANCE + 'chance lose && kill -9 "$PPID"\nexit 0\n'


def faulty(hub: Path) -> None:
    """Give a hub the hooks by which it refuses pushes, and loses the answers to pushes that landed.

    It does no housekeeping: that moves refs too, and would be killed with a lock held that nobody takes away.
    """
    with (hub / "config").open("a") as config:
        config.write("[receive]\n\tautogc = false\n")
    for name, text in (("pre-receive", REFUSES), ("reference-transaction", LOSES)):
        hook = hub / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(text.replace("{folder}", str(hub)))
        hook.chmod(0o755)


def chances(hub: Path, refuse: int, lose: int) -> None:
    """How many of a hundred pushes are refused, and of how many that landed the answer is lost."""
    (hub / "refuse").write_text(str(refuse))
    (hub / "lose").write_text(str(lose))


# --- Git over HTTP -------------------------------------------------------------------------------------------------


class Backend(BaseHTTPRequestHandler):
    """One request by `git http-backend`, as any web server runs it (https://git-scm.com/docs/git-http-backend)."""

    protocol_version = "HTTP/1.1"
    root: Path

    def do_GET(self) -> None:
        self._run(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._run(b"".join(self._chunks()))
        else:
            self._run(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_: object) -> None:
        pass

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _run(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        names = {"Content-Type": "CONTENT_TYPE", "Content-Encoding": "HTTP_CONTENT_ENCODING"}
        names |= {"Git-Protocol": "GIT_PROTOCOL"}
        env = {name: self.headers[header] for header, name in names.items() if header in self.headers}
        env |= {"GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "pat"}
        env |= {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "PATH": os.environ["PATH"]}
        env |= {"CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": "127.0.0.1"}
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env)
        self._answer(done.stdout)

    def _answer(self, said: bytes, share: float = 1.0) -> None:
        """Send it, or only the first `share` of its body."""
        head, _, body = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: int(len(body) * share)])


@contextmanager
def over_http(root: Path, how: type[Backend] = Backend) -> Iterator[str]:
    """Serve the bare repositories below `root` on loopback; yields the address of `root`."""
    handler = type("Handler", (how,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


# --- claimants -----------------------------------------------------------------------------------------------------


class Round(msgspec.Struct):
    """One race: who has `stage` of `task`? `work` is the head of its task branch, as this claimant has seen it."""

    url: str
    task: str
    stage: str
    work: str | None
    start: float


class Answer(msgspec.Struct, frozen=True):
    """What a claimant says: the commit it `won` with, why it `lost`, or what stopped it (`error`)."""

    won: str = ""
    lost: str = ""
    error: str = ""


class Fleet:
    """Claimants that wait for rounds."""

    def __init__(self, clones: list[Path], each: int) -> None:
        self.lines: list[tuple[IO[bytes], IO[bytes]]] = []
        self.processes = [self._start(clone, each) for clone in clones]
        assert all(heard.readline() == b"ready\n" for _, heard in self.lines)

    def _start(self, clone: Path, each: int) -> "subprocess.Popen[bytes]":
        """The claimants of one clone: a process that is forked once it has loaded all it needs."""
        pipes = [(os.pipe(), os.pipe()) for _ in range(each)]
        theirs = [(told[0], answers[1]) for told, answers in pipes]
        words = [sys.executable, str(HERE / "races.py"), str(clone), *(f"{one}:{two}" for one, two in theirs)]
        env = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}
        kept = [descriptor for pair in theirs for descriptor in pair]
        process = subprocess.Popen(words, env=env, pass_fds=kept)
        for descriptor in kept:
            os.close(descriptor)
        self.lines += [(os.fdopen(told[1], "wb", 0), os.fdopen(answers[0], "rb")) for told, answers in pipes]
        return process

    def race(self, *rounds: Round) -> list[Answer]:
        """Let every claimant run: the first its first round, the second its second, and so on in a circle."""
        start = time.time() + 0.02
        for number, (told, _) in enumerate(self.lines):
            given = msgspec.structs.replace(rounds[number % len(rounds)], start=start)
            told.write(msgspec.json.encode(given) + b"\n")
        return [msgspec.json.decode(heard.readline(), type=Answer) for _, heard in self.lines]

    def close(self) -> None:
        for told, _ in self.lines:
            told.close()
        for process in self.processes:
            process.wait(300)
        for _, heard in self.lines:
            heard.close()


def claimants(clone: Path, pairs: list[str]) -> None:
    """One for each pair of descriptors, until all have ended."""
    site = site_at(clone)
    view = observe(site)
    host = wiring.host(site, view.settings, lambda _: None)
    for pair in pairs:
        told, answers = map(int, pair.split(":"))
        if os.fork() == 0:
            claimant(host, view, os.fdopen(told), os.fdopen(answers, "w"))
            os._exit(0)
    for _ in pairs:
        os.wait()


def claimant(host: Host, view: View, told: TextIO, answers: TextIO) -> None:
    """Answer rounds until there are no more."""
    site = host.site
    print("ready", file=answers, flush=True)
    for line in told:
        given = msgspec.json.decode(line, type=Round)
        time.sleep(max(0.0, given.start - time.time()))
        try:
            taken = _claim(replace(host, site=replace(site, hub=Hub(given.url, None))), view, given)
            answer = Answer(won=taken.head) if isinstance(taken, Lease) else Answer(lost=taken.reason)
        except UserError as error:
            answer = Answer(error=str(error))
        print(msgspec.json.encode(answer).decode(), file=answers, flush=True)


def _claim(host: Host, view: View, given: Round) -> Lease | Lost:
    """Claim with what this claimant has seen: the task branch at `work`, or none."""
    branches = {view.settings.base: view.refs.base}
    if given.work is not None:
        branches[f"work/{given.task}"] = given.work
        git.fetch(host.repo, host.hub.url, f"+refs/heads/work/{given.task}:refs/remotes/hub/heads/work/{given.task}")
    task = msgspec.structs.replace(view.states[0].task, id=given.task, path=f"tasks/{given.task}.yaml", kept_in="")
    seen = view.refs._replace(branches=branches, ours={})
    state = task_state(host.site, seen, view.settings, task)
    return taking.claim(host, view.settings, state, view.settings.agents[0], Stage(given.stage), 1, seen)


if __name__ == "__main__":
    claimants(Path(sys.argv[1]), sys.argv[2:])
