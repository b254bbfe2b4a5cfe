"""Keeps this process's memory out of core dumps and other users' debuggers, and tells whether it may be swapped out (E14); it encrypts nothing."""

import ctypes
import resource
from contextlib import suppress
from pathlib import Path

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


def swap_in_clear(*, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> list[str] | None:
    """Name the swap areas where this process's memory, keys with it, may be written unencrypted; None if nobody can tell.

    None is in the way where the service may not swap at all (``memory.swap.max`` of its control group or of one above it),
    and compressed memory (zram) and volumes of dm-crypt are not in clear. Keys are not locked in memory one by one:
    Python copies them, and a copy that was not locked would make the promise untrue (docs/decisions/0054).
    """
    with suppress(OSError):
        for line in (proc / "self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/"):
                group = sys / "fs/cgroup" / line.removeprefix("0::/")
                for one in (group, *group.parents):
                    with suppress(OSError):
                        if (one / "memory.swap.max").read_text(encoding="utf-8").strip() == "0":
                            return []
    try:
        areas = [
            line.split()[0] for line in (proc / "swaps").read_text(encoding="utf-8").splitlines()[1:] if line
        ]
    except OSError:
        return None
    return [area for area in areas if not _is_safe(Path(area), sys)]


def _is_safe(area: Path, sys: Path) -> bool:
    name = area.resolve().name
    if name.startswith("zram"):
        return True
    with suppress(OSError):
        return (sys / "block" / name / "dm/uuid").read_text(encoding="utf-8").startswith("CRYPT-")
    return False
