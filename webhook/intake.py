"""POST /webhook: the signature over the raw bytes, the delivery on disk, 202. All else is done later.

A plain ASGI function: it costs a fraction of a handler with a parsed request (docs/service.md says how much).
"""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

from webhook import events
from webhook.deliveries import Deliveries
from webhook.events import Notice, Refusal
from webhook.problems import problem

PATIENCE = 10.0
"""Seconds until the whole body must be there: GitHub itself gives up after ten."""


class Intake:
    """Takes deliveries; `wake` hears what they say, with the tasks and whether everything is meant."""

    def __init__(
        self,
        deliveries: Deliveries,
        secrets: tuple[str, ...],
        now: Callable[[], str],
        wake: Callable[[Notice], None],
        patience: float = PATIENCE,
    ) -> None:
        self.deliveries = deliveries
        self.secrets = secrets
        self.now = now
        self.wake = wake
        self.patience = patience
        self.counts: dict[str, int] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = events.refuse_head(headers, self.secrets)
        answer = refusal or await self._take(headers, receive)
        if isinstance(answer, Refusal):
            self._count(f"refused {answer.status}")
            # What was not read is not waited for: the connection ends with the answer.
            await problem(send, answer.status, answer.reason, close=True)
            return
        self._count("accepted")
        await _accepted(send, answer)

    async def _take(self, headers: dict[str, str], receive: Any) -> Notice | Refusal:
        try:
            async with asyncio.timeout(self.patience):
                body = await _body(receive)
        except TimeoutError:
            return Refusal(408, f"the payload did not come within {self.patience:g} seconds")
        if body is None:
            return Refusal(413, f"the payload has more than {events.LIMIT} bytes")
        if not events.signed(body, headers["x-hub-signature-256"], self.secrets):
            return Refusal(401, "the signature is not that of the payload with our secret")
        notice = events.read(headers, body)
        if isinstance(notice, Refusal):
            return notice
        try:
            entered = await asyncio.wrap_future(self.deliveries.enter(notice, self.now()))
        except sqlite3.Error as error:  # a full disk, say: GitHub notes it as failed, and the sweep asks for it again
            return Refusal(503, f"the delivery could not be kept: {error}")
        if entered.again:
            self.wake(notice)
        return notice

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


async def _body(receive: Any) -> bytes | None:
    """The whole body; None where it is larger than any that GitHub sends."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > events.LIMIT:
            return None
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _accepted(send: Any, notice: Notice) -> None:
    text = f'{{"delivery":"{notice.guid}","event":"{notice.event}"}}'.encode()
    if notice.event == "ping":
        text = f'{{"delivery":"{notice.guid}","event":"ping","note":"{notice.note}"}}'.encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": text})
