"""A program in a network namespace of its own whose only way out is a device that counts packets.

    unshare -n python sealed.py FOLDER

Runs all tasks of the repository in FOLDER and prints as JSON how many packets tried to leave meanwhile, and how many
when it then tried to reach somebody, as a control.
"""

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


class Counter:
    """The device: packets that would leave. What IPv6 says to find its neighbours is not counted."""

    def __init__(self) -> None:
        self.seen = 0
        self._device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._device, TUNSETIFF, struct.pack("16sH", b"out0", IFF_TUN | IFF_NO_PI))
        for line in (
            "link set lo up",
            "addr add 198.18.0.1/24 dev out0",
            "link set out0 up",
            "route add default dev out0",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(
                ["ip", "-6", "route", "add", "default", "dev", "out0"], check=True, stderr=subprocess.DEVNULL
            )
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while packet := os.read(self._device, 65536):
            self.seen += packet[0] >> 4 == 4 or packet[6] not in (0, 58)


def knock() -> None:
    """Try to reach somebody, over TCP and UDP."""
    with socket.socket() as out, contextlib.suppress(OSError):
        out.settimeout(0.3)
        out.connect(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as out:
        out.sendto(b"x", ("192.0.2.1", 53))


def main(folder: Path) -> None:
    """Count during a run, then during a knock."""
    from scenes import Scene

    counter = Counter()
    scene = Scene(folder)
    scene.run()
    time.sleep(0.2)
    during = counter.seen
    knock()
    deadline = time.monotonic() + 60
    while counter.seen < during + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    done = scene.state().current is None
    print(json.dumps({"during": during, "control": counter.seen - during, "done": done, "said": scene.said}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
