"""What a process counts and measures about itself, in the format that Prometheus reads.

The instruments belong to the process, as its loggers do; where the settings name no address they stay in memory.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol
from uuid import UUID

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import Field

from services.common.errors import InvalidSetting
from services.common.settings import OptionalAddress, Settings

REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class MetricsSettings(Settings):
    """Where metrics are read over HTTP, and how often the state of the whole pipeline is looked at for them."""

    metrics_address: OptionalAddress = Field(
        default="", description="`host:port`; without one nothing is served"
    )
    metrics_backlog_seconds: float = Field(default=10, gt=0)
    metrics_reconcile_seconds: float = Field(default=60, gt=0)


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(f"winnow_{name}", what, labels, registry=REGISTRY)


def _gauge(name: str, what: str, *labels: str) -> Gauge:
    return Gauge(f"winnow_{name}", what, labels, registry=REGISTRY)


def _histogram(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"winnow_{name}", what, labels, buckets=buckets, registry=REGISTRY)


# --- services

SERVING = _gauge("serving", "1 while the service takes calls, 0 once it drains.", "service")

# --- calls

RPC_SECONDS = _histogram(
    "rpc_duration_seconds", "How long calls took, by method and status.", _QUICK, "method", "code"
)
RPC_RUNNING = _gauge("rpc_running", "Calls that are being answered.")

# --- the task table, over all workspaces, as the last look at it found it

TASKS = _gauge("tasks", "Tasks that are not done, by stage and state.", "stage", "state")
OLDEST_TASK_AGE = _gauge(
    "oldest_task_age_seconds", "Age of the oldest task that could be done now.", "stage"
)
BACKLOG_SEEN = _gauge("backlog_seen_timestamp_seconds", "When the task table was last looked at.")

# --- rows and vectors, over all workspaces

ROWS = _gauge("rows", "What is stored, by kind.", "kind")
RECONCILIATION = _gauge(
    "reconciliation", "What must be 0 at rest, by what is compared.", "compared"
)
ROWS_SEEN = _gauge("rows_seen_timestamp_seconds", "When rows and vectors were last compared.")

# --- workers

TASKS_ENDED = _counter(
    "tasks_ended",
    "What attempts at tasks came to: done, failed, dead, given_back, postponed or lost.",
    "stage",
    "outcome",
)
TASKS_HELD = _gauge("tasks_held", "Tasks that this process holds under a lease.", "stage")
BATCH_TASKS = _histogram("batch_tasks", "Tasks in one batch of a worker.", _SIZES, "stage")
PERFORM_SECONDS = _histogram(
    "stage_perform_seconds", "Work on a batch, outside any transaction.", _LONG, "stage"
)
COMMIT_SECONDS = _histogram(
    "stage_commit_seconds", "Writing a batch's results behind the fence.", _LONG, "stage"
)
BREAKER_OPEN = _gauge(
    "breaker_open",
    "1 from when any worker leaves a stage's provider alone until that answers, and while a database is that stops it.",
    "stage",
)

# --- relay and broker

HINTS_PUBLISHED = _counter("hints_published", "Tasks that were hinted on the broker.", "stage")
HINT_DELAY = _histogram(
    "hint_delay_seconds", "From a hint's arrival at NATS to its worker.", _LONG, "stage"
)
EVENTS_PUBLISHED = _counter("events_published", "Facts that were announced.", "fact")
BROKER_ERRORS = _counter("broker_errors", "Times that NATS did not answer or store.")

# --- models

TOKENS = _counter("model_tokens", "Tokens read (in) and written (out) by a model.", "role", "way")
TEXTS = _counter("model_texts", "Texts that were embedded, by what they are.", "role")
QUERY_VECTORS = _counter(
    "query_vectors", "Vectors of queries, by where they came from: memory or the model.", "origin"
)
MODEL_MISSING = _gauge(
    "model_missing",
    "1 while the embedding model of the settings is not open because it does not answer.",
    "model",
)
BATCH_TOKENS = _histogram(
    "model_batch_tokens",
    "Tokens in one call of the embedding model, by lane.",
    (8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536),
    "lane",
)

# --- searches

SEARCHES = _counter("searches", "Searches that were answered, by how vectors were read.", "plan")
SEARCHES_UNDER_FILLED = _counter(
    "searches_under_filled", "Searches whose index scan gave less than was asked for."
)
SEARCH_LEGS_LOST = _counter(
    "search_legs_lost", "Hybrid searches that were answered without a leg.", "leg"
)
SEARCH_RECALL = _histogram(
    "search_recall_at_10",
    "Share of the ten nearest that were found in memory or by the index, of searches now and then repeated exactly.",
    (0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
)

SEARCH_READS = _counter(
    "search_reads",
    "Calls of search that were answered, by where they read: primary or replica.",
    "server",
)
SEARCH_COPY_BYTES = _gauge(
    "search_copy_bytes", "Memory that copies of workspaces' vectors take in search."
)
SEARCH_REPLICA_STALENESS = _gauge(
    "search_replica_staleness_seconds",
    "How old at most what the replica shows is; +Inf: not known.",
)

# --- the database

TRANSACTION_SECONDS = _histogram(
    "database_transaction_seconds", "Transactions, from their first statement on.", _QUICK, "role"
)
POOL_WAIT_SECONDS = _histogram(
    "database_pool_wait_seconds", "Waiting for a connection of the pool.", _QUICK, "role"
)


class Pool(Protocol):
    """A pool of connections that tells how many it has."""

    def get_size(self) -> int:
        """Return how many connections are open."""

    def get_idle_size(self) -> int:
        """Return how many of them are not lent."""


class Pools(Collector):
    """The pools of this process, counted whenever metrics are read."""

    def __init__(self) -> None:
        self._pools: list[tuple[str, Pool]] = []

    @contextmanager
    def watching(self, role: str, pool: Pool) -> Iterator[None]:
        """Count a pool for as long as it is open."""
        entry = (role, pool)
        self._pools.append(entry)
        try:
            yield
        finally:
            self._pools.remove(entry)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the connections of each role, lent and idle."""
        family = GaugeMetricFamily(
            "winnow_database_connections",
            "Connections of this process's pools, by role and state.",
            labels=["role", "state"],
        )
        counted: dict[tuple[str, str], int] = {}
        for role, pool in list(self._pools):
            idle = pool.get_idle_size()
            for state, count in (("idle", idle), ("lent", pool.get_size() - idle)):
                counted[role, state] = counted.get((role, state), 0) + count
        for labels, count in sorted(counted.items()):
            family.add_metric(labels, count)
        yield family


POOLS = Pools()
REGISTRY.register(POOLS)


_open_breakers: defaultdict[str, set[UUID]] = defaultdict(set)


def show_breaker(stage: str, worker: UUID, *, is_open: bool) -> None:
    """Have a stage's breaker shown as open while it is for any of the process's workers: fresh tasks have their own."""
    shown = _open_breakers[stage]
    (shown.add if is_open else shown.discard)(worker)
    BREAKER_OPEN.labels(stage).set(bool(shown))


@contextmanager
def breaker_of(stage: str, worker: UUID) -> Iterator[None]:
    """Have a worker's breaker shown no more once it has ended."""
    try:
        yield
    finally:
        show_breaker(stage, worker, is_open=False)


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe how long the block takes, also when it fails."""
    began = time.perf_counter()
    try:
        yield
    finally:
        histogram.observe(time.perf_counter() - began)


@contextmanager
def serving_metrics(
    address: str, registry: CollectorRegistry = REGISTRY, setting: str = "WINNOW_METRICS_ADDRESS"
) -> Iterator[None]:
    """Answer HTTP requests at an address, in a thread; without one do nothing. InvalidSetting if it is taken."""
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host.strip("[]"), registry)
    except (OSError, OverflowError) as error:
        raise InvalidSetting(f"{setting}: cannot listen on {address}: {error}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
