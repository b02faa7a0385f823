"""Keeps the memory of a process that runs for days as it is after its first minutes.

glibc takes large blocks from the system and gives them back, but with every one that is freed it raises the
size from which it does so, up to 32 MiB. From then on pictures lie in the heap among small things that live
longer, and the heap frays out. Setting that size once ends its raising.
"""

import ctypes
import platform

_LARGE = 128 << 10  # [bytes] a block from the system; where glibc itself begins
_M_MMAP_THRESHOLD = -3  # of malloc.h


def keep_heap_whole() -> bool:
    """Give large blocks back as soon as they are free; true where this C library knows how."""
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE))
