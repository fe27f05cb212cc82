"""The official client, tamed: no retries, no proxy for loopback, events as plain dicts, exceptions as ours."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from runner.errors import UserError
from runner.models import ModelError
from runner.models.openai_failures import START, Fault, Server, failure
from runner.models.retry import retry_after
from runner.models.wire import as_object, is_loopback

if TYPE_CHECKING:
    import openai

CONNECT_SECONDS = 5.0

Reading = Callable[[int | None], Iterator[bytes]]


def connect(endpoint: str, api_key: str, read_seconds: float) -> "openai.OpenAI":
    """A client for one endpoint. It opens no connection yet."""
    # openai asks httpx for its exceptions whenever one of its generators is collected, and complains on standard error
    # if that happens while httpx is half imported.
    import httpx  # noqa: F401
    import openai

    return openai.OpenAI(
        base_url=endpoint,
        api_key=api_key or "none",
        max_retries=0,
        timeout=openai.Timeout(read_seconds, connect=CONNECT_SECONDS),
        http_client=openai.DefaultHttpxClient(trust_env=not is_loopback(endpoint)),
    )


@contextmanager
def events(client: "openai.OpenAI", where: Server, body: dict[str, Any], seconds: float) -> Iterator[Iterator[object]]:
    """The events of a streamed completion while the block lasts; leaving it closes the connection.

    Raises `ModelError` where nothing but comments comes for so many seconds.

    A server that answers without a stream, an error in a 200 above all, gives its whole body as the one event: the
    client's parser for streams would find nothing in it and say nothing.
    """
    answer = client.chat.completions.with_raw_response.create(**body)
    with closing(answer.http_response):
        if "json" in answer.headers.get("content-type", ""):
            yield iter([_whole(answer.http_response.read, where)])
        else:
            response: Any = answer.http_response  # the parser reads by its method
            response.iter_bytes = _told(response.iter_bytes, where, seconds)
            with closing(_chunks(answer.parse(), where)) as chunks:
                yield chunks


def _told(read: Reading, where: Server, seconds: float) -> Reading:
    """What `read` gives, until too long nothing is told by it.

    OpenRouter keeps a connection busy with comments for as long as a provider says nothing
    (https://openrouter.ai/docs/api-reference/streaming), so that no time-out of reading ever comes.
    """

    def telling(size: int | None = None) -> Iterator[bytes]:
        last = time.monotonic()
        for data in read(size):
            if any(line and not line.startswith(b":") for line in data.splitlines()):
                last = time.monotonic()
            elif time.monotonic() - last > seconds:
                raise ModelError("unavailable", f"{where} sent nothing but comments for {seconds:g} s.")
            yield data

    return telling


def _chunks(stream: Any, where: Server) -> Generator[object]:
    try:
        while (chunk := next(stream, None)) is not None:
            yield chunk.to_dict() if hasattr(chunk, "to_dict") else chunk
    except ValueError as problem:
        raise ModelError("unavailable", f"{where} sent no completion: {problem}.", retryable=True) from problem


def _whole(read: Callable[[], bytes], where: Server) -> dict[str, Any]:
    try:
        return as_object(read())
    except Exception as problem:  # whatever transport the client has under it: httpx once, httpx2 now
        raise ModelError(
            "unavailable", f"The connection to {where} broke: {str(problem).rstrip('.')}.", retryable=True
        ) from problem


@contextmanager
def faults(where: Server, api_key: str, seconds: float) -> Iterator[None]:
    """The client's exceptions as ours, without the key in their texts. `seconds` is the time-out that was set."""
    try:
        with _translated(where, seconds):
            yield
    except ModelError as error:
        text = _without(api_key, str(error))
        raise ModelError(error.kind, text, retryable=error.retryable, retry_after=error.retry_after) from None
    except UserError as error:
        raise UserError(_without(api_key, error.what), error.remedy) from None


def _without(api_key: str, text: str) -> str:
    """Servers like to repeat a wrong key in their answer."""
    return text.replace(api_key, "***") if api_key else text


@contextmanager
def _translated(where: Server, seconds: float) -> Iterator[None]:
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        headers = error.response.headers
        raise failure(Fault(_body(error), error.status_code, retry_after(headers)), where) from error
    except openai.APITimeoutError as error:
        if "Connect" in type(error.__cause__).__name__:
            raise _unreachable(where, error) from error
        # Not asked again: the same request would cost the same once more.
        raise ModelError("unavailable", f"{where} sent nothing for {seconds:g} s.") from error
    except openai.APIConnectionError as error:
        raise _unreachable(where, error) from error
    except openai.APIError as error:
        raise failure(Fault(_body(error)), where) from error


def _body(error: "openai.APIError") -> dict[str, Any]:
    if not isinstance(error.body, dict):
        return {"message": str(error.body or error.message)}
    inner = error.body.get("error", error.body)
    return inner if isinstance(inner, dict) else {"message": str(inner)}


def _unreachable(where: Server, error: Exception) -> ModelError:
    text = f"Cannot reach {where}: {error.__cause__ or error}. {START}"
    return ModelError("unavailable", text, retryable=True)
