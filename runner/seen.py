"""What this host has itself seen of branches, and since when: the clocks of two hosts are never compared."""

from pathlib import Path

import msgspec

from runner.host import lock

KEPT = 30 * 86400.0  # seconds after which a branch that was not asked for again is forgotten


class Seen(msgspec.Struct, frozen=True):
    """A branch's head, `since` when this host has seen it there, and when it was `asked` for last (clock seconds)."""

    head: str
    since: float
    asked: float


def unmoved_for(state: Path, branch: str, head: str, now: float) -> float:
    """For how many seconds this host has seen `branch` at the same `head`; 0 when it is new to it.

    `state` is the host's state folder, where what was seen is kept between runs; `now` the host's clock. A clock that
    was set back makes it new.
    """
    path = state / "seen.json"
    with lock(state, "seen"):
        seen = _read(path)
        known = seen.get(branch)
        new = known is None or known.head != head or known.since > now
        since = now if new or known is None else known.since
        kept = {name: each for name, each in seen.items() if each.asked > now - KEPT}
        scratch = path.with_suffix(".tmp")
        scratch.write_bytes(msgspec.json.encode(kept | {branch: Seen(head, since, now)}))
        scratch.replace(path)
        return now - since


def _read(path: Path) -> dict[str, Seen]:
    """What was seen so far; nothing, where a crash left no whole file: waiting a lease longer does no harm."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Seen])
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
