"""What becomes of the memory that a computing process frees."""

from __future__ import annotations

import ctypes
import os
import sys

# parameters of mallopt, from glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_NEVER = -1


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for its next tensors; its memory then stays as large as it ever was.

    glibc maps every block over 32 MB afresh and hands it back when it is freed, so the system clears each page of each
    large tensor again, at every step: up to a quarter of a training step's time on a CPU. With this, blocks of all
    sizes come from one heap, which all threads share, never shrinks and grows by 64 MB at a time. Results are the same
    bits. For processes that train or draw on the CPU; processes that they fork inherit it.

    Does nothing without glibc, and where the environment sets glibc's allocator (`MALLOC_...`, `GLIBC_TUNABLES`).
    """
    if sys.platform != "linux" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        for parameter, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, 64 << 20), (_ARENA_MAX, 1)):
            library.mallopt(parameter, value)
