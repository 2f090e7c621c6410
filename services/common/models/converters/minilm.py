"""Convert all-MiniLM-L6-v2 (safetensors, word-piece vocabulary) to GGUF with 16-bit weights."""

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.common.models.gguf_writer import Fields, Tensor, TensorType, write_gguf

_EMBEDDING_NAMES: Final = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
_LAYER_NAMES: Final = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_WHOLE_PRECISION: Final = frozenset({"position_embd.weight", "token_types.weight"})
_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_NORMAL, _CONTROL = 1, 3
_POOLING_MEAN: Final = 1
_FILE_TYPE_F16: Final = 1


def convert_minilm(members: Mapping[str, Path], output: Path) -> None:
    """Write the GGUF; members are config.json, vocab.txt and model.safetensors."""
    config = json.loads(members["config.json"].read_text("utf-8"))
    words = members["vocab.txt"].read_text("utf-8").removesuffix("\n").split("\n")
    fields = Fields("bert")
    _describe_network(fields, config)
    _describe_tokenizer(fields, words, int(config["type_vocab_size"]))
    write_gguf(output, fields, list(_tensors(members["model.safetensors"])))


def _describe_network(fields: Fields, config: Mapping[str, Any]) -> None:
    fields.text("general.name", "all-MiniLM-L6-v2")
    fields.text("general.type", "model")
    fields.text("general.license", "apache-2.0")
    fields.number("{arch}.context_length", config["max_position_embeddings"])
    fields.number("{arch}.embedding_length", config["hidden_size"])
    fields.number("{arch}.feed_forward_length", config["intermediate_size"])
    fields.number("{arch}.block_count", config["num_hidden_layers"])
    fields.number("{arch}.attention.head_count", config["num_attention_heads"])
    fields.real("{arch}.attention.layer_norm_epsilon", config["layer_norm_eps"])
    fields.flag("{arch}.attention.causal", False)
    fields.number("{arch}.pooling_type", _POOLING_MEAN)
    fields.number("general.file_type", _FILE_TYPE_F16)


def _describe_tokenizer(fields: Fields, words: list[str], segment_types: int) -> None:
    fields.text("tokenizer.ggml.model", "bert")
    fields.text("tokenizer.ggml.pre", "default")
    fields.texts("tokenizer.ggml.tokens", [_respell(word).encode() for word in words])
    kinds = [_CONTROL if word in _SPECIAL else _NORMAL for word in words]
    fields.numbers("tokenizer.ggml.token_type", kinds)
    fields.number("tokenizer.ggml.token_type_count", segment_types)
    for role, word in (
        ("unknown", "[UNK]"),
        ("seperator", "[SEP]"),  # spelt so in the format
        ("padding", "[PAD]"),
        ("mask", "[MASK]"),
        ("bos", "[CLS]"),
        ("eos", "[SEP]"),
    ):
        fields.number(f"tokenizer.ggml.{role}_token_id", words.index(word))
    fields.flag("tokenizer.ggml.add_bos_token", True)
    fields.flag("tokenizer.ggml.add_eos_token", True)
    fields.flag("tokenizer.ggml.normalizer.lowercase", True)


def _respell(word: str) -> str:
    """Mark where words start, as llama.cpp does; the vocabulary marks where they continue."""
    if word in _SPECIAL:
        return word
    return word[2:] if word.startswith("##") else "\u2581" + word


def _tensors(path: Path) -> Iterator[Tensor]:
    for source, values in _read_safetensors(path):
        name = _rename(source)
        if name is None:
            continue
        whole = values.ndim == 1 or name in _WHOLE_PRECISION
        stored = values.astype("<f4" if whole else "<f2")
        kind = TensorType.F32 if whole else TensorType.F16
        yield Tensor(name, kind, stored.shape, stored.reshape(-1).view(np.uint8))


def _rename(source: str) -> str | None:
    """Return the GGUF name of a weight, or None for one that inference does not need."""
    if source in _EMBEDDING_NAMES:
        return _EMBEDDING_NAMES[source]
    if not source.startswith("encoder.layer."):
        return None
    layer, rest = source.removeprefix("encoder.layer.").split(".", 1)
    stem, kind = rest.rsplit(".", 1)
    return f"blk.{layer}.{_LAYER_NAMES[stem]}.{kind}"


def _read_safetensors(path: Path) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Yield the 32-bit arrays of a safetensors file in the order of its header."""
    raw = np.memmap(path, np.uint8, "r")
    (size,) = struct.unpack("<Q", raw[:8].tobytes())
    data = raw[8 + size :]
    for name, entry in json.loads(raw[8 : 8 + size].tobytes()).items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            yield name, data[start:end].view(np.float32).reshape(entry["shape"])
