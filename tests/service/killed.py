"""A process that brings an index forward through a list of moments, and is killed at its nth statement.

`python killed.py INDEX STATE HUB MOMENTS N`; MOMENTS is a JSON file of refs. Ends by itself once all are seen.
"""

import json
import os
import signal
import sys
from pathlib import Path

from runner import git
from runner.host import Hub, Site
from runner.progress import Refs
from webhook.index import Index


def main(path: str, state: str, hub: str, moments: str, number: int) -> None:
    """Refresh from moment to moment until the nth statement."""
    repo = git.Repo(Path(state) / "repo.git")
    index = Index(Path(path), Site("host/1", Path(state), repo, Hub(hub, None), Path(hub)))
    left = [number]

    def count(statement: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    index.conn.set_trace_callback(count)
    for moment in json.loads(Path(moments).read_text()):
        index.refresh(Refs(moment["base"], "main", moment["branches"], moment["ours"]))
    index.conn.set_trace_callback(None)
    index.close()


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]))
