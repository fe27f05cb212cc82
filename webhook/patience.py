"""Connections on which no request comes, or only half of one, are let go: each holds one of those that the server has.

uvicorn ends a connection that is silent after an answer, but waits without end for the first request, and for the rest
of one whose head or body has begun (a "slow loris", CWE-400).
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 20.0  # seconds in which the head of a request has to come, and of its body at least some bytes


class Patient(H11Protocol):
    """uvicorn's protocol with an end to its patience. A request that is there, or comes on, takes its time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._answered: Any = None
        self._came = False
        self._timer = self.loop.call_later(PATIENCE, self.look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._came = True
        super().data_received(data)

    def look(self) -> None:
        """Let go, unless there was a request since the last look, more of its body, or one is being answered."""
        idle = self.cycle is None or self.cycle.response_complete
        stuck = self.cycle is not None and self.cycle.more_body and not self.flow.read_paused and not self._came
        if stuck or (idle and self.cycle is self._answered):
            self.transport.close()
            return
        self._came = False
        self._answered = self.cycle if idle else None
        self._timer = self.loop.call_later(PATIENCE, self.look)
