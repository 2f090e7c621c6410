"""Write GGUF version 3: the same fields and tensors always give the same bytes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from services.common.models.gguf import ALIGNMENT_BYTES, MAGIC

_VERSION: Final = 3
_U8, _I32, _F32, _U32, _FLAG, _TEXT, _ARRAY = 0, 5, 6, 4, 7, 8, 9


class TensorType(IntEnum):
    """How the values of a tensor are stored."""

    F32 = 0
    F16 = 1
    Q4_0 = 2


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named array; shape counts values, outermost axis first; data holds the stored bytes."""

    name: str
    type: TensorType
    shape: tuple[int, ...]
    data: npt.NDArray[np.uint8]


class Fields:
    """The metadata of a file under construction, kept in the order it was added."""

    def __init__(self, architecture: str) -> None:
        self._architecture = architecture
        self._encoded: list[bytes] = []
        self.text("general.architecture", architecture)

    def text(self, key: str, value: str) -> None:
        """Add a text."""
        self._add(key, _TEXT, _encode_text(value.encode()))

    def number(self, key: str, value: int) -> None:
        """Add an unsigned number of 32 bits; "{arch}" in the key becomes the architecture."""
        self._add(key, _U32, struct.pack("<I", value))

    def real(self, key: str, value: float) -> None:
        """Add a real number of 32 bits."""
        self._add(key, _F32, struct.pack("<f", value))

    def flag(self, key: str, value: bool) -> None:
        """Add a truth value."""
        self._add(key, _FLAG, struct.pack("<?", value))

    def texts(self, key: str, values: Sequence[bytes]) -> None:
        """Add an array of texts, given as their bytes."""
        self._add_array(key, _TEXT, len(values), b"".join(map(_encode_text, values)))

    def numbers(self, key: str, values: Sequence[int]) -> None:
        """Add an array of signed numbers of 32 bits."""
        self._add_array(key, _I32, len(values), np.asarray(values, "<i4").tobytes())

    def reals(self, key: str, values: Sequence[float]) -> None:
        """Add an array of real numbers of 32 bits."""
        self._add_array(key, _F32, len(values), np.asarray(values, "<f4").tobytes())

    def raw(self, key: str, value: bytes) -> None:
        """Add an array of bytes."""
        self._add_array(key, _U8, len(value), value)

    def encode(self) -> bytes:
        """Return the fields as they stand in the file."""
        return b"".join(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)

    def _add(self, key: str, kind: int, value: bytes) -> None:
        name = key.format(arch=self._architecture).encode()
        self._encoded.append(_encode_text(name) + struct.pack("<I", kind) + value)

    def _add_array(self, key: str, kind: int, count: int, values: bytes) -> None:
        self._add(key, _ARRAY, struct.pack("<IQ", kind, count) + values)


def write_gguf(path: Path, fields: Fields, tensors: Sequence[Tensor]) -> None:
    """Write the file; the tensors' data is aligned and in the order given."""
    offset, infos = 0, []
    for tensor in tensors:
        infos.append(_encode_info(tensor, offset))
        offset += tensor.data.nbytes + _padding(tensor.data.nbytes)
    head = struct.pack("<4sIQQ", MAGIC, _VERSION, len(tensors), len(fields))
    head += fields.encode() + b"".join(infos)
    with path.open("wb") as file:
        file.write(head + bytes(_padding(len(head))))
        for tensor in tensors:
            file.write(tensor.data.data)
            file.write(bytes(_padding(tensor.data.nbytes)))


def _encode_text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def _encode_info(tensor: Tensor, offset: int) -> bytes:
    dims = tensor.shape[::-1]
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return _encode_text(tensor.name.encode()) + shape + struct.pack("<IQ", tensor.type, offset)


def _padding(size: int) -> int:
    return -size % ALIGNMENT_BYTES
