"""Keeps memory that was freed for the next step, instead of giving it back to the system and asking for it again.

glibc hands blocks of some size back at once, and the kernel fills each page with zeros when it is touched next: 20,000
pages in a step of the sample job, a twentieth of its time. What is kept is what the next step takes, so that the most
that a run holds stays the same. While memory still grows, in the first dozens of steps, pages of 2 MiB are touched
where others took 512 of 4 KiB: 130 instead of 1,500 a step, each of which costs up to 8 µs on a virtual machine.
"""

import ctypes
import os

#: Numbers of glibc's mallopt (malloc.h), and the largest values that it takes: 32 MiB, and the largest int.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK, _NEVER = 32 * 2**20, 2**31 - 1
#: Linux's MADV_HUGEPAGE (madvise(2)), the size of such a page, and how much of the heap is asked for in them: below
#: what is never given back, and no memory until it is touched.
_HUGE_PAGES, _HUGE_PAGE, _ASKED = 14, 2 * 2**20, 1536 * 2**20
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
    kept = bool(mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
    if kept:
        _ask_for_huge_pages()
    return kept


def _ask_for_huge_pages() -> None:
    """Let the heap grow in huge pages, if the system has any to give: a hint, which may come to nothing.

    The heap is made to grow by blocks that are never written to, its addresses are marked, and the blocks are freed.
    """
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.restype, libc.free.argtypes = None, (ctypes.c_void_p,)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    size = _LARGEST_BLOCK - _HUGE_PAGE  # a larger one would not come from the heap
    blocks = [block for block in (libc.malloc(size) for _ in range(_ASKED // size)) if block is not None]
    for block in blocks:
        first = -(-block // _HUGE_PAGE) * _HUGE_PAGE
        libc.madvise(first, (block + size) // _HUGE_PAGE * _HUGE_PAGE - first, _HUGE_PAGES)
    for block in blocks:
        libc.free(block)
