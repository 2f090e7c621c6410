"""What a process measures is read over HTTP, and the state of the pipeline is that of all workspaces."""

import asyncio
import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import grpc
import pytest
from prometheus_client import REGISTRY as FOREIGN
from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families

from services.common.database import Database, DatabaseSettings
from services.common.errors import InvalidSetting
from services.common.metrics import REGISTRY, MetricsSettings, serving_metrics
from services.common.pipeline import pipeline_servicer
from services.common.service import Service, serving
from services.common.watch import Watch, every, watching
from tests.common.edge import failure
from tests.common.stages import STAGE, make
from tests.common.test_breaker import Clock
from tests.conftest import Deployment, free_port
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

UNITS = ("_seconds", "_total", "_bytes")
COUNTS = {
    "winnow_tasks", "winnow_tasks_held", "winnow_rows", "winnow_reconciliation", "winnow_rpc_running",
    "winnow_batch_tasks", "winnow_breaker_open", "winnow_model_batch_tokens", "winnow_database_connections",
    "winnow_search_recall_at_10", "winnow_model_missing", "winnow_serving",
}  # fmt: skip


def value(name: str, **labels: str) -> float:
    """What a metric says now; 0 if it was never touched."""
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address at which metrics are served."""
    where = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("WINNOW_METRICS_ADDRESS", where)
    with serving_metrics(MetricsSettings.read().metrics_address):
        yield where


def test_they_are_served_where_the_setting_says(address: str) -> None:
    """The address answers in the text format, with our metrics and those of the process."""
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    names = {family.name for family in families}
    assert {"winnow_rpc_duration_seconds", "winnow_tasks", "process_cpu_seconds"} <= names
    taken = serving_metrics(MetricsSettings.read().metrics_address)
    with pytest.raises(InvalidSetting, match="WINNOW_METRICS_ADDRESS: cannot listen"), taken:
        pass


def test_the_address_is_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing answers once a service has stopped, nor where no address is set."""
    where = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("WINNOW_METRICS_ADDRESS", where)
    for _ in range(2):
        with serving_metrics(MetricsSettings.read().metrics_address):
            pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://{where}/metrics")
    monkeypatch.delenv("WINNOW_METRICS_ADDRESS")
    with serving_metrics(MetricsSettings.read().metrics_address):
        pass


def test_names_follow_the_rules_of_prometheus() -> None:
    """Every metric of ours has its prefix and its unit last, or is a count of things or a share."""
    Gauge("other", "not ours", registry=FOREIGN)
    ours = {family.name: family for family in REGISTRY.collect()}
    ours = {name: family for name, family in ours.items() if not name.startswith("process_")}
    for name, family in ours.items():
        full = f"{name}_total" if family.type == "counter" else name
        assert re.fullmatch(r"winnow(_[a-z0-9]+)+", name)
        assert full.endswith(UNITS) or name in COUNTS, name
        assert family.documentation.endswith("."), name


async def test_a_call_is_counted_by_how_it_ends(deployment: Deployment) -> None:
    """Each method has its calls by status, and none is still counted as running afterwards."""
    method = "winnow.pipeline.v1.PipelineService/GetStatus"

    def count(code: str) -> float:
        return value("winnow_rpc_duration_seconds_count", method=method, code=code)

    before = count("OK"), count("UNAUTHENTICATED")
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        service = Service("search", database, [pipeline_servicer(database)])
        async with serving(service) as where, grpc.aio.insecure_channel(where) as channel:
            assert value("winnow_serving", service="search") == 1
            stub = PipelineServiceStub(channel)
            await stub.GetStatus(pb.GetStatusRequest(), metadata=deployment.metadata)
            await failure(stub.GetStatus(pb.GetStatusRequest()))
        assert value("winnow_serving", service="search") == 0
        assert value("winnow_database_connections", role="winnow_search", state="lent") == 0
    assert (count("OK"), count("UNAUTHENTICATED")) == (before[0] + 1, before[1] + 1)
    assert value("winnow_rpc_running") == 0
    assert value("winnow_database_transaction_seconds_count", role="winnow_search") > 0


async def test_the_backlog_is_that_of_all_workspaces(deployment: Deployment) -> None:
    """Open tasks of every workspace are counted, and the oldest of them gives the age; what is done leaves."""
    await make(deployment, *"ab")
    await deployment.admin.execute(
        """insert into spine.task (workspace_id, stage, subject_id, spec, created_at, available_at, hint_at)
           values (uuidv7(), $1, uuidv7(), 'elsewhere', now() - interval '90 s', now() - interval '90 s', now())""",
        STAGE,
    )
    async with Database.open(DatabaseSettings.read(), "winnow_relay") as database:
        watch = Watch(database)
        await watch.look_at_backlog()
        assert value("winnow_tasks", stage=STAGE, state="ready") == 3
        assert 90 <= value("winnow_oldest_task_age_seconds", stage=STAGE) < 900
        await deployment.admin.execute("update spine.task set state = 'done', hint_at = null")
        await watch.look_at_backlog()
    assert value("winnow_tasks", stage="embed", state="ready") == 0
    assert value("winnow_oldest_task_age_seconds", stage="embed") == 0


async def test_rows_and_vectors_are_compared_over_all_workspaces(deployment: Deployment) -> None:
    """A message without a vector is missing whoever's it is, and an empty deployment owes nothing."""
    await deployment.other_workspace()
    async with Database.open(DatabaseSettings.read(), "winnow_relay") as database:
        watch = Watch(database)
        await watch.look_at_rows()
        assert value("winnow_reconciliation", compared="vectors_missing") == 0
        await deployment.admin.execute(
            """with place as (insert into ingest.source (workspace_id, id, kind, external_id)
                 select workspace_id, uuidv7(), 'api', 'chat' from spine.workspace returning workspace_id, id)
               insert into ingest.message (workspace_id, id, source_id, external_id, text, sent_at, content_sha256,
                 text_sha256, importance_score, importance_label, importance_factors, importance_version)
               select workspace_id, uuidv7(), id, '1', 'hello', now(), sha256('a'), sha256('a'), 0.5, 'weak', '{}', 'x'
               from place"""
        )
        await watch.look_at_rows()
    assert value("winnow_rows", kind="messages") == 2
    assert value("winnow_reconciliation", compared="vectors_missing") == 2


async def test_looks_that_take_long_are_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looks ten seconds are left, or nine times what one takes, up to five minutes: others look as well."""
    clock, slept, takes = Clock(), list[float](), [0.1, 2, 100]

    async def look() -> None:
        clock.now += takes[len(slept)]

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        if len(slept) == len(takes):
            raise asyncio.CancelledError

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await every(10, look, clock)()
    assert slept == [10, 18, 300]


async def test_nothing_is_looked_at_where_nothing_is_served(
    deployment: Deployment, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a process that serves metrics reads the tables for them."""
    async with Database.open(DatabaseSettings.read(), "winnow_relay") as database:
        assert len(watching(database, rows=True)) == 2
        monkeypatch.delenv("WINNOW_METRICS_ADDRESS")
        assert watching(database, rows=True) == ()
