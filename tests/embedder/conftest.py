"""A chat that writes rows and tasks as the other services do, and the embedder over a fake or a real model."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import grpc
import pytest

from services.common.channels import CHANNEL_OPTIONS
from services.common.ids import uuid7
from services.common.models import UnknownModel
from services.common.service import serving
from services.common.testing import FakeEncoder
from services.embedder.embedding import Encoder
from services.embedder.generations import ModelIdentity
from services.embedder.models import LoadedModel, ModelOpener
from services.embedder.service import open_service
from tests.conftest import Deployment
from tests.embedder.provider import Provider, listening

SENT_AT = datetime(2025, 3, 1, 12, tzinfo=UTC)
TASK_FAILURES = """select state, attempts, error_class, subject_id from spine.task
                   where workspace_id = $1 and stage = 'embed' and state <> 'done'"""


def sha256(text: str) -> bytes:
    """The hash that says which text a vector is of."""
    return hashlib.sha256(text.encode()).digest()


def fake_models(
    encoder: Encoder, name: str = "fake", query_prefix: str = "q: ", passage_prefix: str = "p: "
) -> ModelOpener:
    """Open one encoder whatever the name."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    identity = ModelIdentity(name, digest, encoder.dimensions, "mean", query_prefix, passage_prefix)

    @asynccontextmanager
    async def open_model(model: str) -> AsyncIterator[LoadedModel]:
        yield LoadedModel(identity, encoder, 100.0)

    return open_model


class Chat:
    """One workspace's rows, written with their tasks in one transaction, as ingest and extractor do."""

    def __init__(self, admin: asyncpg.Connection, workspace: UUID) -> None:
        self.admin, self.workspace = admin, workspace
        self.source = uuid7()

    async def open(self) -> "Chat":
        """Make the source of the messages."""
        await self.admin.execute(
            "insert into ingest.source (workspace_id, id, kind, external_id) values ($1, $2, 'api', 'chat')",
            self.workspace,
            self.source,
        )
        return self

    async def say(self, texts: Sequence[str], *, tasks: bool = True) -> list[UUID]:
        """Save messages; return their ids."""
        ids = [uuid7() for _ in texts]
        async with self.admin.transaction():
            await self.admin.execute(
                """insert into ingest.message (workspace_id, id, source_id, external_id, text, sent_at, content_sha256,
                     text_sha256, importance_score, importance_label, importance_factors, importance_version)
                   select $1, m.id, $2, m.id::text, m.text, $3, m.hash, m.hash, 0.5, 'weak', '{}', 'test'
                   from unnest($4::uuid[], $5::text[], $6::bytea[]) as m (id, text, hash)""",
                self.workspace,
                self.source,
                SENT_AT,
                ids,
                texts,
                [sha256(text) for text in texts],
            )
            if tasks:
                await self.ask("message", ids, [sha256(text) for text in texts])
        return ids

    async def edit(self, message: UUID, text: str) -> None:
        """Change the text of a message."""
        async with self.admin.transaction():
            await self.admin.execute(
                "update ingest.message set text = $3, text_sha256 = $4 where workspace_id = $1 and id = $2",
                self.workspace,
                message,
                text,
                sha256(text),
            )
            await self.ask("message", [message], [sha256(text) if text else None])

    async def delete(self, messages: Sequence[UUID]) -> None:
        """Delete messages as a person would."""
        async with self.admin.transaction():
            await self.admin.execute(
                "update ingest.message set deleted_at = now() where workspace_id = $1 and id = any ($2)",
                self.workspace,
                messages,
            )
            await self.ask("message", messages, [None] * len(messages))

    async def name_topic(self, title: str) -> UUID:
        """Save a topic."""
        topic = uuid7()
        async with self.admin.transaction():
            await self.admin.execute(
                """insert into extractor.topic (workspace_id, id, source_id, title, title_key, text_sha256)
                   values ($1, $2, $3, $4, $4, $5)""",
                self.workspace,
                topic,
                self.source,
                title,
                sha256(title),
            )
            await self.ask("topic", [topic], [sha256(title)])
        return topic

    async def learn(self, title: str, content: str) -> UUID:
        """Save an atom."""
        atom, window = uuid7(), uuid7()
        async with self.admin.transaction():
            await self.admin.execute(
                """insert into extractor.conversation_window (workspace_id, id, source_id, thread_id, closed_by,
                     first_sent_at, last_sent_at, message_count, noise_count)
                   values ($1, $2, $3, '', 'count', $4, $4, 1, 0)""",
                self.workspace,
                window,
                self.source,
                SENT_AT,
            )
            text = sha256(f"{title}\n{content}")
            await self.admin.execute(
                """insert into extractor.atom (workspace_id, id, source_id, window_id, type, title, content,
                     text_sha256, confidence, valid_from) values ($1, $2, $3, $4, 'insight', $5, $6, $7, 0.5, $8)""",
                self.workspace,
                atom,
                self.source,
                window,
                title,
                content,
                text,
                SENT_AT,
            )
            await self.ask("atom", [atom], [text])
        return atom

    async def ask(self, kind: str, ids: Sequence[UUID], hashes: Sequence[bytes | None]) -> None:
        """Make the tasks that embed subjects."""
        await self.admin.execute(
            "select set_config('winnow.workspace_id', $1, false)", str(self.workspace)
        )
        await self.admin.execute(
            "select spine.enqueue_embedding($1, $2, $3, $4, true)",
            self.workspace,
            kind,
            ids,
            hashes,
        )

    async def forget(self, limit: int | None = None, *, tasks: bool = True) -> int:
        """Delete vectors and their tasks behind the embedder's back; return how many subjects lost theirs."""
        rows = await self.admin.fetch(
            """delete from embedder.vector where workspace_id = $1 and subject_id in (
                 select subject_id from embedder.vector where workspace_id = $1 and part = 0 limit $2)
               returning subject_id""",
            self.workspace,
            limit,
        )
        lost = {row["subject_id"] for row in rows}
        if tasks:
            await self.admin.execute(
                "delete from spine.task where workspace_id = $1 and subject_id = any ($2)",
                self.workspace,
                list(lost),
            )
        return len(lost)

    async def vectors(self) -> dict[tuple[UUID, int], bytes]:
        """The hash of the text of every vector, by subject and part."""
        rows = await self.admin.fetch(
            "select subject_id, part, text_sha256 from embedder.vector where workspace_id = $1",
            self.workspace,
        )
        return {(row["subject_id"], row["part"]): row["text_sha256"] for row in rows}

    async def debt(self) -> tuple[int, int]:
        """How many vectors are missing and how many are stale."""
        gauges = await self.admin.fetchrow("select * from spine.gauges($1)", self.workspace)
        return gauges["vectors_missing"], gauges["vectors_stale"]

    async def unfinished(self) -> list[asyncpg.Record]:
        """The tasks that are not done."""
        return await self.admin.fetch(TASK_FAILURES, self.workspace)

    async def settled(self) -> None:
        """Return when rows and vectors are equal and no task is open."""
        await until(self._is_settled)

    async def _is_settled(self) -> bool:
        open_tasks = [row for row in await self.unfinished() if row["state"] != "dead"]
        return await self.debt() == (0, 0) and not open_tasks


async def until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Return when an awaitable condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # type: ignore[misc]  # noqa: ASYNC110 - it is the database that changes
            await asyncio.sleep(0.05)


@dataclass
class Embedder:
    """Starts the embedder of a deployment."""

    deployment: Deployment

    @asynccontextmanager
    async def serving(
        self, open_model: ModelOpener | None = None, *, reconciling: bool = False
    ) -> AsyncIterator[grpc.aio.Channel]:
        """Run the service over a model, by default one without meaning, and open a channel to it."""
        opened = open_service(open_model or fake_models(FakeEncoder()))
        async with (
            opened as service,
            serving(
                service if reconciling else replace(service, loops=service.loops[:1])
            ) as address,
            grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel,
        ):
            # gRPC remembers for a second that nobody listened at an address before
            await channel.channel_ready()
            yield channel


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider of embeddings on this machine."""
    with listening() as answering:
        yield answering


@pytest.fixture
def embedder(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Embedder:
    """The embedder over servers of its own; failures are tried again soon."""
    monkeypatch.setenv("WINNOW_EMBED_RECONCILE_SECONDS", "0.3")
    monkeypatch.setenv("WINNOW_TASK_RETRY_SECONDS", "0.05")
    monkeypatch.setenv("WINNOW_RELAY_IDLE_SECONDS", "0.05")
    return Embedder(deployment)


@pytest.fixture
async def chat(deployment: Deployment) -> Chat:
    """A chat in the deployment's workspace."""
    return await Chat(deployment.admin, deployment.workspace).open()


MODELS = {
    "first": fake_models(FakeEncoder(8), "first", query_prefix="1: "),
    "second": fake_models(FakeEncoder(16), "second", query_prefix="2: "),
    "vast": fake_models(FakeEncoder(4096), "vast"),
}


@asynccontextmanager
async def open_model(name: str) -> AsyncIterator[LoadedModel]:
    """Open one of two models by name."""
    if name not in MODELS:
        raise UnknownModel(name, list(MODELS))
    async with MODELS[name](name) as loaded:
        yield loaded


Serve = Callable[[], AbstractAsyncContextManager[grpc.aio.Channel]]


@pytest.fixture
def two_models(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Run the embedder, all its loops with it, over two models of different dimensions; the first is configured."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    return lambda: embedder.serving(open_model, reconciling=True)
