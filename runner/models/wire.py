"""Small things that every model server needs: lines out of bytes, arguments out of JSON, estimates of tokens."""

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from runner.models import ModelError, Request

# A reply is a few thousand tokens; a server that sends more than this is broken, and must not fill our memory.
MAX_REPLY_BYTES = 32 << 20

# Measured on code and prose: 3.9 to 4.4 characters a token (docs/models.md, "chars per token").
CHARS_PER_TOKEN = 4


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a newline-delimited stream, without empty ones. Raises `ModelError` when it does not end.

    Only LF ends a line: `str.splitlines`, which httpx uses, also cuts at U+0085 and others that JSON leaves alone.
    """
    rest, size = b"", 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_REPLY_BYTES:
            raise ModelError("refused", f"The reply is longer than {MAX_REPLY_BYTES >> 20} MiB.")
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())
    if rest.strip():
        yield rest


def as_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object in `text`, an empty one for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def arguments(value: object) -> dict[str, Any] | None:
    """The arguments of a call, sent as an object or as a string of JSON; None when they are neither.

    None is not `{}`: half a string of arguments must never run a tool without any.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value, strict=False)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def well_formed(text: str) -> str:
    """`text` without lone surrogates, which JSON can carry and UTF-8 cannot; two halves of a pair become one."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def characters(request: Request) -> int:
    """The length of everything that a model is to read: messages, calls and tools."""
    said = sum(len(message.text) for message in request.messages)
    called = sum(len(json.dumps(call.arguments)) for message in request.messages for call in message.calls)
    told = sum(len(tool.description) + len(json.dumps(tool.parameters)) for tool in request.tools)
    return said + called + told


def estimated_tokens(length: int) -> int:
    """Tokens in `length` characters, near enough for budgets; never 0, since nothing is free."""
    return max(1, length // CHARS_PER_TOKEN)


def public(endpoint: str) -> str:
    """An address as it may stand in a record or a pull request: without a user's name and password."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def is_loopback(endpoint: str) -> bool:
    """Whether an address is this machine, which is never reached through the environment's proxy."""
    host = urlsplit(endpoint).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")
