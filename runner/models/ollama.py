"""A model behind Ollama's native API, by a small client of our own.

The official client lacks `truncate` and `shift`, loses the ids of calls, has no time-out and takes a stream that just
ends for a whole one (docs/models.md, "Clients"); it is used for `pull` only.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from runner.errors import UserError
from runner.models import Abilities, ModelError, Reply, Request
from runner.models.ollama_failures import ADDRESS, CHAT_MODEL, START, Server, failure, unreachable
from runner.models.ollama_loading import load_body, loaded
from runner.models.ollama_wire import chat_body, fold, is_suspicious, was_truncated
from runner.models.retry import PATIENCE, Patience, persist, retry_after
from runner.models.wire import as_object, characters, is_loopback, lines, public

if TYPE_CHECKING:
    import httpx

# Loading a model may take five minutes without a byte (OLLAMA_LOAD_TIMEOUT), then the prompt is evaluated.
READ_SECONDS = 600.0
SHORT_SECONDS = 30.0
CONNECT_SECONDS = 5.0


class Ollama:
    """A `Model` at `endpoint` (the server's address without a path) with a window of `context` tokens.

    `max_output` bounds the tokens of one reply; `keep_alive` is how long the server keeps the model loaded after it.
    """

    def __init__(
        self,
        name: str,
        endpoint: str,
        context: int,
        max_output: int,
        *,
        keep_alive: str = "30m",
        read_seconds: float = READ_SECONDS,
        patience: Patience = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._endpoint = endpoint.rstrip("/")
        self._where = Server(name, public(self._endpoint))
        self._context = self._window = context
        self._max_output = max_output
        self._keep_alive = keep_alive
        self._read_seconds = read_seconds
        self._patience = patience
        self._sleep = sleep
        self._line: Any = None  # the connection, as httpcore has it
        self._stopped = False

    def check(self) -> Abilities:
        """Whether the server answers, has the model, and what that can do. Raises `UserError` with the remedy.

        From then on no larger window is asked for than the model was trained with.
        """
        try:
            version = self._ask("GET", "/api/version")
            shown = self._ask("POST", "/api/show", {"model": self.name})
        except ModelError as error:
            raise UserError(str(error).removesuffix(f" {START}"), START) from error
        if "version" not in version:
            raise UserError(f"{self._where.endpoint} answers, but not as Ollama does", ADDRESS)
        abilities = _abilities(shown, self._context, self._where)
        self._context = self._window = abilities.context
        return abilities

    def load(self) -> Abilities:
        """`check`, then the model in memory: `context` is the window that it has there. Raises `UserError` where it
        cannot be loaded at all, `ModelError` where the server is busy for longer than is waited.
        """
        asked = self.check()
        body = load_body(self.name, self._context, self._keep_alive)
        persist(lambda: self._chat(body, None), self._sleep, self._patience)
        found = loaded(self._running(), asked)
        self._window = found.context
        return found

    def identity(self) -> str:
        """The weights and the server in one word, for what is remembered about them; empty if the digest is unknown."""
        try:
            digest = self._listed("/api/tags").get("digest")
            version = self._ask("GET", "/api/version").get("version")
        except ModelError:
            return ""
        return f"{digest}@{version}" if digest else ""

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """Answer. An exception out of `on_text` cancels: the connection is closed and Ollama stops generating."""
        body = chat_body(self.name, request, self._context, self._max_output, self._keep_alive)
        reply = persist(lambda: self._chat(body, on_text), self._sleep, self._patience)
        self._refuse_truncation(reply.prompt_tokens, characters(request))
        return reply

    def stop(self) -> None:
        """End the reply that is on its way, from another thread: the connection is cut, and Ollama stops, also while it
        still reads the prompt. What waits for it gets a `ModelError`; this model is not asked again.
        """
        self._stopped = True
        line = self._line
        with suppress(OSError, AttributeError):  # gone already, or never there
            line.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Remember the connection: closing a client does not wake who reads from it (https://www.encode.io/httpcore/extensions)."""
        if event == "connection.connect_tcp.complete":
            self._line = info["return_value"]

    def _chat(self, body: dict[str, Any], on_text: Callable[[str], None] | None) -> Reply:
        traced = {"trace": self._trace}
        asked = self._client.stream("POST", "/api/chat", json=body, extensions=traced)
        with self._faults(self._read_seconds), asked as response:
            if response.status_code != 200:
                raise failure(response.status_code, response.read(), self._where, retry_after(response.headers))
            return fold(lines(response.iter_bytes()), on_text, self._where)

    def _refuse_truncation(self, counted: int, length: int) -> None:
        """A prompt that the server silently cut answered another question than ours (R2)."""
        if not is_suspicious(counted, length):
            return
        there = self._loaded_context()
        if was_truncated(counted, length, self._window, there):
            raise ModelError(
                "overflow",
                f"{self._where} cut the prompt: {counted} tokens counted of about {length // 4}, "
                f"with {there} loaded of the {self._window} expected.",
            )

    def _loaded_context(self) -> int:
        """The window that the server really loaded, as `/api/ps` tells it; ours where it does not tell."""
        told = self._running().get("context_length")
        return told if isinstance(told, int) and told > 0 else self._window

    def _running(self) -> dict[str, Any]:
        """This model's entry among those in memory, an empty one where the server does not tell."""
        try:
            return self._listed("/api/ps")
        except (ModelError, UserError):
            # Proxies and old servers have no such list, which is no reason to lose a good reply.
            return {}

    def _listed(self, path: str) -> dict[str, Any]:
        """This model's entry in a list of the server, an empty one if it is not there. No tag means `:latest`."""
        names = (self.name, f"{self.name}:latest")
        models = self._ask("GET", path).get("models") or ()
        return next((model for model in models if model.get("name") in names or model.get("model") in names), {})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One short question, not asked again."""
        with self._faults(SHORT_SECONDS):
            traced = {"trace": self._trace}
            response = self._client.request(method, path, json=body, timeout=SHORT_SECONDS, extensions=traced)
        if response.status_code != 200:
            raise failure(response.status_code, response.content, self._where, retry_after(response.headers))
        return as_object(response.content)

    @cached_property
    def _client(self) -> "httpx.Client":
        import httpx

        return httpx.Client(
            base_url=self._endpoint,
            timeout=httpx.Timeout(self._read_seconds, connect=CONNECT_SECONDS),
            trust_env=not is_loopback(self._endpoint),
        )

    @contextmanager
    def _faults(self, seconds: float) -> Iterator[None]:
        """httpx's exceptions as ours; `seconds` is the time-out that was set."""
        import httpx

        try:
            yield
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as problem:
            raise UserError(f"{self._where.endpoint!r} is no address of an Ollama server", ADDRESS) from problem
        except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
            raise unreachable(self._where, problem) from problem
        except httpx.TimeoutException as problem:
            # Not asked again: the same request would keep the server busy for as long once more.
            silence = f"{self._where} sent nothing for {seconds:g} s."
            raise ModelError("unavailable", silence) from problem
        except httpx.RequestError as problem:
            broken = f"The connection to {self._where} broke: {str(problem).rstrip('.')}."
            raise ModelError("unavailable", broken, retryable=not self._stopped) from problem


def _abilities(shown: dict[str, Any], context: int, where: Server) -> Abilities:
    """What `/api/show` tells. Servers before 0.6.4 name no capabilities: then the template does."""
    capabilities = shown.get("capabilities")
    if isinstance(capabilities, list) and "completion" not in capabilities:
        raise UserError(f"{where} cannot chat, only: {', '.join(map(str, capabilities))}", CHAT_MODEL)
    offered = capabilities if isinstance(capabilities, list) else str(shown.get("template"))
    facts = shown.get("model_info") or {}
    trained = next((int(value) for key, value in facts.items() if key.endswith(".context_length")), context)
    return Abilities(min(context, trained), "tools" in offered or ".Tools" in offered)
