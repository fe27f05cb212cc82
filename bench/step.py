"""What one step of the loop costs beside a floor, in the same run: `python bench/step.py [rounds]`.

A server on loopback answers at once with one call of `bash`; the command is really run. *floor* is the least that does
the same work: one kept httpx connection, each message serialised once, nothing saved; *saved* writes and syncs what
was said and what came of it besides, as a run that survives a power cut must. *loop* is ours over Ollama's native API,
every step on disk before the next; *sandboxed* also runs the command in bubblewrap. Each run is a process of its own;
rounds are interleaved.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

VARIANTS = ("floor", "saved", "loop", "sandboxed")
TURNS = (50, 200)
TASK = "Look at every part of the project and say what it is for. " * 20


def main(rounds: int) -> None:
    """Run every variant in turn and print the medians."""
    with Server() as endpoint:
        found: dict[tuple[str, int], list[dict[str, float]]] = {}
        for _ in range(rounds):
            for turns in TURNS:
                for variant in VARIANTS:
                    command = [sys.executable, __file__, "--one", variant, str(turns), endpoint]
                    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    found.setdefault((variant, turns), []).append(json.loads(output))
    print("| turns | what | ms a step | first 5 → last 5 | × floor | × saved | CPU, s | peak MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for turns in TURNS:
        least, saved = (median(run["step"] for run in found[name, turns]) for name in ("floor", "saved"))
        for variant in VARIANTS:
            run = {key: median(each[key] for each in found[variant, turns]) for key in found[variant, turns][0]}
            print(
                f"| {turns} | {variant} | {run['step']:.1f} | {run['first']:.1f} → {run['last']:.1f} "
                f"| {run['step'] / least:.2f} | {run['step'] / saved:.2f} | {run['cpu']:.2f} | {run['memory']:.0f} |"
            )


def one(variant: str, turns: int, endpoint: str) -> None:
    """One run in this process; prints its figures as JSON."""
    if variant in ("floor", "saved"):
        asked = floor(turns, endpoint, saved=variant == "saved")
    else:
        asked = loop(turns, endpoint, sandboxed=variant == "sandboxed")
    steps = [1000 * (after - before) for before, after in pairwise(asked)]
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "step": median(steps),
        "first": median(steps[:5]),
        "last": median(steps[-5:]),
        "cpu": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss / 1024,
    }
    print(json.dumps(figures))


def floor(turns: int, endpoint: str, saved: bool) -> list[float]:
    """The least: when each request was sent."""
    import httpx

    sent = [json.dumps({"role": "user", "content": TASK}).encode()]
    asked: list[float] = []
    with httpx.Client(base_url=endpoint) as client, tempfile.TemporaryFile() as file:

        def say(message: dict[str, Any]) -> None:
            sent.append(json.dumps(message).encode())
            if saved:
                os.write(file.fileno(), sent[-1])
                os.fdatasync(file.fileno())

        while len(asked) < turns:
            asked.append(time.perf_counter())
            body = b'{"model":"m","stream":true,"messages":[' + b",".join(sent) + b"]}"
            lines = client.post("/api/chat", content=body).text.splitlines()
            call = json.loads(lines[0])["message"]["tool_calls"][0]
            say({"role": "assistant", "content": "", "tool_calls": [call]})
            say({"role": "tool", "content": execute(call["function"]["arguments"]["command"])})
    return asked


def loop(turns: int, endpoint: str, sandboxed: bool) -> list[float]:
    """Ours: when each step began."""
    from runner.loop.dialogue import Bounds, Stopped, converse
    from runner.loop.trajectory import Trajectory
    from runner.models import Message
    from runner.models.ollama import Ollama

    asked: list[float] = []

    def before() -> Stopped | tuple[()]:
        if len(asked) == turns:
            return Stopped("enough")
        asked.append(time.perf_counter())
        return ()

    opening = (Message("system", "You are an agent."), Message("user", TASK))
    model = Ollama("m", endpoint, 1_000_000, 1000)
    bounds = Bounds(steps=turns + 10, context=1_000_000, max_output=1000)
    with tempfile.TemporaryDirectory() as place, Trajectory.open(Path(place) / "trajectory.jsonl") as trajectory:
        tools = tools_at(Path(place), sandboxed)
        outcome = converse(
            model, "native", tools, trajectory, opening, bounds, before_step=before, after_step=lambda tool: None
        )
    assert outcome == Stopped("enough"), outcome
    return asked


def tools_at(place: Path, sandboxed: bool) -> dict[str, Any]:
    """`bash` and `finish`, in bubblewrap or as plain subprocesses."""
    from runner.models import ToolSpec
    from runner.sandbox import Mount
    from runner.tools import Journal, Observation, Tool, Work, describe, toolbox
    from runner.tools.bash import bash

    if sandboxed:
        from runner.sandbox.bubblewrap import Bubblewrap

        for name in ("src", "tmp"):
            (place / name).mkdir()
        mounts = (Mount(place / "src", "/workspace/src", True), Mount(place / "tmp", "/tmp", True))
        nothing = Journal(lambda percent: None, lambda text: None)
        return toolbox(("bash", "finish"), Work(Bubblewrap(), mounts, nothing))
    spec: ToolSpec = describe(bash)
    return {"bash": Tool(spec, lambda arguments: Observation(execute(arguments["command"])))}


def execute(command: str) -> str:
    """A shell command, without walls."""
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False).stdout


class Server:
    """Answers every `/api/chat` at once, in a process of its own so that it takes no time from what is measured."""

    def __enter__(self) -> str:
        self._process = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


class Chat(BaseHTTPRequestHandler):
    """One call of `bash` a request, another one each time."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    count = 0

    def do_POST(self) -> None:
        """One reply."""
        length = int(self.headers["Content-Length"])
        self.rfile.read(length)
        Chat.count += 1
        call = {"function": {"name": "bash", "arguments": {"command": f"echo part {Chat.count}"}}}
        first = {"message": {"role": "assistant", "content": "", "tool_calls": [call]}, "done": False}
        last = {
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": length // 4,
            "eval_count": 20,
        }
        body = (json.dumps(first) + "\n" + json.dumps(last) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve() -> None:
    """The server, until it is ended; prints its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--serve"]:
            serve()
        case ["--one", variant, turns, endpoint]:
            one(variant, int(turns), endpoint)
        case [rounds]:
            main(int(rounds))
        case _:
            main(3)
