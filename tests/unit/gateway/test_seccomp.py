"""The system-call filter, read as the kernel reads it: an interpreter of its few instructions, for both processors."""

import errno
import os
import struct

import pytest

from gateway.adapters import seccomp

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
OWN_PID = 4711


def verdict(machine, number, *arguments, architecture=None):
    """Run the filter on one call (linux/seccomp.h: number, architecture, instruction pointer, six arguments)."""
    own, _column = MACHINES[machine]
    data = struct.pack("<iIQ6Q", number, architecture or own, 0, *(*arguments, *[0] * (6 - len(arguments))))
    program = seccomp.steps(machine, OWN_PID)
    register, at = 0, 0
    while True:
        code, if_true, if_false, constant = program[at]
        at += 1
        if code == 0x06:
            return constant
        if code == 0x20:
            (register,) = struct.unpack_from("<I", data, constant)
            continue
        holds = {0x15: register == constant, 0x35: register >= constant, 0x45: bool(register & constant)}[
            code
        ]
        at += if_true if holds else if_false


def number(machine, call):
    return call[MACHINES[machine][1]]


@pytest.fixture(params=MACHINES)
def machine(request):
    return request.param


def test_every_listed_call_has_its_verdict(machine):
    for table, expected in ((seccomp._ALLOWED, ALLOW), (seccomp._DEADLY, KILL)):
        for name, call in table.items():
            if number(machine, call) is not None:
                assert verdict(machine, number(machine, call)) == expected, name


def test_everything_else_fails(machine):
    listed = {
        number(machine, call)
        for call in (*seccomp._ALLOWED.values(), *seccomp._DEADLY.values(), seccomp._OPEN, seccomp._OPENAT)
    } | {
        number(machine, call)
        for call in (seccomp._IOCTL, seccomp._FCNTL, seccomp._PRLIMIT64, seccomp._TGKILL)
    }
    clone3 = number(machine, seccomp._CLONE3)
    for other in set(range(600)) - listed - {clone3}:
        assert verdict(machine, other) == EPERM, other
    assert verdict(machine, clone3) == ENOSYS


def test_files_are_opened_for_reading_only(machine):
    openat = number(machine, seccomp._OPENAT)
    assert verdict(machine, openat, 0, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY) == ALLOW
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_TMPFILE | os.O_RDWR):
        assert verdict(machine, openat, 0, 0, flags) == EPERM


def test_limits_are_asked_and_never_set(machine):
    prlimit = number(machine, seccomp._PRLIMIT64)
    assert verdict(machine, prlimit, 0, 7, 0, 0x7FFF_0000_1234) == ALLOW
    for pointer in (0x1234, 0x7FFF_0000_0000):
        assert verdict(machine, prlimit, 0, 7, pointer) == EPERM


def test_no_other_process_is_signalled(machine):
    tgkill = number(machine, seccomp._TGKILL)
    assert verdict(machine, tgkill, OWN_PID, OWN_PID, 6) == ALLOW
    assert verdict(machine, tgkill, OWN_PID + 1, OWN_PID, 6) == EPERM
    assert verdict(machine, tgkill, OWN_PID, OWN_PID, 9) == EPERM


def test_descriptors_get_no_owner_to_signal_and_terminals_no_input(machine):
    set_owner, set_signal, push_input = 8, 10, 0x5412
    for command in (set_owner, set_signal, 4, 1024):
        assert verdict(machine, number(machine, seccomp._FCNTL), 3, command) == EPERM
    assert verdict(machine, number(machine, seccomp._FCNTL), 3, 1030) == ALLOW
    assert verdict(machine, number(machine, seccomp._IOCTL), 0, push_input) == EPERM
    assert verdict(machine, number(machine, seccomp._IOCTL), 0, 0x5401) == ALLOW


def test_calls_of_another_architecture_end_the_process(machine):
    assert verdict(machine, 0, architecture=0x40000003) == KILL  # i386 numbers mean other calls
    if machine == "x86_64":
        assert verdict(machine, 0x40000000) == KILL  # x32
