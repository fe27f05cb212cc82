"""What goes on: events, and whether the service is well."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.response import Stream

from webhook.api import docs
from webhook.api.room import Room, TheRoom, over
from webhook.feed import follow
from webhook.queries import Reader

TAGS = ["live"]


@get("/api/events", tags=TAGS, responses=docs.stream(), summary="Follow what happens")
async def events(room: TheRoom, request: Request[Any, Any, Any]) -> Stream:
    """Server-sent events: `update`, `stage`, `hold`, `removed`, `said`, `step`; `reset` where too much was missed."""
    reader = Reader(room.options.index)
    last, ended = request.headers.get("last-event-id"), over(room, dict(request.headers))

    async def told() -> Any:
        try:
            async for part in follow(reader, room.steps, last, ended):
                yield part
        finally:
            reader.close()

    return Stream(
        told(), media_type="text/event-stream", headers={"cache-control": "no-store", "x-accel-buffering": "no"}
    )


class Well(msgspec.Struct, frozen=True):
    """How the service is."""

    status: str
    detail: str = ""


@get("/healthz", sync_to_thread=False, tags=TAGS, responses=docs.reads(Well), summary="Whether the process lives")
def healthz(room: TheRoom) -> Response[Well]:
    """It does, as it answers."""
    return Response(Well("alive"))


@get(
    "/readyz",
    sync_to_thread=False,
    tags=TAGS,
    responses=docs.ready(Well),
    summary="Whether the index is up with the hub",
)
def readyz(room: TheRoom) -> Response[Well]:
    """503 until the hub was looked at, and while it cannot be."""
    health = room.keeper.health
    late = health.seen and time.time() - health.seen > 4 * room.options.poll + room.options.sweep
    if health.fault or not health.seen or late:
        why = health.fault or ("the hub was not looked at for long" if late else "the hub was not looked at yet")
        return Response(Well("not ready", why.splitlines()[0] if room.options.loopback else ""), status_code=503)
    return Response(Well("ready"))


@get("/metrics", sync_to_thread=False, tags=TAGS, responses=docs.text(), summary="Prometheus metrics")
def metrics(room: TheRoom, request: Request[Any, Any, Any]) -> Response[bytes]:
    """In the text format of Prometheus."""
    return Response("".join(_metrics(room, request.app.state.front)).encode(), media_type="text/plain; version=0.0.4")


def _metrics(room: Room, front: Any) -> Iterator[str]:
    query = room.reader.conn.execute
    yield from _family("pullwright_tasks", "gauge", "Tasks by status.")
    for status, number in query("SELECT status, count(*) FROM tasks GROUP BY status ORDER BY status"):
        yield f'pullwright_tasks{{status="{status}"}} {number}\n'
    yield from _family("pullwright_agents", "gauge", "Agents by status.")
    for status, number in query("SELECT status, count(*) FROM agents GROUP BY status ORDER BY status"):
        yield f'pullwright_agents{{status="{status}"}} {number}\n'
    yield from _family("pullwright_deliveries", "gauge", "Webhook deliveries that are kept, by state.")
    for state, number in query("SELECT state, count(*) FROM deliveries GROUP BY state ORDER BY state"):
        yield f'pullwright_deliveries{{state="{state}"}} {number}\n'
    yield from _family("pullwright_runners", "gauge", "Runners that this service has started and that run.")
    yield f"pullwright_runners {len(room.keeper.dispatcher.running)}\n"
    yield from _family(
        "pullwright_hub_seen_seconds", "gauge", "When the hub was last looked at, in seconds since 1970."
    )
    yield f"pullwright_hub_seen_seconds {room.keeper.health.seen}\n"
    yield from _family("pullwright_requests_total", "counter", "Requests by path and status.")
    for (path, status), number in sorted(front.requests.items()):
        yield f'pullwright_requests_total{{path="{path}",status="{status}"}} {number}\n'


def _family(name: str, kind: str, help: str) -> Iterator[str]:
    yield f"# HELP {name} {help}\n# TYPE {name} {kind}\n"


ROUTES = [events, healthz, readyz, metrics]
