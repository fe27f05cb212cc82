"""What Ollama's error texts mean, and whose turn it is to act (docs/models.md, "Ollama native API")."""

import json
from typing import NamedTuple

from runner.errors import UserError
from runner.models import Missing, ModelError
from runner.models.wire import as_object


class Server(NamedTuple):
    """Which model at which address: what every complaint names."""

    model: str
    endpoint: str

    def __str__(self) -> str:
        return f"Ollama at {self.endpoint} (model {self.model})"


START = "Start it with `ollama serve`, or correct `endpoint` of the agent in agents.yaml."
ADDRESS = "Correct `endpoint` of the agent in agents.yaml: the server's address without a path."
CHAT_MODEL = "Give the agent a chat model in agents.yaml."

# A part of the error's text (lower case) → the kind of `ModelError`; none of these may succeed unchanged.
_KINDS: tuple[tuple[str, str], ...] = (
    ("exceed_context_size", "overflow"),
    ("exceeds the available context", "overflow"),
    ("longer than the context length", "overflow"),
    ("does not support tools", "no-tools"),
    ("parsing tool call", "tool-syntax"),
    ("xml syntax error", "tool-syntax"),
    ("grammar", "grammar"),
    ("invalid json schema", "grammar"),
)

_OVERLOADED = (408, 429, 499, 502, 503, 504)


def failure(status: int, body: bytes, where: Server, wait: float = 0.0) -> ModelError | UserError:
    """An answer with an error as the exception to raise. `wait` is its Retry-After in seconds.

    Errors in the middle of a stream come here as 500, which is what Ollama would have said before the first token.
    """
    text = message(body)
    lower = text.lower()
    for part, kind in _KINDS:
        if part in lower:
            return ModelError(kind, f"{where}: {text}")
    if (person := _for_a_person(status, text, where)) is not None:
        return person
    if status in _OVERLOADED or status >= 500:
        kind = "rate" if status == 429 else "unavailable"
        return ModelError(kind, f"{where}: {text}", retryable=True, retry_after=wait)
    return ModelError("refused", f"{where} refused the request ({status}): {text}")


def message(body: bytes) -> str:
    """The sentence in an error's body. It may be an object, or an object as JSON inside the string."""
    error: object = as_object(body).get("error", body.decode("utf-8", "replace"))
    if isinstance(error, str) and (inner := as_object(error)):
        error = inner.get("error", inner)
    if isinstance(error, dict):
        # The type tells more than the sentence: `exceed_context_size_error`.
        error = " ".join(str(error[key]) for key in ("message", "type") if error.get(key)) or json.dumps(error)
    return str(error).strip()[:500] or "no reason given"


def _for_a_person(status: int, text: str, where: Server) -> UserError | None:
    lower = text.lower()
    if status == 404 and "not found" in lower and "model" in lower:
        return missing(where)
    if status == 404:
        return UserError(f"{where.endpoint} does not answer as Ollama: {text}", ADDRESS)
    if status in (401, 403):
        return UserError(
            f"{where} refuses access: {text}", "Sign in on that host with `ollama signin`, or check its proxy."
        )
    if "does not support chat" in lower:
        return UserError(f"{where}: {text}", CHAT_MODEL)
    if "system memory" in lower or "out of memory" in lower:
        return UserError(
            f"{where}: {text}",
            "Free memory (`ollama ps`, `ollama stop NAME`), or give the agent a smaller `context` or model.",
        )
    if "unable to load model" in lower or "error loading model" in lower:
        return UserError(f"{where}: {text}", f"Fetch the model again: `ollama pull {where.model}`.")
    return None


def missing(where: Server) -> Missing:
    """The model is not on that host."""
    return Missing(
        f"Ollama at {where.endpoint} has no model {where.model}",
        f"Run `ollama pull {where.model}` on that host, or correct `model` of the agent in agents.yaml.",
    )


def unreachable(where: Server, problem: Exception) -> ModelError:
    """Nothing answers at the endpoint."""
    text = f"Cannot reach Ollama at {where.endpoint}: {problem}. {START}"
    return ModelError("unavailable", text, retryable=True)
