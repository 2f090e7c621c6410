"""Pages of this process's memory that hold nothing of use, given back to the machine."""

import ctypes
import mmap
import sys
from typing import Final

_DONT_NEED: Final = 4


def give_back(address: int, size: int) -> None:
    """Let the machine have the whole pages of a stretch of memory; read again, they are zeros. Only Linux does so."""
    first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if sys.platform != "linux" or last <= first:
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    library.madvise(first, last - first, _DONT_NEED)
