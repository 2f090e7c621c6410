"""Texts to vectors a second: the service, its engine, and what one would use instead, on the same texts.

    python -m benchmarks.embedding [--data PATH] [--messages 5000] [--rounds 3] [--model all-MiniLM-L6-v2]

Every way takes the same distinct texts and gives their vectors, tokenising included, on this machine's
processor. The service: tasks made in the database, claimed, encoded and committed, until the HNSW graphs that are due
are there, in a process of its own. The engine: the model as the service loads it. The bare loop: llama.cpp's own calls,
packed and sorted, in each of several settings, the best of which counts; with the file as it is, and in 8 bits where
the engine computes so. Llama.embed(list) of the binding.
ONNX Runtime with the same model in 8 bits, and sentence-transformers, which `make bench` installs into
build/bench-embedding; the latter where the package index has a torch for processors alone, since the other brings
gigabytes of CUDA.

The ways take turns; figures are medians of the rounds. On a machine that is busy otherwise the rates of
processor time are the truer ones: they are given beside. The last line is one JSON object.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as c
import numpy as np
import uvloop

from benchmarks.deployment import Deployed, cpu_seconds, deployed
from benchmarks.embedding_peers import EmbedList, installed_peers
from benchmarks.freshness import load
from benchmarks.load_corpus import make_corpus, read_corpus
from services.common.llama import EmbeddingModel
from services.common.llama.native import encodes_in_bytes, load_model
from services.common.models import ModelStore
from services.embedder.embedding import embed_texts
from services.embedder.service import EmbedderSettings
from winnow.ingest.v1 import ingest_pb2

SERVICE_SECONDS_MAX = 600.0
BATCH = 256
AT_ONCE: int = EmbedderSettings.model_fields["embed_parallel"].default
BARE = [
    (contexts, threads, budget) for contexts, threads in ((2, 1), (1, 2)) for budget in (128, 256)
]
Way = Callable[[], Awaitable[np.ndarray | None]]


# --- the ways


class Engine:
    """The model as the service loads it."""

    def __init__(self, path: Path, texts: Sequence[str]) -> None:
        self._model, self._texts = EmbeddingModel.open(path), texts

    async def run(self) -> np.ndarray:
        """Embed all texts, as many batches at once as the stage has under way."""
        rows = np.empty((len(self._texts), self._model.dimensions), np.float32)
        starts = iter(range(0, len(self._texts), BATCH))

        async def work() -> None:
            for start in starts:
                made = await embed_texts(self._model, self._texts[start : start + BATCH], "")
                rows[start : start + BATCH] = [vectors.rows[0] for vectors in made]

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return rows

    def count_tokens(self) -> int:
        """How many tokens the texts have."""
        return sum(map(len, self._model.tokenize(self._texts)))


class BareLoop:
    """llama.cpp's own calls and nothing else: contexts, a plan of batches, a thread a context."""

    def __init__(
        self,
        path: Path,
        texts: Sequence[str],
        in_bytes: bool,
        contexts: int,
        threads: int,
        budget: int,
    ) -> None:
        self._texts, self._budget = texts, budget
        self._model = load_model(path, in_bytes)
        self._vocab = c.llama_model_get_vocab(self._model)
        self._width = c.llama_model_n_embd(self._model)
        self._contexts = [self._open(threads) for _ in range(contexts)]

    def _open(self, threads: int) -> tuple[Any, Any]:
        parameters = c.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 512
        parameters.n_seq_max, parameters.embeddings, parameters.kv_unified = 64, True, True
        parameters.n_threads = parameters.n_threads_batch = threads
        return c.llama_init_from_model(self._model, parameters), c.llama_batch_init(512, 0, 1)

    def _tokens(self, text: str) -> np.ndarray:
        data = text.encode()
        room = (c.llama_token * (len(data) + 8))()
        count = c.llama_tokenize(self._vocab, data, len(data), room, len(room), True, True)
        return np.array(room[:count][:512], np.int32)

    def _plan(self, lengths: Sequence[int]) -> list[list[int]]:
        batches: list[list[int]] = []
        room = 0
        for at in sorted(range(len(lengths)), key=lambda i: lengths[i]):
            if not batches or lengths[at] > room or len(batches[-1]) == 64:
                batches.append([])
                room = max(self._budget, lengths[at])
            batches[-1].append(at)
            room -= lengths[at]
        return batches

    async def run(self) -> np.ndarray:
        """Embed all texts."""
        return await asyncio.to_thread(self._run)

    def _run(self) -> np.ndarray:
        tokens = [self._tokens(text) for text in self._texts]
        plan, lock = iter(self._plan([len(each) for each in tokens])), threading.Lock()
        out = np.empty((len(tokens), self._width), np.float32)

        def work(context: Any, batch: Any) -> None:
            while True:
                with lock:
                    chosen = next(plan, None)
                if chosen is None:
                    return
                self._encode(context, batch, chosen, tokens, out)

        threads = [threading.Thread(target=work, args=each) for each in self._contexts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        unit: np.ndarray = out / np.linalg.norm(out, axis=1, keepdims=True)
        return unit

    def _encode(
        self, context: Any, batch: Any, chosen: list[int], tokens: list[np.ndarray], out: np.ndarray
    ) -> None:
        at = 0
        for place, index in enumerate(chosen):
            for position, token in enumerate(tokens[index].tolist()):
                batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, position, 1
                batch.seq_id[at][0], batch.logits[at] = place, 1
                at += 1
        batch.n_tokens = at
        assert c.llama_encode(context, batch) == 0
        for place, index in enumerate(chosen):
            pointer = c.llama_get_embeddings_seq(context, place)
            out[index] = np.ctypeslib.as_array(pointer, shape=(self._width,))


class ServiceWay:
    """The whole service: tasks in the database to vectors committed, and the graphs that are due."""

    def __init__(self, bench: Deployed, count: int) -> None:
        self._bench, self._count = bench, count
        self.pid = bench.pids["embedder"]

    async def run(self) -> None:
        """Ask for all vectors anew, as ingest does, and wait for the last, and for the graph that is due by then."""
        admin, workspace = self._bench.admin, self._bench.workspace
        await admin.execute("delete from embedder.vector")
        await admin.execute("delete from spine.task where stage = 'embed'")
        # Otherwise PostgreSQL would clean up by itself while something else is measured.
        for table in ("embedder.vector", "spine.task"):
            await admin.execute(f"vacuum {table}")
        await admin.execute("select set_config('winnow.workspace_id', $1, false)", str(workspace))
        self.began, spent = time.perf_counter(), cpu_seconds(self.pid)
        await admin.execute(
            """select spine.enqueue_embedding($1, 'message', array_agg(id), array_agg(text_sha256), true)
               from ingest.message where workspace_id = $1 and text <> ''""",
            workspace,
        )
        async with asyncio.timeout(SERVICE_SECONDS_MAX):
            while await self._missing() or await self._lacks_graph():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        self.seconds, self.cpu = time.perf_counter() - self.began, cpu_seconds(self.pid) - spent

    async def _missing(self) -> int:
        held: int = await self._bench.admin.fetchval(
            "select count(*) from embedder.vector where part = 0"
        )
        return self._count - held

    async def _lacks_graph(self) -> bool:
        """Whether so many vectors are in no graph that one is built."""
        found: bool = await self._bench.admin.fetchval(
            """select embedder.count_outside(g.id, g.segment_rows) = g.segment_rows
               from embedder.generation g where g.state = 'serving'"""
        )
        return found


# --- the command


def texts_of(
    corpus: Sequence[ingest_pb2.MessageInput], count: int
) -> list[ingest_pb2.MessageInput]:
    """The first messages of distinct text."""
    distinct = {message.text: message for message in corpus if message.text.strip()}
    return list(itertools.islice(distinct.values(), count))


async def measure(options: argparse.Namespace) -> dict[str, list[tuple[float, float]]]:
    """Return for each way, a round each, texts a second by the clock and by processor time."""
    path = ModelStore.open().fetch(options.model, "embedding").path
    most = options.messages * 3
    corpus = read_corpus(options.data, most) if options.data else make_corpus(most)
    messages = texts_of(corpus, options.messages)
    texts = [message.text for message in messages]
    engine = Engine(path, texts)
    print(f"{len(texts):,} distinct texts, {engine.count_tokens():,} tokens, model {options.model}")
    ways: dict[str, Any] = {"engine": engine}
    for in_bytes, setting in itertools.product(sorted({False, encodes_in_bytes()}), BARE):
        contexts, threads, budget = setting
        kind = "weights in bytes, " if in_bytes else ""
        name = f"bare loop, {kind}{contexts} x {threads} thread, {budget} tokens"
        ways[name] = BareLoop(path, texts, in_bytes, *setting)
    ways["Llama.embed(list)"] = EmbedList(path, texts)
    ways |= installed_peers(texts)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in [*ways, "service"]}
    async with deployed() as bench:
        await bench.start("ingest")
        await load(bench, messages)
        await bench.start("embedder", {"WINNOW_EMBEDDING_MODEL": options.model})
        service = ServiceWay(bench, len(texts))
        await service.run()
        reference = await engine.run()
        for _ in range(options.rounds):
            for name, way in ways.items():
                spent, began = time.process_time(), time.perf_counter()
                vectors = await way.run()
                seconds, cpu = time.perf_counter() - began, time.process_time() - spent
                found[name].append((len(texts) / seconds, len(texts) / cpu))
                close = float(np.median(np.sum(vectors * reference, axis=1)))
                assert close > 0.95, f"{name}: vectors of another model (median cosine {close:.3f})"
            await service.run()
            found["service"].append((len(texts) / service.seconds, len(texts) / service.cpu))
    return found


def report(found: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Print a table and return the figures."""
    rates = {
        name: tuple(statistics.median(column) for column in zip(*rounds, strict=True))
        for name, rounds in found.items()
    }
    for name, (clock, cpu) in rates.items():
        print(f"{name:44} {clock:9,.0f} texts/s   {cpu:9,.0f} texts a second of processor time")
    bare = [rates[name] for name in rates if name.startswith("bare")]
    others = {
        "engine_to_bare": tuple(max(column) for column in zip(*bare, strict=True)),
        "engine_to_embed_list": rates["Llama.embed(list)"],
        "engine_to_onnx_int8": rates.get("ONNX Runtime int8"),
        "engine_to_sentence_transformers": rates.get("sentence-transformers"),
    }
    figures: dict[str, float] = {}
    engine, service = rates["engine"], rates["service"]
    for name, other in others.items():
        if other:
            figures[name] = round(engine[0] / other[0], 3)
            figures[f"{name}_cpu"] = round(engine[1] / other[1], 3)
    figures["service_to_engine"] = round(service[0] / engine[0], 3)
    figures["service_to_engine_cpu"] = round(service[1] / engine[1], 3)
    return figures


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedding")
    parser.add_argument(
        "--data", type=Path, help="a Telegram export, or a folder with the load corpus"
    )
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    print(json.dumps(report(await measure(options))))


if __name__ == "__main__":
    uvloop.run(main())
