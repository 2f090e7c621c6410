"""Read the header of a GGUF file (versions 2 and 3, little endian) without loading the model."""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.common.models.errors import BadModelFile

Scalar = int | float | bool | str

MAGIC: Final = b"GGUF"
ALIGNMENT_BYTES: Final = 32
# Of general.file_type: numbers of 32 and 16 bits.
UNQUANTISED_FILE_TYPES: Final = (0, 1, 32)
POOLINGS: Final = ("none", "mean", "cls", "last", "rank")

_SCALARS: Final = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_U32: Final = _SCALARS[4]
_U64: Final = _SCALARS[10]
_TEXT: Final = 8
_ARRAY: Final = 9
_DIMS_MAX: Final = 4

# Tensor type -> (values in a block, bytes of a block), from ggml's table of types.
_BLOCKS: Final = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of itself: its scalar metadata and its extent in bytes."""

    path: Path
    metadata: dict[str, Scalar]
    tensor_count: int
    file_bytes: int

    @property
    def is_quantised(self) -> bool:
        """Whether its weights have fewer bits than real numbers of 32 or 16."""
        return self.metadata.get("general.file_type") not in UNQUANTISED_FILE_TYPES

    @property
    def architecture(self) -> str:
        """The name of the network, such as "bert" or "llama"."""
        return str(self.metadata.get("general.architecture", "unknown"))

    @property
    def dimensions(self) -> int:
        """Values in one embedding; 0 when the file does not say."""
        return self._number("embedding_length")

    @property
    def context_tokens(self) -> int:
        """Tokens the model was trained to read at once; 0 when the file does not say."""
        return self._number("context_length")

    @property
    def pooling(self) -> str:
        """How token vectors become one: none, mean, cls, last, rank, or unspecified."""
        number = self.metadata.get(f"{self.architecture}.pooling_type")
        known = isinstance(number, int) and 0 <= number < len(POOLINGS)
        return POOLINGS[int(number)] if known and number is not None else "unspecified"

    @property
    def causal(self) -> bool:
        """Whether a token sees only those before it, as it must to generate text."""
        if self.architecture.endswith("bert"):
            return False
        return bool(self.metadata.get(f"{self.architecture}.attention.causal", True))

    def _number(self, key: str) -> int:
        value = self.metadata.get(f"{self.architecture}.{key}", 0)
        return value if isinstance(value, int) else 0


def read_header(path: Path) -> GgufHeader:
    """Return the header of the file; BadModelFile when it is absent, not GGUF or cut short."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise BadModelFile(path, "not a GGUF file")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data).header()
    except OSError as error:
        raise BadModelFile(path, (error.strerror or str(error)).lower()) from error


class _Reader:
    """A position in the header of one mapped file."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._at = len(MAGIC)

    def header(self) -> GgufHeader:
        version = int(self._scalar(_U32))
        if version not in (2, 3):
            raise BadModelFile(self._path, f"GGUF version {version} is not supported")
        tensors, fields = int(self._scalar(_U64)), int(self._scalar(_U64))
        metadata: dict[str, Scalar] = {}
        for _ in range(fields):
            self._field(metadata)
        data_bytes = max((self._tensor_end() for _ in range(tensors)), default=0)
        self._check_extent(metadata, data_bytes)
        return GgufHeader(self._path, metadata, tensors, len(self._data))

    def _check_extent(self, metadata: dict[str, Scalar], data_bytes: int) -> None:
        alignment = metadata.get("general.alignment", ALIGNMENT_BYTES)
        if not isinstance(alignment, int) or alignment < 0:
            raise BadModelFile(self._path, f"damaged: an alignment of {alignment}")
        alignment = alignment or 1
        expected = -(-self._at // alignment) * alignment + data_bytes
        if expected > len(self._data):
            raise BadModelFile(
                self._path, f"truncated: {len(self._data)} of at least {expected} bytes"
            )

    def _field(self, metadata: dict[str, Scalar]) -> None:
        key, kind = self._text(), int(self._scalar(_U32))
        if kind == _ARRAY:
            self._skip_array()
        elif kind == _TEXT:
            metadata[key] = self._text()
        else:
            metadata[key] = self._scalar(self._format(kind))

    def _tensor_end(self) -> int:
        self._skip(self._length())
        dims = int(self._scalar(_U32))
        if dims > _DIMS_MAX:
            raise BadModelFile(self._path, f"damaged: a tensor of {dims} dimensions")
        values = 1
        for _ in range(dims):
            values *= int(self._scalar(_U64))
        kind, offset = int(self._scalar(_U32)), int(self._scalar(_U64))
        block_values, block_bytes = _BLOCKS.get(kind, (1, 0))
        return offset + values // block_values * block_bytes

    def _skip_array(self) -> None:
        kind, count = int(self._scalar(_U32)), int(self._scalar(_U64))
        if kind == _TEXT:
            for _ in range(count):
                self._skip(self._length())
        else:
            self._skip(self._format(kind).size * count)

    def _format(self, kind: int) -> struct.Struct:
        if kind not in _SCALARS:
            raise BadModelFile(self._path, f"damaged: a value of unknown type {kind}")
        return _SCALARS[kind]

    def _scalar(self, form: struct.Struct) -> int | float | bool:
        start = self._at
        self._skip(form.size)
        value: int | float | bool = form.unpack_from(self._data, start)[0]
        return value

    def _length(self) -> int:
        return int(self._scalar(_U64))

    def _text(self) -> str:
        size = self._length()
        start = self._at
        self._skip(size)
        return self._data[start : start + size].decode("utf-8", "replace")

    def _skip(self, size: int) -> None:
        self._at += size
        if self._at > len(self._data):
            raise BadModelFile(self._path, f"truncated: the header ends after {len(self._data)}")
