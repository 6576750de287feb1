"""Keeps memory that was freed for the next step, instead of giving it back to the system and asking for it again.

glibc hands blocks of some size back at once, and the kernel fills each page with zeros when it is touched next: 20,000
pages in a step of the sample job, a twentieth of its time. What is kept is what the next step takes, so that the most
that a run holds stays the same.
"""

import ctypes
import os

#: Numbers of glibc's mallopt (malloc.h), and the largest values that it takes: 32 MiB, and the largest int.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK, _NEVER = 32 * 2**20, 2**31 - 1
#: What a user may have set, by glibc's own names; another allocator is preloaded by the last.
_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks up to 32 MiB, and return whether it will.

    It will not where somebody set its environment variables or preloads another allocator, and where there is no glibc.
    """
    if any(name in os.environ for name in _SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
