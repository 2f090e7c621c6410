"""How search grows: latency, memory and the size of the index over the number of vectors, as a table and as a plot.

    python -m benchmarks.search_growth [--data PATH] [--sizes 10000,50000,200000] [--synthetic] [--queries N] [--write]
    python -m benchmarks.search_growth --draw

Each size gets a deployment of its own, filled as benchmarks.search fills it; the last line is its row as one JSON
object. With --write the row also goes into docs/evidence/search-growth.json in the place of an earlier one of that
size, so that sizes may be measured one at a time, and the plot is drawn anew from all of them.
"""

import argparse
import json
import statistics
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.ingest import family, resident_mb
from benchmarks.plot import Line, line_plot
from benchmarks.search import (
    bare_search,
    call,
    copied,
    corpus_path,
    encoded,
    ids_of,
    p,
    recall,
    timed,
    truth_of,
)
from benchmarks.search_corpus import Corpus, Matrix, clustered, load
from benchmarks.search_deployment import Bench, bare_connection, deployed
from winnow.ingest.v1 import ingest_pb2
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

ROWS = Path("docs/evidence/search-growth.json")
PLOT = Path("docs/evidence/search-growth.svg")
SIZES = "10000,50000,200000"
WARM_UP = 10
_START = datetime(2024, 1, 1, tzinfo=UTC)
# Made-up texts for made-up vectors: of so many words, the commonest in a tenth of them.
_WORDS = 5_000


async def corpus_of(data: str, size: int, *, synthetic: bool) -> Corpus:
    """Messages of the chat with the vectors that are cached, or as many made-up ones."""
    if not synthetic:
        return await load(corpus_path(data), size, 0)
    vectors = clustered(size, 384)
    messages = [_message(number) for number in range(size)]
    return Corpus(messages, vectors, f"{size:,} made-up vectors around 400 centres")


def _message(number: int) -> ingest_pb2.MessageInput:
    words = " ".join(f"word{number * step % _WORDS}" for step in (1, 7, 77, 777, 7777))
    message = ingest_pb2.MessageInput(external_id=str(number), text=f"{words} {number}")
    message.sent_at.FromDatetime(_START + timedelta(seconds=number))
    return message


async def measure(bench: Bench, queries: Matrix, texts: list[str], origin: str) -> dict[str, Any]:
    """One row: quantiles in milliseconds, sizes in MB."""
    plan = await copied(bench, queries)
    connection = await bare_connection(bench)
    bare = bare_search(bench, connection)
    spent: dict[str, list[float]] = {name: [] for name in ("bare", "vector", "filtered", "hybrid")}
    found: dict[str, list[float]] = {name: [] for name in ("vector", "filtered")}
    some = pb.SearchFilter(author_external_ids=["10 %"])
    async with bench.target.channel("search") as channel:
        stub = SearchServiceStub(channel)
        for number, (query, text) in enumerate(zip(queries, texts, strict=True)):
            given = query.tolist()
            given_only = partial(call, bench, stub, query="x", mode=1, query_vector=given)
            ways: dict[str, Callable[[], Awaitable[Any]]] = {
                "bare": partial(bare, query),
                "vector": given_only,
                "filtered": partial(given_only, filter=some),
                "hybrid": partial(call, bench, stub, query=text, mode=3, query_vector=given),
            }
            for name, way in ways.items():
                reply = await timed(way(), spent[name])
                if name in found:
                    truth = truth_of(bench, query, "10 %" if name == "filtered" else None)
                    found[name].append(recall(bench, query, ids_of(reply), truth))
            if number == WARM_UP:
                for each in spent.values():
                    each.clear()
    await connection.close()
    row: dict[str, Any] = {"vectors": len(bench.ids), "origin": origin, "plan": plan}
    for name, values in spent.items():
        row[f"{name}_p50_ms"], row[f"{name}_p99_ms"] = p(values, 0.5), p(values, 0.99)
    row |= {f"recall_{name}": statistics.fmean(values) for name, values in found.items()}
    row |= {"index_mb": bench.index_mb, "build_seconds": bench.build_seconds}
    row["search_mb"] = resident_mb(bench.pids["search"])
    row["postgres_mb"] = sum(map(_own_mb, family(bench.pids["postgres"])))
    return {name: round(v, 3) if isinstance(v, float) else v for name, v in row.items()}


def _own_mb(pid: int) -> float:
    """Memory of a process without what it shares, so that PostgreSQL's buffers do not count for each session."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
        return 0.0
    lines = [line.split() for line in text.splitlines()[1:]]
    return sum(int(line[1]) / 1024 for line in lines if line[0].startswith("Private_"))


def keep(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Put a row among the others, in the order of their sizes."""
    rows = json.loads(ROWS.read_text()) if ROWS.exists() else []
    rows = [each for each in rows if each["vectors"] != row["vectors"]] + [row]
    rows.sort(key=lambda each: int(each["vectors"]))
    ROWS.write_text(json.dumps(rows, indent=2) + "\n")
    return rows


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw latency beside sizes, over the number of vectors."""
    sizes = [float(row["vectors"]) for row in rows]

    def line(name: str, key: str) -> Line:
        return Line(name, [(size, float(row[key])) for size, row in zip(sizes, rows, strict=True)])

    latency = [
        line("bare SQL", "bare_p50_ms"),
        line("vector", "vector_p50_ms"),
        line("vector, 10 % filter", "filtered_p50_ms"),
        line("hybrid, vector given", "hybrid_p50_ms"),
    ]
    sizes_mb = [line("HNSW index", "index_mb"), line("search, resident", "search_mb")]
    PLOT.write_text(
        line_plot(
            "vectors",
            [("median latency, ms", latency), ("MB", sizes_mb)],
        )
    )


def main() -> None:
    """Measure the sizes that are asked for, or draw what was measured."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.search_growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", default="")
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep the rows as evidence, and draw")
    parser.add_argument("--draw", action="store_true", help="only draw the rows that there are")
    options = parser.parse_args()
    if options.draw:
        draw(json.loads(ROWS.read_text()))
        return
    uvloop.run(measure_all(options))


async def measure_all(options: argparse.Namespace) -> None:
    """Measure one size after another."""
    for size in map(int, options.sizes.split(",")):
        corpus = await corpus_of(options.data, size, synthetic=options.synthetic)
        step = max(1, len(corpus.messages) // (options.queries + WARM_UP + 1))
        texts = [m.text for m in corpus.messages[::step]][: options.queries + WARM_UP]
        queries = await encoded(texts)
        if options.synthetic:
            queries = clustered(len(texts), 384, seed=8)
        async with deployed(corpus) as bench:
            row = await measure(bench, queries, texts, corpus.origin)
        if options.write:
            draw(keep(row))
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
