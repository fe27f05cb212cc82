"""Which folders a command sees, and the rules for them. Nothing here follows a link that a command could have made."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from runner.sandbox import Mount

# Places that the sandbox itself fills.
_RESERVED = ("/bin", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run/pullwright", "/sbin", "/usr")


def inside_path(mounts: tuple[Mount, ...], inside: str) -> Path | None:
    """The host path behind `inside` (absolute): that of the last mount which covers it, or None."""
    wanted = PurePosixPath(os.path.normpath(inside))
    for mount in reversed(mounts):
        if wanted.is_relative_to(mount.target):
            return mount.source / wanted.relative_to(mount.target)
    return None


def verify(mounts: tuple[Mount, ...]) -> None:
    """Refuse mounts that would leave a trace on the host or let a command choose what is mounted.

    Raises `ValueError`, since the caller composes mounts: a target that is not absolute, plain and free; a source
    that is missing, or lies below another writable one, where a command could replace it by a link (CVE-2026-39861);
    a target inside an earlier mount that does not exist there, since bwrap would make it on the host.
    """
    writable = {mount.source.resolve(): mount.source for mount in mounts if mount.writable}
    for place, mount in enumerate(mounts):
        _verify_target(mount.target)
        if not mount.source.is_absolute() or not mount.source.exists():
            raise ValueError(f"mount source {mount.source} does not exist")
        _verify_source(mount, writable)
        _verify_place(mount, mounts[:place])


def _verify_target(target: str) -> None:
    if not target.startswith("/") or target != os.path.normpath(target) or target == "/" or "\0" in target:
        raise ValueError(f"mount target {target!r} is not a plain absolute path")
    if any(PurePosixPath(target).is_relative_to(reserved) for reserved in _RESERVED):
        raise ValueError(f"mount target {target} belongs to the sandbox itself")


def _verify_source(mount: Mount, writable: Mapping[Path, Path]) -> None:
    """`writable`: where the sources that commands may write really lie, and as what they were given."""
    for folder in mount.source.resolve().parents:
        if folder in writable:
            raise ValueError(f"mount source {mount.source} lies below {writable[folder]}, which commands may write")


def _verify_place(mount: Mount, earlier: tuple[Mount, ...]) -> None:
    """The target's place in an earlier mount must be there, of the same kind, and reached without a link."""
    for other in reversed(earlier):
        if PurePosixPath(mount.target).is_relative_to(other.target):
            parts = PurePosixPath(mount.target).relative_to(other.target).parts
            _verify_steps(mount, other.source, parts)
            return


def _verify_steps(mount: Mount, at: Path, parts: tuple[str, ...]) -> None:
    for part in parts:
        at = at / part
        if not os.path.lexists(at) or at.is_symlink():
            raise ValueError(f"mount target {mount.target}: {at} must exist and be no link")
    if stat.S_ISDIR(os.lstat(at).st_mode) != mount.source.is_dir() and parts:
        raise ValueError(f"mount target {mount.target}: {at} and {mount.source} are not of the same kind")
