"""In which numbers a model computes: those of its file, or 8 bits where the processor multiplies those much faster."""

import logging
import tempfile
from pathlib import Path
from typing import Final

from services.common.llama.errors import LoadFailed
from services.common.llama.native import Weights, multiplies_tiles, write_in_bytes
from services.common.models.gguf import GgufHeader

_LOGGER: Final = logging.getLogger("winnow.llama")
# Of general.file_type: numbers of 32 and 16 bits.
_UNQUANTISED_FILE_TYPES: Final = (0, 1, 32)


def load_weights(header: GgufHeader, exact: bool) -> tuple[Weights, bool]:
    """Load a model for encoding; return it and whether it computes with numbers of fewer bits than 16.

    Matrix units have no use for the 16 or 32 bits of an unquantised file, so there it is read as 8 bits unless it must
    be `exact`: twice as fast, at a cosine of 0.9996 to the exact vectors. Without room for the copy it stays as it is.
    """
    if not is_unquantised(header):
        return Weights(header.path), True
    if exact or not multiplies_tiles():
        return Weights(header.path), False
    try:
        with tempfile.TemporaryDirectory(prefix="winnow-") as folder:
            copy = Path(folder) / "weights.gguf"
            write_in_bytes(header.path, copy)
            return Weights(header.path, copy), True
    except (OSError, LoadFailed) as error:
        _LOGGER.warning("%s is read exactly, which is slower: %s", header.path, error)
    return Weights(header.path), False


def is_unquantised(header: GgufHeader) -> bool:
    """Return whether the file holds real numbers of 32 or 16 bits."""
    return header.metadata.get("general.file_type") in _UNQUANTISED_FILE_TYPES
