"""Whether this host lets bwrap contain commands, and if not: why, and what exactly to do about it."""

import re
import subprocess

from runner.errors import UserError
from runner.sandbox import seccomp

_NEEDED = ("--args", "--disable-userns", "--size", "--perms", "--json-status-fd", "--seccomp", "--unshare-all")
_ON_PURPOSE = (
    "If this whole machine is disposable (a throw-away container or VM), say so: set PULLWRIGHT_SANDBOX=external"
    " (`make demo SANDBOX=external`)."
)
_INSTALL = "Install it: apt-get install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora, RHEL)."
_APPARMOR = (
    "Permit it for /usr/bin/bwrap alone: apt-get install apparmor-profiles &&"
    " cp /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ &&"
    " apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict"
)
_CLONE_SYSCTL = "Permit them: sysctl -w kernel.unprivileged_userns_clone=1 (and a file in /etc/sysctl.d to keep it)."
_SPACE = (
    "Raise user.max_user_namespaces (sysctl -w user.max_user_namespaces=15000), or, if Pullwright itself runs in a"
    " sandbox that forbids nesting, run it outside of that."
)
_CONTAINER = (
    "In a container, permit user namespaces (Docker: --security-opt seccomp=unconfined --security-opt"
    " apparmor=unconfined --security-opt systempaths=unconfined; Podman: --security-opt unmask=ALL)."
)

# What bwrap says → what it means. The first that fits counts.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"nesting depth|max_\*_namespaces|ENOSPC|No space left on device",
        "no further user namespaces are allowed here (nesting depth or user.max_user_namespaces)",
        _SPACE,
    ),
    (
        r"setting up uid map: Permission denied|RTM_NEWADDR: Operation not permitted",
        "AppArmor refuses user namespaces to bwrap (Ubuntu 23.10 and later)",
        _APPARMOR,
    ),
    (
        r"No permissions to create new namespace|unprivileged_userns_clone",
        "the kernel refuses user namespaces to ordinary users (kernel.unprivileged_userns_clone)",
        _CLONE_SYSCTL,
    ),
    (
        r"Operation not permitted|Permission denied|EPERM|Can't mount proc",
        "this container or its seccomp profile refuses what bwrap needs",
        _CONTAINER,
    ),
)


def version(bwrap: str) -> str:
    """bwrap's version. Raises `UserError` when it is missing or lacks an option that the walls need."""
    try:
        text = _ask(bwrap, "--help")
        found = re.search(r"[0-9]+(\.[0-9]+)+", _ask(bwrap, "--version"))
    except OSError as error:
        raise UserError(
            f"{bwrap}: {error.strerror}; commands cannot be contained", f"{_INSTALL} {_ON_PURPOSE}"
        ) from None
    if missing := [option for option in _NEEDED if option not in text]:
        what = f"{bwrap} is too old: it has no {', '.join(missing)} (0.8 or newer is needed)"
        raise UserError(what, f"{_INSTALL} {_ON_PURPOSE}")
    return found[0] if found else "?"


def _ask(bwrap: str, option: str) -> str:
    done = subprocess.run([bwrap, option], env={}, capture_output=True, timeout=10, check=False)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


def filter_program(architecture: str) -> bytes:
    """The seccomp filter of this machine; raises `UserError` on an architecture whose numbers are not known."""
    try:
        return seccomp.program(architecture)
    except KeyError:
        known = " and ".join(seccomp.MACHINES)
        what = f"no system call filter for {architecture} (known: {known}); commands cannot be contained"
        raise UserError(what, f"Run Pullwright on one of these. {_ON_PURPOSE}") from None


def refusal(said: str) -> UserError:
    """What to tell the person, from the text with which a trial run failed."""
    said = said.strip() or "bwrap gave no reason"
    for pattern, cause, remedy in _CAUSES:
        if re.search(pattern, said):
            return UserError(f"commands cannot be contained: {cause}; bwrap says: {said}", f"{remedy} {_ON_PURPOSE}")
    return UserError(f"commands cannot be contained; bwrap says: {said}", _ON_PURPOSE)


def level(version: str, *, as_root: bool, limited: bool) -> str:
    """One line that says what is in force; `limited`: commands have cgroups of their own."""
    bounds = "memory and processes limited by cgroups, disk watched" if limited else "memory and disk watched"
    walls = f"bubblewrap {version}: own namespaces, system calls filtered, {bounds}"
    if not as_root:
        return walls
    return f"{walls}, as host root" + ("" if limited else " (the process count is watched, not limited)")
