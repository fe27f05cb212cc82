"""Fetch a model to an Ollama host, through the official client."""

from collections.abc import Callable

from runner.errors import UserError
from runner.models.ollama_failures import START
from runner.models.wire import is_loopback

# Between two lines of progress; a registry that is silent for longer is gone.
SILENCE_SECONDS = 300.0

Progress = Callable[[str, int, int], None]


def pull(model: str, endpoint: str, on_progress: Progress = lambda status, done, total: None) -> None:
    """Fetch `model`; `on_progress` hears (status, bytes done, bytes in all), 0 where they are not told.

    Done is only what ends with the status `success`. Raises `UserError`.
    """
    import httpx
    import ollama

    client = ollama.Client(endpoint, timeout=SILENCE_SECONDS, trust_env=not is_loopback(endpoint))
    status = ""
    try:
        for line in client.pull(model, stream=True):
            status = line.status or ""
            on_progress(status, line.completed or 0, line.total or 0)
    except (ollama.ResponseError, httpx.HTTPError, ConnectionError) as problem:
        raise UserError(f"Cannot pull {model} at {endpoint}: {problem}", f"Check the name. {START}") from problem
    if status != "success":
        raise UserError(f"Pulling {model} at {endpoint} ended with {status!r}", "Run the same again; it goes on.")
