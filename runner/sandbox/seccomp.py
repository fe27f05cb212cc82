"""System calls that no command needs and that reach past the namespaces, as a classic BPF program for bwrap.

A deny list is enough behind namespaces without capabilities: what is not namespaced (keyrings, AF_VSOCK, io_uring,
which makes sockets around a socket filter) and what has been the way into the kernel (bpf, userfaultfd, user
namespaces, the mount interfaces). Numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl` and
`include/uapi/asm-generic/unistd.h`; layout of the program: `linux/seccomp.h`, `linux/bpf_common.h`.
"""

import errno
import struct
from typing import NamedTuple


class Machine(NamedTuple):
    """What differs between architectures: the AUDIT_ARCH word, the column of `_NUMBERS`, and the x32 numbers."""

    audit: int
    column: int
    has_x32: bool


MACHINES = {"x86_64": Machine(0xC000003E, 0, True), "aarch64": Machine(0xC00000B7, 1, False)}

# name → number on (x86-64, aarch64); None where the architecture has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "ioctl": (16, 29),
    "socket": (41, 198),
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "move_pages": (279, 239),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_LOOKED_INTO = ("clone", "clone3", "ioctl", "socket")

# AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: the families that a network namespace holds.
_FAMILIES = (1, 2, 10, 16)
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_CLONE_NEW = 0x7E020000
# TIOCSTI types into the terminal (CVE-2017-5226), TIOCLINUX pastes into a console.
_TERMINAL_INJECTION = (0x5412, 0x541C)

_X32_BIT = 0x40000000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; the low word of an argument comes first
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000


def _instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("<HBBI", code, yes, no, value)


def _answer(code: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | code)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


_PASS = _instruction(_RETURN, _ALLOW)


def _only_for(number: int, body: list[bytes]) -> list[bytes]:
    """`body`, which must return, for one system call; everything else jumps over it."""
    return [_instruction(_EQUAL, number, 0, len(body)), *body]


def _header(machine: Machine) -> list[bytes]:
    """A program of another architecture (its numbers mean other calls) is killed, x32 with it."""
    kill = _instruction(_RETURN, _KILL_PROCESS)
    lines = [_load(_ARCH), _instruction(_EQUAL, machine.audit, 1, 0), kill, _load(_NUMBER)]
    return [*lines, _instruction(_AT_LEAST, _X32_BIT, 0, 1), kill] if machine.has_x32 else lines


def _socket() -> list[bytes]:
    known = [_instruction(_EQUAL, family, len(_FAMILIES) - place) for place, family in enumerate(_FAMILIES)]
    return [_load(_ARGUMENTS), *known, _answer(errno.EAFNOSUPPORT), _PASS]


def _clone() -> list[bytes]:
    return [_load(_ARGUMENTS), _instruction(_ANY_BIT, _CLONE_NEW, 0, 1), _answer(errno.EPERM), _PASS]


def _ioctl() -> list[bytes]:
    # Only the low word counts: the kernel cuts the request to 32 bits (CVE-2019-7303 was a comparison of all 64).
    first, second = _TERMINAL_INJECTION
    checks = [_instruction(_EQUAL, first, 1), _instruction(_EQUAL, second, 0, 1)]
    return [_load(_ARGUMENTS + 8), *checks, _answer(errno.EPERM), _PASS]


def program(architecture: str) -> bytes:
    """The filter for `os.uname().machine`, as bwrap's `--seccomp` reads it: 8 bytes an instruction.

    Raises `KeyError` for an architecture that is not in `MACHINES`.
    """
    machine = MACHINES[architecture]
    number = {name: row[machine.column] for name, row in _NUMBERS.items()}
    inspected = {"socket": _socket(), "clone": _clone(), "ioctl": _ioctl(), "clone3": [_answer(errno.ENOSYS)]}
    denied = [value for name, value in number.items() if value is not None and name not in _LOOKED_INTO]
    lines = _header(machine)
    for name, body in inspected.items():
        value = number[name]
        assert value is not None
        lines += _only_for(value, body)
    for value in denied:
        lines += _only_for(value, [_answer(errno.EPERM)])
    return b"".join([*lines, _PASS])
