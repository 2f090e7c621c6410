"""A whole chat embedded in one go: how long it takes, whether it slows down, and whether memory stays flat.

    python -m benchmarks.backfill [--data PATH] [--messages 5000] [--model all-MiniLM-L6-v2]

PostgreSQL and nats-server as `winnow up` starts them. The chat is ingested while no embedder runs; when it starts,
all of it is a backfill, with graphs built meanwhile. Tokens are those that the embedder counts; memory is that of its
process, highest in each tenth of the run. At the end vectors are compared with rows by key and hash. PATH is a
Telegram export, packed or not, or a folder with the load corpus; without one a chat is made up. The last line is
one JSON object.
"""

import argparse
import asyncio
import json
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvloop

from benchmarks.deployment import Deployed, deployed, resident_mb
from benchmarks.freshness import load
from benchmarks.load_corpus import make_corpus, read_corpus
from services.common.addresses import NAMES

SAMPLE_SECONDS = 2.0
SAY_SECONDS = 30.0
TOKENS = 'winnow_model_tokens_total{role="embedding",way="in"}'
WANTED = """select count(*) as rows, count(*) filter (where exists (
    select from embedder.vector v, embedder.generation g
    where g.state = 'serving' and v.workspace_id = m.workspace_id and v.generation_id = g.id and v.kind = 'message'
      and v.subject_id = m.id and v.part = 0 and v.text_sha256 = m.text_sha256)) as current
  from ingest.message m where m.workspace_id = $1 and m.text <> '' and m.deleted_at is null"""
VECTORS = "select count(*) from embedder.vector where part = 0"


@dataclass(frozen=True)
class Sample:
    """What stood at one moment of the run."""

    seconds: float
    vectors: int
    tokens: float
    embedder_mb: float


def free_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def counted_tokens(url: str) -> float:
    """How many tokens the embedder has read."""
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        text = (await client.get(url)).text
    lines = (line.split() for line in text.splitlines() if line.startswith(TOKENS))
    return sum(float(line[-1]) for line in lines)


async def sample(bench: Deployed, url: str, began: float) -> Sample:
    """Look once."""
    tokens = await counted_tokens(url)
    vectors = await bench.admin.fetchval(VECTORS)
    memory = resident_mb(bench.pids["embedder"])
    return Sample(time.perf_counter() - began, vectors, tokens, memory)


async def watch(bench: Deployed, url: str, count: int) -> list[Sample]:
    """Look again and again until there are so many vectors."""
    began = said = time.perf_counter()
    samples = [await sample(bench, url, began)]
    while samples[-1].vectors < count:
        await asyncio.sleep(SAMPLE_SECONDS)
        samples.append(await sample(bench, url, began))
        if time.perf_counter() - said > SAY_SECONDS:
            said, last = time.perf_counter(), samples[-1]
            print(
                f"{last.seconds:6.0f} s  {last.vectors:9,} of {count:,} vectors  {last.embedder_mb:6.0f} MB",
                file=sys.stderr,
                flush=True,
            )
    return samples


def tenths(samples: list[Sample]) -> list[tuple[float, float]]:
    """Tokens a second and the most memory in each tenth of the vectors."""
    count, found = samples[-1].vectors, []
    for tenth in range(10):
        low, high = count * tenth / 10, count * (tenth + 1) / 10
        part = [s for s in samples if low <= s.vectors <= high]
        if len(part) > 1:
            seconds = part[-1].seconds - part[0].seconds
            rate = (part[-1].tokens - part[0].tokens) / seconds
            found.append((rate, max(s.embedder_mb for s in part)))
    return found


async def main() -> None:
    """Load, embed, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backfill")
    parser.add_argument(
        "--data", type=Path, help="a Telegram export, or a folder with the load corpus"
    )
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    options = parser.parse_args()
    corpus = (
        read_corpus(options.data, options.messages)
        if options.data
        else make_corpus(options.messages)
    )
    port = free_port()
    async with deployed() as bench:
        await bench.start("ingest")
        await load(bench, corpus)
        [(count, _)] = await bench.admin.fetch(WANTED, bench.workspace)
        print(f"{count:,} messages with text are ingested", file=sys.stderr, flush=True)
        settings = {
            "WINNOW_EMBEDDING_MODEL": options.model,
            "WINNOW_METRICS_ADDRESS": f"127.0.0.1:{port}",
        }
        await bench.start("embedder", settings)
        # Each service serves its figures at a port of its own, counted from the one that is set.
        url = f"http://127.0.0.1:{port + NAMES.index('embedder')}/metrics"
        samples = await watch(bench, url, count)
        [(rows, current)] = await bench.admin.fetch(WANTED, bench.workspace)
    parts, last = tenths(samples), samples[-1]
    if not parts:
        raise SystemExit(
            f"all was embedded within {last.seconds:.1f} s, between two looks: choose more --messages"
        )
    for tenth, (rate, memory) in enumerate(parts, 1):
        print(f"tenth {tenth:2}  {rate:9,.0f} tokens/s  {memory:7.0f} MB")
    print(
        json.dumps(
            {
                "rows": rows,
                "current_vectors": current,
                "seconds": round(last.seconds, 1),
                "vectors_per_second": round(last.vectors / last.seconds, 1),
                "tokens": round(last.tokens),
                "tokens_per_second_first": round(parts[0][0]),
                "tokens_per_second_last": round(parts[-1][0]),
                "mb_first": round(parts[0][1]),
                "mb_most": round(max(memory for _, memory in parts)),
            }
        )
    )
    assert current == rows == last.vectors, "rows and vectors are not equal"


if __name__ == "__main__":
    uvloop.run(main())
