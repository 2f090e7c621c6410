"""Repack multilingual-e5-small from an "E5S1" file to GGUF; its blocks are Q4_0 and stay so."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.common.models.converters.charsmap import build_charsmap
from services.common.models.errors import BadModelFile
from services.common.models.gguf_writer import Fields, Tensor, TensorType, write_gguf

_MAGIC: Final = b"E5S1"
_BLOCK_VALUES, _BLOCK_BYTES = 32, 18
_NORMAL, _UNKNOWN, _CONTROL, _UNUSED = 1, 2, 3, 5
_UNUSED_SCORE: Final = -10_000.0
_POOLING_MEAN: Final = 1
_FILE_TYPE_Q4_0: Final = 2

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Network:
    """The sizes of the network, in the order of the file."""

    width: int
    layers: int
    heads: int
    inner_width: int
    vocabulary: int
    positions: int
    segment_types: int
    epsilon: float
    block_values: int


@dataclass(frozen=True, slots=True)
class _Vocabulary:
    """The unigram pieces with their scores, the special ids and the character replacements."""

    bos: int
    eos: int
    padding: int
    unknown: int
    pieces: list[bytes]
    scores: list[float]
    replacements: dict[str, str]


def convert_e5(members: Mapping[str, Path], output: Path) -> None:
    """Write the GGUF; the one member is e5-small-q4.bin."""
    source = members["e5-small-q4.bin"]
    reader = _Reader(source, source.read_bytes())
    network = reader.network()
    vocabulary = reader.vocabulary()
    arrays = reader.arrays()
    fields = Fields("bert")
    _describe_network(fields, network)
    segment_types = arrays["emb.type"].nbytes // 4 // network.width
    _describe_tokenizer(fields, vocabulary, network.vocabulary, segment_types)
    write_gguf(output, fields, list(_tensors(network, arrays)))


def _describe_network(fields: Fields, network: _Network) -> None:
    fields.text("general.name", "multilingual-e5-small")
    fields.text("general.type", "model")
    fields.text("general.license", "mit")
    fields.number("{arch}.context_length", network.positions)
    fields.number("{arch}.embedding_length", network.width)
    fields.number("{arch}.feed_forward_length", network.inner_width)
    fields.number("{arch}.block_count", network.layers)
    fields.number("{arch}.attention.head_count", network.heads)
    fields.real("{arch}.attention.layer_norm_epsilon", network.epsilon)
    fields.flag("{arch}.attention.causal", False)
    fields.number("{arch}.pooling_type", _POOLING_MEAN)
    fields.number("general.file_type", _FILE_TYPE_Q4_0)


def _describe_tokenizer(
    fields: Fields, vocabulary: _Vocabulary, size: int, segment_types: int
) -> None:
    count = len(vocabulary.pieces)
    unused = [f"[PAD{i}]".encode() for i in range(count, size)]
    fields.text("tokenizer.ggml.model", "t5")
    fields.text("tokenizer.ggml.pre", "default")
    fields.texts("tokenizer.ggml.tokens", vocabulary.pieces + unused)
    fields.reals("tokenizer.ggml.scores", vocabulary.scores + [_UNUSED_SCORE] * len(unused))
    fields.numbers("tokenizer.ggml.token_type", _kinds(vocabulary) + [_UNUSED] * len(unused))
    fields.number("tokenizer.ggml.token_type_count", segment_types)
    fields.flag("tokenizer.ggml.add_space_prefix", True)
    fields.flag("tokenizer.ggml.remove_extra_whitespaces", True)
    fields.raw("tokenizer.ggml.precompiled_charsmap", build_charsmap(vocabulary.replacements))
    fields.number("tokenizer.ggml.bos_token_id", vocabulary.bos)
    fields.number("tokenizer.ggml.eos_token_id", vocabulary.eos)
    fields.number("tokenizer.ggml.padding_token_id", vocabulary.padding)
    fields.number("tokenizer.ggml.unknown_token_id", vocabulary.unknown)
    fields.number("tokenizer.ggml.seperator_token_id", vocabulary.eos)  # spelt so in the format
    fields.flag("tokenizer.ggml.add_bos_token", True)
    fields.flag("tokenizer.ggml.add_eos_token", True)


def _kinds(vocabulary: _Vocabulary) -> list[int]:
    kinds = [_NORMAL] * len(vocabulary.pieces)
    for token in (vocabulary.bos, vocabulary.eos, vocabulary.padding):
        kinds[token] = _CONTROL
    kinds[vocabulary.unknown] = _UNKNOWN
    if b"<mask>" in vocabulary.pieces:
        kinds[vocabulary.pieces.index(b"<mask>")] = _CONTROL
    return kinds


def _tensors(network: _Network, arrays: Mapping[str, _Bytes]) -> Iterator[Tensor]:
    width, inner = network.width, network.inner_width
    yield _quantised("token_embd.weight", arrays["emb.word"], network.vocabulary, width)
    yield _plain("position_embd.weight", arrays["emb.pos"], (-1, width))
    yield _plain("token_types.weight", arrays["emb.type"], (-1, width))
    yield from _norm("token_embd_norm", arrays, "emb.ln")
    for layer in range(network.layers):
        for source, target, rows, columns in (
            ("q", "attn_q", width, width),
            ("k", "attn_k", width, width),
            ("v", "attn_v", width, width),
            ("ao", "attn_output", width, width),
            ("fi", "ffn_up", inner, width),
            ("fo", "ffn_down", width, inner),
        ):
            weight, bias = arrays[f"l{layer}.{source}.w"], arrays[f"l{layer}.{source}.b"]
            yield _quantised(f"blk.{layer}.{target}.weight", weight, rows, columns)
            yield _plain(f"blk.{layer}.{target}.bias", bias, (-1,))
        yield from _norm(f"blk.{layer}.attn_output_norm", arrays, f"l{layer}.aln")
        yield from _norm(f"blk.{layer}.layer_output_norm", arrays, f"l{layer}.oln")


def _norm(target: str, arrays: Mapping[str, _Bytes], source: str) -> Iterator[Tensor]:
    yield _plain(f"{target}.weight", arrays[f"{source}.w"], (-1,))
    yield _plain(f"{target}.bias", arrays[f"{source}.b"], (-1,))


def _quantised(name: str, data: _Bytes, rows: int, columns: int) -> Tensor:
    blocks = data.reshape(rows, columns // _BLOCK_VALUES * _BLOCK_BYTES)
    return Tensor(name, TensorType.Q4_0, (rows, columns), blocks.reshape(-1))


def _plain(name: str, data: _Bytes, shape: tuple[int, ...]) -> Tensor:
    values = data.view("<f4").reshape(shape)
    return Tensor(name, TensorType.F32, values.shape, data)


class _Reader:
    """A position in an "E5S1" file: sizes, vocabulary, then a directory of arrays."""

    def __init__(self, path: Path, data: bytes) -> None:
        if data[: len(_MAGIC)] != _MAGIC:
            raise BadModelFile(path, "not an E5S1 file")
        self._data = data
        self._at = 2 * len(_MAGIC)

    def network(self) -> _Network:
        return _Network(*self._take("7ifi"))

    def vocabulary(self) -> _Vocabulary:
        count, bos, eos, padding, unknown, size = self._take("5iQ")
        offsets = self._array(np.uint32, count + 1).tolist()
        scores = self._array(np.float32, count).tolist()
        joined = self._bytes(size)
        pieces = [joined[offsets[i] : offsets[i + 1]] for i in range(count)]
        return _Vocabulary(bos, eos, padding, unknown, pieces, scores, self._replacements())

    def arrays(self) -> dict[str, _Bytes]:
        """Return the stored bytes of every array by name."""
        (count,) = self._take("i")
        found = {}
        for _ in range(count):
            (length,) = self._take("H")
            name = self._bytes(length).decode()
            _, _, offset, size = self._take("BIQQ")
            found[name] = np.frombuffer(self._data, np.uint8, size, offset)
        return found

    def _replacements(self) -> dict[str, str]:
        """Read what each character is normalised to; halves of surrogate pairs have no UTF-8."""
        found = {}
        count, _ = self._take("iI")
        for _ in range(count):
            source, length = self._take("IB")
            target = "".join(map(chr, self._take(f"{length}I")))
            if source and not _is_surrogate(source):
                found[chr(source)] = target.encode("utf-8", "ignore").decode()
        return found

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def _array(self, kind: type[np.generic], count: int) -> npt.NDArray[Any]:
        values = np.frombuffer(self._data, kind, count, self._at)
        self._at += values.nbytes
        return values

    def _bytes(self, size: int) -> bytes:
        value = self._data[self._at : self._at + size]
        self._at += size
        return value


def _is_surrogate(point: int) -> bool:
    return 0xD800 <= point <= 0xDFFF
