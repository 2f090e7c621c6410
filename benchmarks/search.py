"""Searches a corpus through the running services, beside bare SQL and the libraries that a user would pick instead.

    make bench NAME=search [DATA=folder or result.json[.xz]] [MESSAGES=20000] [QUERIES=200] [EMBED_SECONDS=N]
    python -m benchmarks.search [--data PATH] [--messages 20000] [--queries 200] [--embed-seconds N]

PostgreSQL, nats-server, the embedder and search run as `winnow up` starts them; rows and vectors are copied straight
into the tables, and the index is built once. Vectors are computed once by the default model, several hundred a second,
and kept in the user's cache; those that EMBED_SECONDS, if given, do not suffice for are made up around the others, as
the report says: what recall means then is another question. Queries are the texts of messages, as the model encodes
queries. "Bare" is asyncpg under search's own role and settings, running the
statements that a semantic search runs and reading the same columns, in turn with the calls, in the same process.
Filters are by author, drawn at random, so that they have nothing to do with meaning. The last line is a JSON object.
"""

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import numpy as np
import uvloop

from benchmarks.search_corpus import Matrix, load
from benchmarks.search_deployment import SHARES, Bench, bare_connection, deployed
from services.common.channels import CHANNEL_OPTIONS
from services.common.llama import EmbeddingModel
from services.common.models import ModelStore
from services.common.vectors import of_segments, to_halfvecs
from services.search.statements import statement
from services.search.store import Filter
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

CLIENTS = 4
AT = 10
POOL = 20
COPY_SECONDS = 60.0
ROUND_SECONDS = 3.0
ROUNDS = 3
LIBRARY_SECONDS_MAX = 900
VENV = Path("build/bench-search")


# --- the ways to search


def bare_search(
    bench: Bench, connection: asyncpg.Connection
) -> Callable[[Matrix], Awaitable[list[UUID]]]:
    """The statements of an unfiltered semantic search, and the columns it reads."""
    text, _ = statement(
        "nearest_hnsw", ("message",), None, bench.generation.id, bench.generation.dimensions
    )
    text = of_segments(text, bench.generation.bounds)
    messages, _ = statement("messages")

    async def search(vector: Matrix) -> list[UUID]:
        (half,) = to_halfvecs(vector.reshape(1, -1))
        rows = await connection.fetch(text, *Filter().arguments(), bench.workspace, half, POOL)
        found = [row["id"] for row in rows[:AT]]
        await connection.fetch(messages, bench.workspace, found)
        return found

    return search


async def call(bench: Bench, stub: Any, **fields: Any) -> pb.SearchResponse:
    """One call."""
    request = pb.SearchRequest(kinds=[types.SUBJECT_KIND_MESSAGE], page_size=AT, **fields)
    reply: pb.SearchResponse = await stub.Search(
        request, metadata=bench.target.metadata, timeout=30
    )
    return reply


async def copied(bench: Bench, queries: Matrix) -> str:
    """Ask until search has read the vectors into memory, or does not within a minute; return how it reads them then."""
    until, plan = time.monotonic() + COPY_SECONDS, ""
    async with bench.target.channel("search") as channel:
        stub = SearchServiceStub(channel)
        while plan not in ("memory", "exact") and time.monotonic() < until:
            reply = await call(
                bench, stub, query="x", mode=1, query_vector=queries[0].tolist(), explain=True
            )
            plan = reply.explanation.semantic_plan
            await asyncio.sleep(0.2)
    return plan


def ids_of(reply: pb.SearchResponse) -> list[UUID]:
    """What was found."""
    return [UUID(result.message.id) for result in reply.results]


async def timed(work: Awaitable[Any], into: list[float]) -> Any:
    """Note how many milliseconds something takes."""
    began = time.perf_counter()
    found = await work
    into.append((time.perf_counter() - began) * 1000)
    return found


def recall(bench: Bench, query: Matrix, found: Sequence[UUID], truth: Sequence[UUID]) -> float:
    """The share of what was found that is as near as the truth's last: of equal texts, any is right."""
    if not truth:
        return 1.0
    least = bench.vectors[bench.place[truth[-1]]] @ query - 1e-5
    near = bench.vectors[[bench.place[each] for each in found]] @ query
    return float((near >= least).sum()) / len(truth)


def truth_of(bench: Bench, query: Matrix, author: str | None = None) -> list[UUID]:
    """The ten nearest, by all cosines."""
    chosen = np.arange(len(bench.ids)) if author is None else bench.of_author[author]
    cosines = bench.vectors[chosen] @ query
    best = np.argpartition(-cosines, AT)[:AT] if len(cosines) > AT else np.arange(len(cosines))
    ordered = best[np.argsort(-cosines[best], kind="stable")]
    return [bench.ids[chosen[i]] for i in ordered]


# --- what is measured


@dataclass
class Report:
    """Figures by name, and a line to print for each."""

    figures: dict[str, Any] = field(default_factory=dict)

    def show(self, line: str, **figures: Any) -> None:
        """Print a line and keep its figures."""
        print(line, flush=True)
        self.figures |= {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in figures.items()
        }


def p(values: Sequence[float], share: float) -> float:
    """A quantile."""
    return float(np.quantile(values, share))


async def measure_vectors(bench: Bench, queries: Matrix, report: Report) -> None:
    """Given vectors: each query bare and by a call, in turn."""
    connection = await bare_connection(bench)
    bare = bare_search(bench, connection)
    async with bench.target.channel("search") as channel:
        stub = SearchServiceStub(channel)
        for query in queries[:20]:
            await bare(query)
            await call(bench, stub, query="x", mode=1, query_vector=query.tolist())
        bare_ms, call_ms, recalls = list[float](), list[float](), list[float]()
        for query in queries:
            await timed(bare(query), bare_ms)
            work = call(bench, stub, query="x", mode=1, query_vector=query.tolist())
            reply = await timed(work, call_ms)
            recalls.append(recall(bench, query, ids_of(reply), truth_of(bench, query)))
    await connection.close()
    over = statistics.median(call_ms) - statistics.median(bare_ms)
    found = float(np.mean(recalls))
    report.show(
        f"given vector: call p50 {p(call_ms, 0.5):.2f} ms p99 {p(call_ms, 0.99):.2f};"
        f" bare p50 {p(bare_ms, 0.5):.2f} ms; overhead p50 {over:.2f} ms; recall@10 {found:.4f}",
        overhead_ms_p50=over,
        vector_p50_ms=p(call_ms, 0.5),
        bare_p50_ms=p(bare_ms, 0.5),
        recall_at_10=found,
    )


async def measure_filters(bench: Bench, queries: Matrix, report: Report) -> None:
    """Given vectors under filters of some selectivity."""
    worst = 1.0
    shares: dict[str, Any] = {}
    async with bench.target.channel("search") as channel:
        stub = SearchServiceStub(channel)
        for author in SHARES:
            chosen = pb.SearchFilter(author_external_ids=[author])
            spent, recalls, counts = list[float](), list[float](), list[int]()
            plan = ""
            for number, query in enumerate(queries):
                fields = {"query": "x", "mode": 1, "filter": chosen, "explain": number == 0}
                work = call(bench, stub, query_vector=query.tolist(), **fields)
                reply = await timed(work, spent)
                plan = reply.explanation.semantic_plan or plan
                truth = truth_of(bench, query, author)
                recalls.append(recall(bench, query, ids_of(reply), truth))
                counts.append(len(reply.results) - len(truth))
            found = float(np.mean(recalls))
            worst = min(worst, found)
            shares[author] = {"recall": round(found, 4), "p50_ms": round(p(spent, 0.5), 2)}
            report.show(
                f"filter {author:>6}: recall@10 {found:.4f}; p50 {p(spent, 0.5):.2f} ms"
                f" p99 {p(spent, 0.99):.2f}; plan {plan};"
                f" fewer than there are: {sum(c < 0 for c in counts)} of {len(counts)}"
            )
    report.show(
        f"worst recall@10 under a filter: {worst:.4f}", recall_filtered_min=worst, filtered=shares
    )


async def measure_texts(
    bench: Bench, name: str, mode: int, texts: Sequence[str], report: Report
) -> None:
    """Texts that the embedder has not seen, by meaning (1) or by both legs (3)."""
    async with bench.target.channel("search") as channel:
        stub = SearchServiceStub(channel)
        spent: list[float] = []
        for text in texts[:10]:
            await call(bench, stub, query=text, mode=mode)
        for text in texts[10:]:
            await timed(call(bench, stub, query=text, mode=mode), spent)
    key = name.replace(", ", "_")
    figures = {f"{key}_p50_ms": p(spent, 0.5), f"{key}_p99_ms": p(spent, 0.99)}
    report.show(
        f"{name}: p50 {p(spent, 0.5):.2f} ms p99 {p(spent, 0.99):.2f} over {len(spent)} queries",
        **figures,
    )


async def measure_rate(bench: Bench, queries: Matrix, report: Report) -> None:
    """Four clients, each asking as soon as it is answered: bare and by calls, in turn."""
    connections = [await bare_connection(bench) for _ in range(CLIENTS)]
    bares = [bare_search(bench, connection) for connection in connections]
    channels = [
        grpc.aio.insecure_channel(
            bench.target.addresses["search"],
            options=[*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)],
        )
        for _ in range(CLIENTS)
    ]
    stubs = [SearchServiceStub(channel) for channel in channels]

    def by_call(stub: Any) -> Callable[[Matrix], Awaitable[Any]]:
        return lambda query: call(bench, stub, query="x", mode=1, query_vector=query.tolist())

    ratios, rates = list[float](), list[tuple[float, float]]()
    spent: dict[str, list[float]] = {}
    for number in range(ROUNDS + 1):
        bare_rate = await rate(bares, queries)
        before = bench.cpu()
        call_rate = await rate([by_call(stub) for stub in stubs], queries)
        for name, seconds in bench.cpu().items():
            each = (seconds - before[name]) / (call_rate * ROUND_SECONDS) * 1000
            spent.setdefault(name, []).append(each)
        if number:  # the first round warms up
            rates.append((bare_rate, call_rate))
            ratios.append(call_rate / bare_rate)
    for channel in channels:
        await channel.close()
    for connection in connections:
        await connection.close()
    ratio = statistics.median(ratios)
    report.show(
        f"{CLIENTS} clients: bare {statistics.median(b for b, _ in rates):.0f}/s, calls"
        f" {statistics.median(c for _, c in rates):.0f}/s, ratio {ratio:.3f}",
        qps_to_bare=ratio,
        cpu_ms_a_call={name: round(statistics.median(each), 2) for name, each in spent.items()},
        qps=statistics.median(c for _, c in rates),
    )


async def rate(ways: Sequence[Callable[[Matrix], Awaitable[Any]]], queries: Matrix) -> float:
    """Searches a second."""
    until, done = time.perf_counter() + ROUND_SECONDS, 0

    async def client(number: int) -> None:
        nonlocal done
        at = number
        while time.perf_counter() < until:
            await ways[number](queries[at % len(queries)])
            at += len(ways)
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(len(ways))))
    return done / (time.perf_counter() - began)


def measure_libraries(bench: Bench, queries: Matrix, report: Report) -> None:
    """The same vectors in libraries, each in a process of its own."""
    python = VENV / "bin" / "python"
    if not python.exists():
        report.show(f"libraries: not installed in {VENV}: `make bench NAME=search` does it")
        return
    truth = np.array([[bench.place[i] for i in truth_of(bench, q)] for q in queries])
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "in.npz", vectors=bench.vectors, queries=queries, truth=truth)
        rows: dict[str, Any] = {}
        for name in ("faiss", "usearch", "qdrant", "lancedb", "chroma"):
            try:
                ran = subprocess.run(
                    [python, "benchmarks/search_libraries.py", name, folder],
                    capture_output=True,
                    text=True,
                    timeout=LIBRARY_SECONDS_MAX,
                )
            except subprocess.TimeoutExpired:
                report.show(f"library {name}: not done within {LIBRARY_SECONDS_MAX} s")
                continue
            if ran.returncode:
                said = ran.stderr.strip().splitlines() or [f"ended with {ran.returncode}"]
                report.show(f"library {name}: failed: {said[-1][:200]}")
                continue
            rows[name] = found = json.loads(ran.stdout.splitlines()[-1])
            report.show(
                f"library {name:8} {found['version']:10} recall@10 {found['recall']:.4f}; p50 {found['p50_ms']:.2f} ms"
                f" p99 {found['p99_ms']:.2f}; {found['build_seconds']:.1f} s to fill"
            )
    report.figures["libraries"] = rows


async def encoded(texts: Sequence[str]) -> Matrix:
    """Queries as the model encodes them."""
    resolved = ModelStore.open().resolve("multilingual-e5-small", "embedding")
    model = EmbeddingModel.open(resolved.path)
    try:
        firsts = [parts[0] for parts in model.split_texts(texts, resolved.query_prefix)]
        return await model.encode(firsts)
    finally:
        model.close()


def corpus_path(data: str) -> Path | None:
    """The export to read: a file, or the largest in a folder."""
    path = Path(data)
    if not data or path.is_file():
        return path if data else None
    found = list(path.glob("*.result.json*"))
    if not found:
        raise SystemExit(f"{data}: no export there")
    return max(found, key=lambda each: each.stat().st_size)


def wanted() -> argparse.Namespace:
    """What the command line asks for, and for the rest the variables."""
    given = argparse.ArgumentParser(prog="python -m benchmarks.search")
    variable = os.environ.get
    given.add_argument(
        "--data", default=variable("DATA", ""), help="an export, or a folder with some"
    )
    given.add_argument("--messages", type=int, default=variable("MESSAGES") or 20_000)
    given.add_argument("--queries", type=int, default=variable("QUERIES") or 200)
    given.add_argument(
        "--embed-seconds",
        type=float,
        default=variable("EMBED_SECONDS") or math.inf,
        help="how long vectors that are not there yet may be computed; as long as it takes by default",
    )
    return given.parse_args()


async def main() -> None:
    """Measure and print."""
    options = wanted()
    count, path = options.queries, corpus_path(options.data)
    corpus = await load(path, options.messages, options.embed_seconds)
    report = Report({"messages": len(corpus.messages), "vectors": corpus.origin})
    print(f"{len(corpus.messages):,} messages of {path or 'a made-up chat'}; {corpus.origin}")
    words = [m.text for m in corpus.messages if 4 <= len(m.text.split()) <= 30]
    texts = list(dict.fromkeys(random.Random(3).sample(words, min(len(words), 4 * count))))
    queries = await encoded(texts[:count])
    by_meaning, first, later = (texts[n * count : (n + 1) * count] for n in (1, 2, 3))
    async with deployed(corpus) as bench:
        report.show(
            f"index: {bench.build_seconds:.1f} s to build, {bench.index_mb:.0f} MB",
            index_mb=bench.index_mb,
        )
        plan = await copied(bench, queries)
        report.show(f"vectors are read by the plan {plan!r}", plan=plan)
        await measure_vectors(bench, queries, report)
        await measure_filters(bench, queries, report)
        await measure_texts(bench, "text", 1, by_meaning, report)
        # While search learns who writes and how common words are, and when it knows.
        await measure_texts(bench, "hybrid, first", 3, first, report)
        await measure_rate(bench, queries, report)
        await measure_texts(bench, "hybrid", 3, later, report)
    measure_libraries(bench, queries, report)
    print(json.dumps(report.figures))


if __name__ == "__main__":
    uvloop.run(main())
    sys.exit(0)
