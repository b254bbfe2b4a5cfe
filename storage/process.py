"""Keeps this process's memory out of core dumps and other users' debuggers (E14); it encrypts nothing."""

import ctypes
import resource

PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden_process() -> None:
    """Forbid core dumps and ptrace by unprivileged processes, for this process and the children it forks.

    Raises
    ------
    OSError
        The kernel refused; the process must not go on to handle keys.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) was refused")
