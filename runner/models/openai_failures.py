"""What errors of OpenAI-compatible servers mean, and whose turn it is to act (docs/models.md, "OpenRouter").

They come as a status, inside a 200, inside `choices`, or in the middle of a stream; all arrive here in one form.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from runner.errors import UserError
from runner.models import ModelError


class Server(NamedTuple):
    """Which model at which address, with which key (its name, never its value): what every complaint names."""

    model: str
    endpoint: str
    key_name: str

    def __str__(self) -> str:
        return f"{self.endpoint} (model {self.model})"


START = "Start that server, or correct `endpoint` of the agent in agents.yaml."


class Fault(NamedTuple):
    """An error as the server put it. `status` 0: it came without one; `wait`: Retry-After in seconds."""

    body: Mapping[str, Any]
    status: int = 0
    wait: float = 0.0


# OpenRouter's `error.metadata.error_type`, and the codes of OpenAI and llama-server → a status that means the same.
_STATUSES = {
    "authentication": 401,
    "invalid_api_key": 401,
    "payment_required": 402,
    "insufficient_quota": 402,
    "permission_denied": 403,
    "model_not_found": 404,
    "timeout": 504,
    "rate_limit_exceeded": 429,
    "server": 500,
    "server_error": 500,
    "provider_unavailable": 502,
    "provider_overloaded": 503,
}

# A part of the error's words (lower case) → the kind of `ModelError`; none of these may succeed unchanged.
_KINDS = (
    ("context_length_exceeded", "overflow"),
    ("exceed_context_size", "overflow"),
    ("maximum context length", "overflow"),
    ("support tool use", "no-tools"),
    ("does not support tools", "no-tools"),
    ("requested parameters", "no-tools"),
    ("parsing tool call", "tool-syntax"),
    ("failed to parse grammar", "grammar"),
    ("invalid schema for response_format", "grammar"),
    ("response_format", "grammar"),
)

_OVERLOADED = (408, 409, 425, 429)


def failure(fault: Fault, where: Server) -> ModelError | UserError:
    """An error as the exception to raise."""
    words = _words(fault.body)
    status = _status(fault)
    text = f"{where}: {_sentence(fault.body)}"
    if status not in (401, 402, 403, 429):
        for part, kind in _KINDS:
            if part in words:
                return ModelError(kind, text)
    if _is_retryable(fault, status):
        wait = fault.wait or _number(_part(fault.body, "availability").get("retry_after"))
        kind = "rate" if status in (402, 429) else "unavailable"
        return ModelError(kind, text, retryable=True, retry_after=wait)
    if status == 402:
        # The work so far is good and the endpoint answers: the stage holds until somebody has paid.
        return ModelError("payment", f"{text}. {credit(where)}")
    return _for_a_person(status, text, where) or ModelError("refused", text)


def credit(where: Server) -> str:
    """What a person does about a 402."""
    return f"Add credits, or raise the limit of the key in {where.key_name}."


def _status(fault: Fault) -> int:
    """The status that counts: the typed one first, then the HTTP status, then a number in the body."""
    body = fault.body
    names = (_part(body, "metadata").get("error_type"), body.get("error_type"), body.get("code"), body.get("type"))
    typed = next((_STATUSES[name] for name in names if isinstance(name, str) and name in _STATUSES), 0)
    plain = fault.status if fault.status >= 400 else 0
    return typed or plain or int(_number(body.get("code")) or _number(body.get("http_status")))


def _is_retryable(fault: Fault, status: int) -> bool:
    """What the server itself says of it, else by the status; an error without any is the upstream's."""
    told = _part(fault.body, "availability").get("retryable")
    if isinstance(told, bool):
        return told
    if status == 402:
        # Only a budget of requests in flight frees itself; credits do not (OpenRouter's limits page).
        return _part(fault.body, "metadata").get("limit_source") == "openrouter_in_flight_budget"
    return status in _OVERLOADED or status >= 500 or status == 0


def _for_a_person(status: int, text: str, where: Server) -> UserError | None:
    remedies = {
        401: f"Set {where.key_name} to a valid key for {where.endpoint}.",
        403: f"Allow this for the key in {where.key_name}: its guardrails, moderation or budget forbid it.",
        404: "Correct `model` or `endpoint` of the agent in agents.yaml: no such model is served there.",
    }
    return UserError(f"{status}: {text}", remedies[status]) if status in remedies else None


def _part(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = body.get(key)
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float:
    try:
        return float(value) if isinstance(value, int | float | str) else 0.0
    except ValueError:
        return 0.0


def _sentence(body: Mapping[str, Any]) -> str:
    """The error in a line; OpenRouter carries the upstream's own words in `metadata.raw`."""
    told = [str(body.get("message") or ""), str(_part(body, "metadata").get("raw") or "")]
    return " ".join(part for part in told if part).strip()[:500] or "an error without a message"


def _words(body: Mapping[str, Any]) -> str:
    return json.dumps(dict(body), default=str).lower()
