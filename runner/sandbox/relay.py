"""Runs inside the sandbox: passes connections on 127.0.0.1 to the host's proxy socket, then becomes the command.

    python3 -I -S relay.py PORT SOCKET PROGRAM ARGUMENT…

Standalone and standard library only. The port is listening before the command starts; the relay ends with the sandbox.
"""

import contextlib
import os
import socket
import sys
import threading


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy until `source` ends, then say so to `target`. Closes neither: the other direction's thread is in both."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    for side, way in ((source, socket.SHUT_RD), (target, socket.SHUT_WR)):
        with contextlib.suppress(OSError):
            side.shutdown(way)


def serve(client: socket.socket, path: str) -> None:
    """One connection in both directions."""
    with client, socket.socket(socket.AF_UNIX) as proxy:
        try:
            proxy.connect(path)
        except OSError:
            return
        back = threading.Thread(target=pump, args=(proxy, client), daemon=True)
        back.start()
        pump(client, proxy)
        back.join()


def relay(listener: socket.socket, path: str) -> None:
    """Serve until the sandbox ends."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, path), daemon=True).start()


def detach() -> None:
    """Let go of the command's input and output."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.setsid()


def main(port: str, path: str, *command: str) -> None:
    """Listen, leave a child to relay, and execute `command`."""
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=64)
    if os.fork() == 0:
        detach()
        relay(listener, path)
    listener.close()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)  # as a shell says it


if __name__ == "__main__":
    main(*sys.argv[1:])
