"""The system call filter: its program is run here by hand, and its numbers are compared with the kernel's."""

import errno
import re
import struct
from pathlib import Path

import pytest

from runner.sandbox import seccomp

ALLOW, KILL = 0x7FFF0000, 0x80000000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
SOCKET = {"x86_64": 41, "aarch64": 198}
CLONE = {"x86_64": 56, "aarch64": 220}
IOCTL = {"x86_64": 16, "aarch64": 29}
BOTH = pytest.mark.parametrize("machine", ["x86_64", "aarch64"])


def refused(code: int) -> int:
    return 0x00050000 | code


def answer(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the kernel would do: a classic BPF machine for the instructions that the program uses."""
    program = seccomp.program(machine)
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, AUDIT[machine] if arch is None else arch, 0, *words)
    lines = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    value = at = 0
    while True:
        code, yes, no, operand = lines[at]
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
            at += 1
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += 1 + (yes if holds else no)


@BOTH
def test_ordinary_calls_pass(machine: str) -> None:
    assert {answer(machine, number) for number in (2000, 293, 96)} == {ALLOW}


@BOTH
def test_another_architecture_is_killed(machine: str) -> None:
    assert answer(machine, 1, arch=I386) == KILL


def test_x32_is_killed() -> None:
    assert answer("x86_64", 0x40000000 | 1) == KILL


@BOTH
def test_only_families_that_a_network_namespace_holds_make_sockets(machine: str) -> None:
    passed = {family for family in range(46) if answer(machine, SOCKET[machine], family) == ALLOW}
    assert passed == {1, 2, 10, 16}
    assert answer(machine, SOCKET[machine], 40) == refused(errno.EAFNOSUPPORT)


@BOTH
def test_threads_and_forks_pass_and_namespaces_do_not(machine: str) -> None:
    thread, fork, user_namespace = 0x3D0F00, 0x1200011, 0x10000011
    answers = [answer(machine, CLONE[machine], flags) for flags in (thread, fork, user_namespace)]
    assert answers == [ALLOW, ALLOW, refused(errno.EPERM)]
    assert answer(machine, 435) == refused(errno.ENOSYS), "the flags of clone3 are out of a filter's sight"


@BOTH
@pytest.mark.parametrize(("request_", "expected"), [(0x5412, False), (0x541C, False), (0x5401, True), (0x5413, True)])
def test_nothing_is_typed_into_a_terminal(machine: str, request_: int, expected: bool) -> None:
    for high in (0, 1 << 32):  # the kernel looks at 32 bits only
        assert (answer(machine, IOCTL[machine], 0, request_ | high) == ALLOW) is expected


@BOTH
@pytest.mark.parametrize("name", sorted(set(seccomp._NUMBERS) - {"clone", "clone3", "ioctl", "socket"}))
def test_denied_calls_are_refused(machine: str, name: str) -> None:
    number = seccomp._NUMBERS[name][seccomp.MACHINES[machine].column]
    if number is not None:
        assert answer(machine, number) == refused(errno.EPERM)


@BOTH
def test_the_numbers_are_the_kernels(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    known = dict(re.findall(r"#define __NR3?264?_?(\w+)\s+(\d+)", HEADERS[machine].read_text()))
    known |= dict(re.findall(r"#define __NR_(\w+)\s+(\d+)", HEADERS[machine].read_text()))
    column = seccomp.MACHINES[machine].column
    ours = {name: str(row[column]) for name, row in seccomp._NUMBERS.items() if row[column] is not None}
    assert {name: known[name] for name in ours if name in known} == {n: v for n, v in ours.items() if n in known}
    assert len(set(ours) & set(known)) > len(ours) - 5
