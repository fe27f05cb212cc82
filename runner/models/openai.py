"""A model behind an OpenAI-compatible endpoint, OpenRouter above all, through the official client.

The client's own retries are off: it repeats what cannot succeed and knows neither credits nor OpenRouter's advice.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runner.errors import UserError
from runner.models import Abilities, ModelError, Reply, Request
from runner.models.openai_client import connect, events, faults
from runner.models.openai_failures import START, Fault, Server, credit, failure
from runner.models.openai_listing import abilities
from runner.models.openai_wire import chat_body, fold, openrouter_body
from runner.models.retry import PATIENCE, Patience, persist
from runner.models.wire import as_object, public

if TYPE_CHECKING:
    import openai

READ_SECONDS = 600.0
SHORT_SECONDS = 30.0
UNNAMED_KEY = "`api_key` of the agent in agents.yaml"


class OpenAI:
    """A `Model` at `endpoint` (the base URL, with `/v1` where the server wants it).

    `api_key` is the value; `key_name` is how a person knows it (`env:OPENROUTER_API_KEY`), and the only one of the
    two that any text contains. `routing` is that of agents.yaml, for OpenRouter; None of `openrouter` asks the host.
    """

    def __init__(
        self,
        name: str,
        endpoint: str,
        context: int,
        max_output: int,
        *,
        api_key: str = "",
        key_name: str = "",
        routing: Mapping[str, Any] | None = None,
        openrouter: bool | None = None,
        read_seconds: float = READ_SECONDS,
        patience: Patience = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self._endpoint = endpoint.rstrip("/")
        self._where = Server(name, public(self._endpoint), key_name.removeprefix("env:") or UNNAMED_KEY)
        self._context = context
        self._max_output = max_output
        self._api_key = api_key
        self._routing = routing or {}
        self._is_openrouter = _is_openrouter(endpoint) if openrouter is None else openrouter
        self._read_seconds = read_seconds
        self._patience = patience
        self._sleep = sleep

    def check(self) -> Abilities:
        """Whether the key is accepted and the model is served, from the endpoint's list. Raises `UserError`."""
        try:
            if self._is_openrouter:
                self._check_credit()
            listed = self._listed()
        except ModelError as error:
            if error.kind == "payment":
                raise UserError(f"{self._where} cannot be used: its key has no credit", credit(self._where)) from error
            raise UserError(str(error).removesuffix(f" {START}"), START) from error
        if listed is None:
            return Abilities(self._context, tools=True)
        return abilities(listed, self._where, self._context, variants=self._is_openrouter)

    load = check

    def identity(self) -> str:
        """Nothing: which weights answer is the endpoint's to decide, from one request to the next."""
        return ""

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        """Answer. An exception out of `on_text` cancels: the connection is closed."""
        body = chat_body(self.name, request, self._max_output)
        if self._is_openrouter:
            body["extra_body"] = openrouter_body(self._routing)
        try:
            return persist(lambda: self._chat(body, on_text), self._sleep, self._patience)
        except ModelError as error:
            if error.kind == "no-tools" and request.schema is not None:
                # "No endpoints … can handle the requested parameters" does not say which: we know what we asked for.
                raise ModelError("grammar", str(error)) from error
            raise

    def stop(self) -> None:
        """Nothing: the client shows no connection that could be cut. It ends with the next piece of text."""

    def _chat(self, body: dict[str, Any], on_text: Callable[[str], None] | None) -> Reply:
        with self._faults(self._read_seconds), events(self._client, self._where, body, self._read_seconds) as stream:
            reply = fold(stream, on_text, self._where)
        if self._is_openrouter and not (reply.text or reply.calls or reply.completion_tokens):
            # A provider that is just starting answers nothing, and bills nothing (OpenRouter's overview).
            raise ModelError("unavailable", f"{self._where} answered nothing.", retryable=True)
        return reply

    def _check_credit(self) -> None:
        """OpenRouter's list of models is public: only this tells whether the key is good, and for how much."""
        told = self._ask("/key").get("data")
        left = told.get("limit_remaining") if isinstance(told, dict) else None
        if isinstance(left, int | float) and left <= 0:
            raise failure(Fault({"message": "the key's limit is used up"}, 402), self._where)

    def _listed(self) -> tuple[dict[str, Any], ...] | None:
        """The endpoint's models; None where it has no such list."""
        try:
            models = self._ask("/models").get("data")
        except UserError as error:
            if error.what.startswith("404"):
                return None
            raise
        return tuple(model for model in models if isinstance(model, dict)) if isinstance(models, list) else None

    def _ask(self, path: str) -> dict[str, Any]:
        """One short question, not asked again."""
        with self._faults(SHORT_SECONDS):
            return as_object(self._client.with_options(timeout=SHORT_SECONDS).get(path, cast_to=str))

    def _faults(self, seconds: float) -> AbstractContextManager[None]:
        return faults(self._where, self._api_key, seconds)

    @cached_property
    def _client(self) -> "openai.OpenAI":
        return connect(self._endpoint, self._api_key, self._read_seconds)


def _is_openrouter(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")
