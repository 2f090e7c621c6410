"""Which of llama.cpp's libraries computes here, and what it uses of the processor."""

import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import llama_cpp.llama_cpp as c

_LOGGER: Final = logging.getLogger("winnow.llama")
_LOG_ERROR: Final = 4


@c.llama_log_callback  # type: ignore[untyped-decorator]
def forward_log(level: int, text: bytes, _: object) -> None:
    """Write to the log what llama.cpp says."""
    severity = logging.WARNING if level == _LOG_ERROR else logging.DEBUG
    _LOGGER.log(severity, "%s", text.decode("utf-8", "replace").rstrip())


def _open_backend() -> int:
    """Return llama.cpp's backend for processors: built in, or of those built for many the best for this one."""
    lib = c._lib  # noqa: SLF001 - the binding names only what llama.cpp itself has
    lib.ggml_backend_reg_by_name.argtypes = [ctypes.c_char_p]
    lib.ggml_backend_reg_by_name.restype = ctypes.c_void_p
    found: int | None = lib.ggml_backend_reg_by_name(b"CPU")
    if not found:
        c.llama_log_set(forward_log, ctypes.c_void_p(0))
        lib.ggml_backend_load_all_from_path.argtypes = [ctypes.c_char_p]
        lib.ggml_backend_load_all_from_path.restype = None
        lib.ggml_backend_load_all_from_path(os.fsencode(Path(lib._name).parent))  # noqa: SLF001
        found = lib.ggml_backend_reg_by_name(b"CPU")
    if not found:
        raise ImportError("llama.cpp was not built for this processor")
    return found


def find_keep_for_encoding() -> Callable[[bool], None] | None:
    """Find what requirements/llama_cpp.cmake adds to llama.cpp where the processor has AVX2 or more."""
    lib = c._lib  # noqa: SLF001
    lib.ggml_backend_reg_get_proc_address.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    lib.ggml_backend_reg_get_proc_address.restype = ctypes.c_void_p
    address = lib.ggml_backend_reg_get_proc_address(_open_backend(), b"winnow_keep_for_encoding")
    return ctypes.CFUNCTYPE(None, ctypes.c_bool)(address) if address else None


def processor_features() -> str:
    """Return which of the processor's instructions llama.cpp uses, such as AVX512_VNNI, separated by spaces."""
    _open_backend()
    told = c.llama_print_system_info().decode().split("|")
    pairs = [part.rpartition(":")[2].split("=") for part in told if "=" in part]
    return " ".join(name.strip() for name, value in pairs if value.strip() == "1")
