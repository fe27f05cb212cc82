"""What this host has itself seen of branches, and since when: the clocks of two hosts are never compared."""

import json
import time
from pathlib import Path

from runner.host import lock


def unmoved_for(state: Path, branch: str, head: str) -> float:
    """For how many seconds this host has seen `branch` at the same `head`; 0 when it is new to it.

    `state` is the host's state folder, where what was seen is kept between runs.
    """
    path = state / "seen.json"
    with lock(state, "seen"):
        seen: dict[str, list[object]] = json.loads(path.read_text()) if path.exists() else {}
        now = time.time()
        known = seen.get(branch)
        if known is not None and known[0] == head:
            return max(0.0, now - float(str(known[1])))
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(seen | {branch: [head, now]}))
        scratch.replace(path)
        return 0.0
