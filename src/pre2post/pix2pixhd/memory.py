"""Memory of a step stays with the process, for the next one to use."""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # from malloc.h of glibc
NEVER = -1  # switches giving back off, as the manual of mallopt says


def keep_freed_memory() -> None:
    """Tells the C library's malloc to give no memory back to the system; where there is no such switch, does nothing.

    By default every large tensor is a mapping of its own, and new pages, cleared by the system, every time: a third of
    a training step on a CPU.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, NEVER)
