"""The texts and vectors that the search benchmark works with: a chat, embedded once and kept in the user's cache.

    python -m benchmarks.search_corpus PATH [--messages N] [--seconds S]

embeds as much as S seconds allow and goes on where the last run stopped; run it until nothing is missing.
"""

import argparse
import asyncio
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.load_corpus import make_corpus, read_corpus
from services.common.llama import EmbeddingModel
from services.common.models import ModelStore
from winnow.ingest.v1 import ingest_pb2

MODEL = "multilingual-e5-small"
SHARD = 4096
CLUSTERS = 400
_SPECTRUM_FALL = 0.4
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Corpus:
    """Messages with text, a unit vector for each, and where the vectors come from."""

    messages: list[ingest_pb2.MessageInput]
    vectors: Matrix
    origin: str


def read_messages(path: Path | None, most: int) -> list[ingest_pb2.MessageInput]:
    """The messages with text of a Telegram export, or of a chat that is made up."""
    found = read_corpus(path, most) if path else make_corpus(most)
    return [message for message in found if message.text.strip()]


def cache_folder(texts: list[str]) -> Path:
    """Where the vectors of these texts by this model are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(MODEL.encode())
    for text in texts[:SHARD]:
        digest.update(text.encode() + b"\0")
    return base / "winnow" / "bench" / digest.hexdigest()[:16]


def cached_vectors(texts: list[str]) -> Matrix:
    """What has been embedded so far, from the start; shape (n, d), n may be 0."""
    folder = cache_folder(texts)
    shards = []
    for start in range(0, len(texts), SHARD):
        path = folder / f"{start}.npy"
        if not path.exists():
            break
        shards.append(np.load(path).astype(np.float32))
    return np.concatenate(shards)[: len(texts)] if shards else np.zeros((0, 384), np.float32)


async def embed(texts: list[str], seconds: float, threads: int = 1) -> int:
    """Embed missing shards until the time is over; return how many texts still have no vector."""
    folder, until = cache_folder(texts), time.monotonic() + seconds
    folder.mkdir(parents=True, exist_ok=True)
    missing = [s for s in range(0, len(texts), SHARD) if not (folder / f"{s}.npy").exists()]
    if not missing:
        return 0
    resolved = ModelStore.open().resolve(MODEL, "embedding")
    model = EmbeddingModel.open(resolved.path, contexts=threads)
    try:
        while missing and time.monotonic() < until:
            start = missing.pop(0)
            vectors = await _encode(model, texts[start : start + SHARD], resolved.passage_prefix)
            # Half precision is what the database keeps.
            partial = folder / f"{start}.partial.npy"
            np.save(partial, vectors.astype(np.float16))
            partial.rename(folder / f"{start}.npy")
            print(f"embedded up to {start + len(vectors):,} of {len(texts):,}", flush=True)
    finally:
        model.close()
    return sum(min(SHARD, len(texts) - start) for start in missing)


async def _encode(model: EmbeddingModel, texts: list[str], prefix: str) -> Matrix:
    distinct = list(dict.fromkeys(texts))
    firsts = [parts[0] for parts in model.split_texts(distinct, prefix)]
    batches = [await model.encode(firsts[i : i + 256]) for i in range(0, len(firsts), 256)]
    place = {text: at for at, text in enumerate(distinct)}
    matrix: Matrix = np.concatenate(batches)[[place[text] for text in texts]]
    return matrix


def clustered(count: int, dimensions: int, seed: int = 7) -> Matrix:
    """Unit vectors around a few hundred centres, the same for every seed.

    Their spectrum falls as that of a chat's real vectors does (participation ratio 66, theirs 65): with all directions
    alike, everything is about as far from everything, and no index finds what is nearest.
    """
    spectrum = np.arange(1, dimensions + 1, dtype=np.float32) ** -_SPECTRUM_FALL
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, dimensions), np.float32)
    dice = np.random.default_rng(seed)
    vectors: Matrix = dice.standard_normal((count, dimensions), np.float32)
    vectors *= 0.75
    vectors += centres[dice.integers(0, CLUSTERS, count)]
    vectors *= spectrum
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


async def load(path: Path | None, most: int, seconds: float) -> Corpus:
    """The corpus, embedding what is missing for at most so long; what then still is gets made-up vectors."""
    messages = read_messages(path, most)
    texts = [message.text for message in messages]
    await embed(texts, seconds, threads=2)
    real = cached_vectors(texts)
    if len(real) == len(texts):
        return Corpus(messages, real, f"all {len(texts):,} vectors by {MODEL}")
    rest = _like(real, len(texts) - len(real)) if len(real) else clustered(len(texts), 384)
    origin = f"{len(real):,} vectors by {MODEL}, {len(texts) - len(real):,} made up around them"
    return Corpus(messages, np.concatenate([real, rest]), origin)


def _like(real: Matrix, count: int) -> Matrix:
    """Unit vectors near to real ones: each one moved by a random step of half its distance to the mean."""
    dice = np.random.default_rng(11)
    picked = real[dice.integers(0, len(real), count)]
    spread = float(np.linalg.norm(real - real.mean(axis=0), axis=1).mean())
    step = dice.standard_normal(picked.shape).astype(np.float32)
    step *= 0.5 * spread / np.linalg.norm(step, axis=1, keepdims=True)
    moved: Matrix = picked + step
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    return moved


def main() -> None:
    """Embed for a while."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.search_corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    texts = [message.text for message in read_messages(options.path, options.messages)]
    left = asyncio.run(embed(texts, options.seconds, options.threads))
    print(f"{left:,} of {len(texts):,} texts have no vector yet")


if __name__ == "__main__":
    main()
