"""GET /api/events: what changes, as server-sent events; the index's own with ids, a host's live steps without.

An id is `<line>-<number>`: the number counts the events of one index file, `line` names that file. A client that comes
back with its last id hears all that it missed, once; one from before the file was made anew is told to `reset`, that
is to read what it shows again. Steps are for watching: they are not kept, so they carry no id.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from webhook.queries import Reader
from webhook.steps import EVERY, Steps

QUIET = 15.0  # seconds without an event after which a comment shows that the line is open


class Place(NamedTuple):
    """After which event a client goes on; `reset` where it has missed what is no longer kept."""

    after: int
    reset: bool


def place(last: str | None, span: tuple[str, int, int]) -> Place:
    """Pure: where a client goes on that heard `last`. `span` is the line's name, its oldest and its newest number."""
    line, oldest, newest = span
    if not last:
        return Place(newest, False)
    name, _, number = last.rpartition("-")
    if name != line or not number.isascii() or not number.isdigit() or len(number) > 18:
        return Place(newest, True)
    after = int(number)
    return Place(newest, True) if after > newest or after + 1 < oldest else Place(after, False)


def event(kind: str, data: str, id: str = "") -> bytes:
    """One server-sent event; `data` is one line of JSON."""
    return (f"id: {id}\n" if id else "").encode() + f"event: {kind}\ndata: {data}\n\n".encode()


async def follow(
    reader: Reader, steps: Steps, last: str | None, ended: Callable[[], bool], every: float = EVERY
) -> AsyncIterator[bytes]:
    """Everything after `last`, and then what comes, until `ended`."""
    here = place(last, reader.span())
    line, after = reader.span()[0], here.after
    yield b"retry: 2000\n\n"
    if here.reset:
        yield event("reset", "{}", f"{line}-{after}")
    elif not last:
        yield event("hello", "{}", f"{line}-{after}")
    version, quiet, seen = -1, 0.0, steps.newest()
    while not ended():
        now = reader.version()
        found = reader.events(after) if now != version else []
        for number, kind, data in found:
            after = number
            yield event(kind, data, f"{line}-{number}")
        if found:
            continue  # there may be more
        version = now
        seen, done = steps.after(seen)
        for step in done:
            yield event("step", step)
        quiet = 0.0 if done else quiet + every
        if quiet >= QUIET:
            quiet = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(every)
