"""Attacks on the host's files."""

import socket

from attacks.scene import (
    CANARY,
    Attack,
    Prepared,
    Scene,
    on_the_host,
    on_the_host_as_root,
    plain,
    said,
    with_mount,
    without,
)
from runner.sandbox import Command, Result

LEAKED = said(CANARY)


def _changed(scene: Scene, _: Result) -> bool:
    return scene.victim_file.read_text() != CANARY


def _beside_the_workspace(scene: Scene) -> Prepared:
    (scene.root / ".credentials").write_text(CANARY)
    (scene.root / "_temp/_runner_file_commands").mkdir(parents=True)
    return {}


def _inherited(scene: Scene, command: Command) -> Result:
    return plain(scene, list(command.argv), close_fds=False)


def _a_repository_with_a_token(scene: Scene) -> Prepared:
    config = f'[core]\n\tbare = false\n[http "https://forge.example/"]\n\textraheader = AUTHORIZATION: {CANARY}\n'
    repository = scene.root / "trusted.git"
    for folder in ("objects", "refs"):
        (repository / folder).mkdir(parents=True)
    (repository / "HEAD").write_text("ref: refs/heads/main\n")
    (repository / "config").write_text(config)
    return {}


def _left_over(scene: Scene, _: Result) -> bool:
    return {path.name for path in scene.src.iterdir()} != {".git"}


ATTACKS = (
    Attack(1, "host-secret", "cat {secret}", LEAKED, on_the_host),
    Attack(2, "other-task", "cat {other}; ls {root}/tasks", LEAKED, on_the_host),
    Attack(3, "dot-dot", "cat /tmp/../..{other}", LEAKED, on_the_host),
    Attack(4, "system-files", "ls /var /run /boot /srv; cat /etc/shadow", said("lib"), on_the_host),
    Attack(5, "proc-root", "for p in 1 self $PPID; do cat /proc/$p/root{secret}; done", LEAKED, on_the_host),
    Attack(6, "kernel-files", "ls /sys/kernel; head -c1 /proc/kcore; dmesg | head -c 99", said("notes"), on_the_host),
    Attack(7, "runner-files", "cat ../../.credentials {root}/.credentials", LEAKED, on_the_host, _beside_the_workspace),
    Attack(
        8,
        "fd-leak",
        "for n in $(seq 3 99); do cat <&$n; done 2>/dev/null; for f in /proc/$PPID/fd/*; do readlink $f; done",
        lambda scene, result: CANARY in result.text or str(scene.secret) in result.text,
        _inherited,
        lambda scene: {"fd": scene.held_open(scene.secret)},
    ),
    Attack(
        9,
        "checkout-token",
        "git config --get-regexp extraheader",
        LEAKED,
        with_mount(lambda scene: scene.root / "trusted.git", "/workspace/src/.git"),
        _a_repository_with_a_token,
    ),
    Attack(
        10,
        "outside",
        "for f in /x /usr/x /etc/x /dev/x /run/x; do touch $f && echo wrote; done",
        said("wrote"),
        without("--remount-ro"),
    ),
    Attack(11, "symlink-out", "ln -s {victim_file} l && echo pwn > l", _changed, on_the_host),
    Attack(12, "hardlink", "ln {victim_file} h && echo pwn > h", _changed, on_the_host),
    Attack(
        13,
        "remount",
        "mount -t tmpfs none /tmp && echo done; /usr/sbin/chroot / /usr/bin/true && echo done",
        said("done"),
        without("--cap-drop", "--seccomp", "--disable-userns", adding=("--cap-add", "ALL")),
    ),
    Attack(14, "device", "mknod d b 8 0 && echo made; mknod c c 1 1 && echo made", said("made"), on_the_host_as_root),
    Attack(
        15,
        "sysctl",
        "f=/proc/sys/vm/swappiness; v=$(cat $f) && echo $v > $f && echo wrote",
        said("wrote"),
        on_the_host_as_root,
    ),
    Attack(17, "ghost", "true", _left_over, without(adding=("--tmpfs", "/workspace/src/ghost"))),
    Attack(
        34,
        "path-socket",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect(\"{socket}\")'",
        lambda scene, _: scene.heard > 0,
        on_the_host,
        lambda scene: {"socket": scene.listen(socket.AF_UNIX, str(scene.root / "agent.sock")).getsockname()},
    ),
)
