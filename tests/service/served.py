"""A service as a process: `python served.py CLONE`. It looks all the time, prints its address, and ends when killed."""

import socket
import sys
from pathlib import Path

import uvicorn

from runner.host import site_at
from webhook.app import create_app
from webhook.options import Options


def main(clone: str) -> None:
    """Serve until somebody ends it."""
    app = create_app(Options(site_at(Path(clone)), poll=0.02, debounce=0.001), lambda what, **more: None)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1])
