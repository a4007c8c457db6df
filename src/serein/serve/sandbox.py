"""What a process puts on itself: protected memory, a low priority, the sandbox of decoders.

The sandbox is of Linux: Landlock (landlock(7)) takes all rights on files, and a filter of system
calls (seccomp(2)) leaves those of decoding alone: none that opens a file, a socket or a process, or
sends a signal. Where a restriction is not to be had, its function raises OSError.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress

UPLOAD_NICENESS = 10  # more would starve uploads on a machine that is busy with other work
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446  # system calls, the same on all machines
LANDLOCK_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # version -> number of rights; later: 16
LANDLOCK_NET_RIGHTS, LANDLOCK_SCOPES = 0b11, 0b11
SECCOMP_FILTER = 2
ALLOW, DENY = 0x7FFF0000, 0x00050001  # DENY: the call fails with EPERM
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # instructions of the filter
NUMBER_AT, MACHINE_AT = 0, 4  # in what the filter sees of a call
CALLS = {  # machine -> its identifier, and the numbers of the calls that are allowed:
    # read write close fstat lseek mmap mprotect munmap brk mremap madvise futex
    # rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack sched_yield restart_syscall
    # getpid gettid getrandom gettimeofday clock_gettime exit exit_group
    "x86_64": (
        *(0xC000003E, 0, 1, 3, 5, 8, 9, 10, 11, 12, 25, 28, 202),
        *(13, 14, 15, 131, 24, 219, 39, 186, 318, 96, 228, 60, 231),
    ),
    "aarch64": (
        *(0xC00000B7, 63, 64, 57, 80, 62, 222, 226, 215, 214, 216, 233, 98),
        *(134, 135, 139, 132, 124, 128, 172, 178, 278, 169, 113, 93, 94),
    ),
}


def lower_priority() -> None:
    """Let the system prefer streams to this thread, and to the processes that it forks."""
    if sys.platform == "linux":  # elsewhere a priority is of a process with all its threads
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), UPLOAD_NICENESS)


def protect_memory() -> None:
    """Keep other processes of this user from reading this one's memory, and it from core files."""
    limit("RLIMIT_CORE", 0)
    with suppress(OSError):
        _prctl(PR_SET_DUMPABLE, 0)


def limit(name: str, value: int) -> None:
    """Lower a limit of this process, where the system has it."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock alone
        return
    try:
        hard = resource.getrlimit(getattr(resource, name))[1]
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(getattr(resource, name), (lower, lower))
    except (AttributeError, ValueError, OSError):  # macOS has no limit of address space
        return


def keep_only(descriptor: int, null: int) -> None:
    """Close all descriptors but one, with the null device as standard input, output and error."""
    for standard in range(3):
        os.dup2(null, standard)
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 1024)


def restrict(names: Iterable[str]) -> None:
    """Put the restrictions of these names on this process, for good."""
    for name in names:
        RESTRICTIONS[name]()


def _no_new_privileges() -> None:
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _landlock() -> None:
    """Take all rights on files, ports and processes outside that this kernel knows of."""
    version = _call(LANDLOCK_CREATE, None, 0, 1)
    rights = (1 << LANDLOCK_FILE_RIGHTS.get(version, 16)) - 1
    rules = struct.pack("<QQQ", rights, LANDLOCK_NET_RIGHTS, LANDLOCK_SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _call(LANDLOCK_CREATE, rules, size, 0)
    _call(LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _seccomp() -> None:
    """Allow the system calls of `CALLS` alone."""
    if os.uname().machine not in CALLS:
        raise OSError("no list of system calls for this machine")
    program = ctypes.create_string_buffer(_filter(*CALLS[os.uname().machine]))
    count = len(program) // 8
    header = struct.pack("HP", count, ctypes.addressof(program))
    _prctl(PR_SET_SECCOMP, SECCOMP_FILTER, header)


def _filter(machine: int, *allowed: int) -> bytes:
    """Assemble the filter, 8 bytes an instruction: code, jump if true, jump if false, operand."""
    program = [
        (LOAD, 0, 0, MACHINE_AT),
        (EQUAL, 0, len(allowed) + 1, machine),
        (LOAD, 0, 0, NUMBER_AT),
        *((EQUAL, len(allowed) - at, 0, number) for at, number in enumerate(allowed)),
        (RETURN, 0, 0, DENY),
        (RETURN, 0, 0, ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def _prctl(option: int, *values: int | bytes) -> None:
    given = [ctypes.c_char_p(v) if isinstance(v, bytes) else ctypes.c_ulong(v) for v in values]
    _checked(_libc().prctl(option, *given, *[ctypes.c_ulong(0)] * (4 - len(values))))


def _call(number: int, *values: int | bytes | None) -> int:
    return _checked(_libc().syscall(ctypes.c_long(number), *values))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _libc() -> ctypes.CDLL:
    if LIBC is None:
        raise OSError("only Linux has this call")
    return LIBC


LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
RESTRICTIONS = {"no_new_privs": _no_new_privileges, "landlock": _landlock, "seccomp": _seccomp}
