"""With nothing opened, nothing leaves the host: the packets are counted."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import repositories as r

TRIES = (
    "curl -sm 2 http://192.0.2.1/ https://example.org/; ping -c1 -W1 192.0.2.1",
    "exec 3<>/dev/tcp/192.0.2.1/80; echo x > /dev/udp/192.0.2.1/53",
    "python3 -c \"import socket; socket.create_connection(('192.0.2.1', 443), 1)\"",
    "python3 -m pip download -q --retries 0 --timeout 1 numpy",
    "git clone https://example.org/x.git; git ls-remote git://192.0.2.1/x",
    "getent hosts example.org",
)


def test_a_sealed_run_sends_no_packet(tmp_path: Path, person: Path) -> None:
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists() or shutil.which("ip") is None:
        pytest.skip("a device that counts packets needs root, /dev/net/tun and iproute2")
    told = r.story()
    told["design"] = [
        ("web_search", {"query": "dates"}),
        ("web_fetch", {"url": "http://192.0.2.1/"}),
        ("github_clone", {"repository": "a/b"}),
        ("issue_comment", {"text": "hello"}),
        *told["design"],
    ]
    told["build"] = [
        *(("bash", {"command": line}) for line in TRIES),
        ("python_install", {"packages": "numpy"}),
        *told["build"],
    ]
    agent = {"name": "scripted", "model": "m", "provider": "scripted", "endpoint": ".pullwright/replies.yaml",
             "tools": ["bash", "files", "python", "web", "pdf", "mail", "github", "comment"], "steps": 60,
             "context": 32768}  # fmt: skip
    folder = r.project(tmp_path / "repo", agents=r.settings(agent, review=r.AUTO), replies=told)
    r.add_task(folder)
    words = ["unshare", "-n", sys.executable, str(Path(__file__).with_name("sealed.py")), str(folder)]
    paths = [Path(__file__).parent, Path(__file__).parent.parent]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ":".join(map(str, paths))}
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["done"], "\n".join(seen["said"])
    assert seen["during"] == 0 and seen["control"] >= 2, seen
