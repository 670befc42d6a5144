"""How the C library hands out memory, which decides much of the time of a training step on a CPU."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
"""Parameters of glibc's mallopt(3), from malloc.h."""
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let freed memory stay with the process, to be handed out again; whether the C library could be told so.

    glibc maps blocks of more than 32 MiB anew for each allocation and unmaps them when they are freed; smaller ones
    are given back whenever the top of the heap is free. A feature map of a training step is such a block: each of its
    4 KiB pages is then faulted in and filled with zeros before the first value is written, which takes several times as
    long as an activation function does on the whole map. Kept, the process holds its peak until it ends.

    One heap for all threads, so that what one frees another can use. Elsewhere than on glibc nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    wanted = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: LARGEST_INT, M_TOP_PAD: 64 * 2**20, M_ARENA_MAX: 1}
    return all([mallopt(ctypes.c_int(key), ctypes.c_int(value)) == 1 for key, value in wanted.items()])
