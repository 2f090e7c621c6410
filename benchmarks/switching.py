"""The embedding model changed under a constant load of queries: whether any search fails or finds nothing.

    python -m benchmarks.switching [--data PATH] [--messages 300] [--rate 10] [--first all-MiniLM-L6-v2]
        [--second multilingual-e5-small] [--switches 4]

PostgreSQL, nats-server, ingest, embedder and search run as `winnow up` runs them, with real models. A chat is embedded
by the first model; then, while semantic searches come at a constant rate, the second is started, filled beside it and
promoted, and after that the two are made to serve in turn. Every search must answer and find something, and at every
moment sampled the generation that serves must have a vector of each message, of its text as it is; both counts are of
one snapshot. PATH is a Telegram export, packed or not, or a folder with the load corpus; without one a chat is made
up. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import grpc
import uvloop

from benchmarks.backfill import WANTED
from benchmarks.deployment import Deployed, deployed, quantile
from benchmarks.freshness import load
from benchmarks.load_corpus import make_corpus, read_corpus
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from winnow.search.v1 import search_pb2
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2

FILLED_SECONDS_MAX = 600.0
SERVED_SECONDS = 3.0
SAMPLE_SECONDS = 0.02


@dataclass
class Load:
    """What the searches and the samples have shown."""

    answered: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    samples: int = 0
    incomplete: int = 0


class Searching:
    """Searches at a constant rate, and samples beside, until it is stopped."""

    def __init__(self, bench: Deployed, queries: Sequence[str], rate: float) -> None:
        self._bench, self._queries, self._rate = bench, queries, rate
        self._stopped = asyncio.Event()
        self.load = Load()

    def stop(self) -> None:
        """Begin no further search."""
        self._stopped.set()

    async def search(self) -> None:
        """Search; a slow answer does not hold up the next search."""
        begun, number = time.monotonic(), 0
        async with self._bench.channel("search") as channel, asyncio.TaskGroup() as group:
            stub = SearchServiceStub(channel)
            await channel.channel_ready()
            while not self._stopped.is_set():
                query = f"{self._queries[number % len(self._queries)]} {number}"
                group.create_task(self._one(stub, query))
                number += 1
                await asyncio.sleep(max(0.0, begun + number / self._rate - time.monotonic()))

    async def _one(self, stub: SearchServiceStub, query: str) -> None:
        request = search_pb2.SearchRequest(
            query=query,
            mode=search_pb2.SEARCH_MODE_SEMANTIC,
            kinds=[types_pb2.SUBJECT_KIND_MESSAGE],
            page_size=10,
        )
        began = time.perf_counter()
        try:
            reply = await stub.Search(request, metadata=self._bench.metadata, timeout=30)
        except grpc.aio.AioRpcError as error:
            self.load.failed[f"{error.code().name}: {error.details()}"] += 1
            return
        self.load.answered.append(time.perf_counter() - began)
        self.load.empty += not reply.results

    async def sample(self) -> None:
        """Compare rows and vectors of what serves."""
        admin = await asyncpg.connect(self._bench.runtime.admin_database_url)
        while not self._stopped.is_set():
            [(rows, current)] = await admin.fetch(WANTED, self._bench.workspace)
            self.load.samples += 1
            self.load.incomplete += rows != current
            await asyncio.sleep(SAMPLE_SECONDS)
        await admin.close()


async def switch(bench: Deployed, second: str, switches: int) -> None:
    """Start the second model, wait until it is full, and let the two serve in turn."""
    async with bench.channel("embedder") as channel:
        stub, metadata = EmbedderServiceStub(channel), bench.metadata
        request = pb.StartGenerationRequest(model=second)
        started = (await stub.StartGeneration(request, metadata=metadata)).generation
        watch = pb.WatchGenerationRequest(generation_id=started.id)
        replies = stub.WatchGeneration(watch, metadata=metadata, timeout=FILLED_SECONDS_MAX)
        *_, last = [reply async for reply in replies]
        print(
            f"{second} is full: {last.generation.vectors:,} vectors, recall {last.recall_at_10:.3f}"
        )
        listed = await stub.ListGenerations(pb.ListGenerationsRequest(), metadata=metadata)
        models = {generation.id: generation.model for generation in listed.generations}
        turns = [started.id, *(each for each in models if each != started.id)]
        for turn in range(switches):
            chosen = turns[turn % 2]
            promote = pb.PromoteGenerationRequest(generation_id=chosen)
            began = time.perf_counter()
            await stub.PromoteGeneration(promote, metadata=metadata)
            print(f"{models[chosen]} serves after {(time.perf_counter() - began) * 1e3:.0f} ms")
            await asyncio.sleep(SERVED_SECONDS)


async def measure(bench: Deployed, options: argparse.Namespace) -> Load:
    """Load, embed, and switch under searches."""
    corpus = (
        read_corpus(options.data, options.messages)
        if options.data
        else make_corpus(options.messages)
    )
    await bench.start("ingest")
    await load(bench, corpus)
    await bench.start("embedder", {"WINNOW_EMBEDDING_MODEL": options.first})
    await bench.start("search")
    while len({*(await bench.admin.fetch(WANTED, bench.workspace))[0]}) > 1:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    print(f"{options.first} has embedded {len(corpus):,} messages")
    queries = [message.text[:60] for message in corpus if message.text.strip()]
    searching = Searching(bench, queries, options.rate)
    async with asyncio.TaskGroup() as group:
        group.create_task(searching.search())
        group.create_task(searching.sample())
        try:
            await switch(bench, options.second, options.switches)
        finally:
            searching.stop()
    return searching.load


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.switching")
    parser.add_argument(
        "--data", type=Path, help="a Telegram export, or a folder with the load corpus"
    )
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--rate", type=float, default=10, help="searches a second")
    parser.add_argument("--first", default="all-MiniLM-L6-v2")
    parser.add_argument("--second", default="multilingual-e5-small")
    parser.add_argument("--switches", type=int, default=4)
    options = parser.parse_args()
    grpc.aio.init_grpc_aio()
    async with deployed() as bench:
        found = await measure(bench, options)
    for reason, count in found.failed.items():
        print(f"{count:6} failed: {reason}")
    figures = {
        "searches": len(found.answered) + found.failed.total(),
        "failed": found.failed.total(),
        "empty": found.empty,
        "samples": found.samples,
        "incomplete_samples": found.incomplete,
        "p50_ms": round(quantile(found.answered, 0.5) * 1e3, 1),
        "p99_ms": round(quantile(found.answered, 0.99) * 1e3, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    uvloop.run(main())
