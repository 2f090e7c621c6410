"""Which thread computes a batch: the one that asks, or a companion that lets the rest of the machine go first.

A thread that steps back must not hold the interpreter's lock: until it is let run, no other thread of the process is.
So only the computation steps back, on a thread of llama.cpp's (requirements/llama_companion.h), and its caller waits
without the lock.
"""

import ctypes
from typing import Any, Final, Protocol

import llama_cpp.llama_cpp as c

_LIB: Final = c._lib  # noqa: SLF001 - the binding names only what llama.cpp itself has
_LIB.winnow_companion_start.argtypes = []
_LIB.winnow_companion_start.restype = ctypes.c_void_p
_LIB.winnow_companion_compute.argtypes = [
    ctypes.c_void_p,
    c.llama_context_p_ctypes,
    c.llama_batch,
]
_LIB.winnow_companion_compute.restype = ctypes.c_int32
_LIB.winnow_companion_end.argtypes = [ctypes.c_void_p]
_LIB.winnow_companion_end.restype = None


class Computer(Protocol):
    """Computes batches of one context."""

    def compute(self, batch: Any) -> int:
        """Return llama.cpp's status, 0 for success."""

    def close(self) -> None:
        """End its thread, if it has one."""


class Caller:
    """Computes in the thread that asks."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._run = c.llama_decode if c.llama_get_memory(context) else c.llama_encode

    def compute(self, batch: Any) -> int:
        """Return llama.cpp's status, 0 for success."""
        return int(self._run(self._context, batch))

    def close(self) -> None:
        """Nothing to end."""


class Companion:
    """Computes in a thread of its own that steps back; OSError if none can be started."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._handle = _LIB.winnow_companion_start()
        if not self._handle:
            raise OSError("no thread can be started")

    def compute(self, batch: Any) -> int:
        """Return llama.cpp's status, 0 for success."""
        return int(_LIB.winnow_companion_compute(self._handle, self._context, batch))

    def close(self) -> None:
        """End the thread."""
        _LIB.winnow_companion_end(self._handle)
