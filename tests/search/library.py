"""A workspace to search in, written straight into the tables, and an embedder that knows a few vectors."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import grpc
import numpy as np

from services.common.database import Connection, Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.vectors import INDEX_SETTINGS, Matrix, to_halfvecs
from tests.conftest import Deployment
from winnow.embedder.v1 import embedder_pb2, embedder_pb2_grpc
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

START = datetime(2024, 5, 1, 9, tzinfo=UTC)
DIMENSIONS = 8


def sha(text: str) -> bytes:
    """The hash that ties a vector to its text."""
    return hashlib.sha256(text.encode()).digest()


def unit(*values: float) -> Matrix:
    """A vector of unit length that starts with these numbers."""
    vector = np.zeros(DIMENSIONS, np.float32)
    vector[: len(values)] = values
    normal: Matrix = vector / np.linalg.norm(vector)
    return normal


@dataclass
class Library:
    """Writes messages, atoms, topics and vectors of one workspace as the owner of the database."""

    admin: asyncpg.Connection
    workspace: UUID
    generation: UUID | None = None
    source: UUID = field(default_factory=uuid7)
    sent: int = 0

    async def open(self, *, dimensions: int | None = DIMENSIONS) -> "Library":
        """Make a source, and a serving generation unless there is one or none is wanted."""
        await self.take_vectors()
        await self.add_source(self.source)
        if dimensions:
            self.generation = await self.admin.fetchval(
                "select (embedder.open_generation('test', $1, $2, 'mean', '', '')).id",
                "0" * 64,
                dimensions,
            )
        return self

    async def take_vectors(self) -> None:
        """Let the connection take vectors as bytes."""
        await self.admin.set_type_codec(
            "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
        )

    async def add_source(self, source: UUID) -> None:
        """Make a source."""
        await self.admin.execute(
            """insert into ingest.source (workspace_id, id, kind, external_id, title)
               values ($1, $2, 'api', $3, 'A chat')""",
            self.workspace,
            source,
            str(source),
        )

    async def add_messages(
        self, texts: Sequence[str], vectors: Sequence[Matrix] | None = None, **fields: Any
    ) -> list[UUID]:
        """Save messages a minute apart, each with its vector if one is given; fields override columns."""
        rows = [self._message(text, fields) for text in texts]
        await self.admin.copy_records_to_table(
            "message",
            schema_name="ingest",
            columns=list(rows[0]),
            records=[tuple(row.values()) for row in rows],
        )
        ids = [row["id"] for row in rows]
        if vectors is not None:
            await self.add_vectors("message", ids, texts, vectors, source=rows[0]["source_id"])
        return ids

    def _message(self, text: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        self.sent += 1
        return {
            "workspace_id": self.workspace,
            "id": uuid7(),
            "source_id": self.source,
            "external_id": str(self.sent),
            "text": text,
            "sent_at": START + timedelta(minutes=self.sent),
            "content_sha256": sha(text),
            "text_sha256": sha(text),
            "importance_score": 0.5,
            "importance_label": "weak",
            "importance_factors": '{"short": -0.1, "question": 0.6}',
            "importance_version": "1",
        } | fields

    async def add_message(self, text: str, vector: Matrix | None = None, **fields: Any) -> UUID:
        """Save one message."""
        vectors = None if vector is None else [vector]
        (message,) = await self.add_messages([text], vectors, **fields)
        return message

    async def add_vectors(
        self,
        kind: str,
        subjects: Sequence[UUID],
        texts: Sequence[str],
        vectors: Sequence[Matrix],
        *,
        part: int = 0,
        source: UUID | None = None,
    ) -> None:
        """Save vectors of texts."""
        values = to_halfvecs(np.array(vectors, np.float32))
        records = [
            (
                self.workspace,
                self.generation,
                kind,
                subject,
                part,
                sha(text),
                value,
                source or self.source,
                START,
            )
            for subject, text, value in zip(subjects, texts, values, strict=True)
        ]
        await self.admin.executemany(
            """insert into embedder.vector (workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding,
                 source_id, sent_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
            records,
        )

    async def add_topic(self, title: str, messages: Sequence[UUID] = ()) -> UUID:
        """Save a topic and what belongs to it."""
        topic = uuid7()
        await self.admin.execute(
            """insert into extractor.topic (workspace_id, id, source_id, title, title_key, text_sha256)
               values ($1, $2, $3, $4, lower($4), $5)""",
            self.workspace,
            topic,
            self.source,
            title,
            sha(title),
        )
        for message in messages:
            await self.admin.execute(
                """insert into extractor.topic_message (workspace_id, topic_id, message_id, window_id)
                   values ($1, $2, $3, $4)""",
                self.workspace,
                topic,
                message,
                uuid4(),
            )
        return topic

    async def add_atom(
        self,
        title: str,
        content: str,
        evidence: Sequence[UUID],
        vector: Matrix | None = None,
        **fields: Any,
    ) -> UUID:
        """Save an atom that cites all that messages say."""
        text = f"{title}\n{content}"
        row = {
            "workspace_id": self.workspace,
            "id": uuid7(),
            "source_id": self.source,
            "window_id": await self._window(),
            "type": "solution",
            "title": title,
            "content": content,
            "text_sha256": sha(text),
            "confidence": 0.9,
            "valid_from": START,
        } | fields
        await self.admin.copy_records_to_table(
            "atom", schema_name="extractor", columns=list(row), records=[tuple(row.values())]
        )
        for position, message in enumerate(evidence):
            await self.admin.execute(
                """insert into extractor.atom_evidence
                     (workspace_id, atom_id, message_id, position, quote, quote_offset)
                   select workspace_id, $2, id, $4, text, 0 from ingest.message where workspace_id = $1 and id = $3""",
                self.workspace,
                row["id"],
                message,
                position,
            )
        if vector is not None:
            await self.add_vectors("atom", [row["id"]], [text], [vector])
        atom: UUID = row["id"]
        return atom

    async def link(self, atom: UUID, other: UUID, kind: str = "relates_to") -> None:
        """Save that an atom bears on another."""
        await self.admin.execute(
            """insert into extractor.atom_link (workspace_id, from_atom_id, to_atom_id, type, confidence, run_id)
               values ($1, $2, $3, $4, 0.7, $5)""",
            self.workspace,
            atom,
            other,
            kind,
            uuid4(),
        )

    async def _window(self) -> UUID:
        window: UUID = await self.admin.fetchval(
            """insert into extractor.conversation_window (workspace_id, source_id, thread_id, closed_by, first_sent_at,
                 last_sent_at, message_count, noise_count) values ($1, $2, '', 'count', $3, $3, 1, 0) returning id""",
            self.workspace,
            self.source,
            START,
        )
        return window


class TinyEmbedder(embedder_pb2_grpc.EmbedderServiceServicer):
    """Answers with the vectors it was given, and remembers who asked for what."""

    def __init__(self, generation: UUID, vectors: Mapping[str, Matrix]) -> None:
        self._generation, self._vectors = generation, vectors
        self.asked: list[tuple[str, str]] = []

    async def Embed(
        self, request: embedder_pb2.EmbedRequest, context: Any
    ) -> embedder_pb2.EmbedResponse:
        """Return the vector of a text, or an arbitrary one."""
        metadata = dict(context.invocation_metadata())
        self.asked.append((request.text, metadata.get("authorization", "")))
        vector = self._vectors.get(request.text, unit(0, 0, 0, 0, 0, 0, 0, 1))
        embedding = embedder_pb2.Embedding(values=vector.tolist(), tokens=1)
        return embedder_pb2.EmbedResponse(embedding=embedding, generation_id=str(self._generation))


Embedding = TypeVar("Embedding", bound=TinyEmbedder)


@asynccontextmanager
async def embedder(
    deployment: Deployment,
    generation: UUID,
    vectors: Mapping[str, Matrix],
    of: type[Embedding] = TinyEmbedder,
) -> AsyncIterator[Embedding]:
    """Serve vectors where search expects the embedder."""
    servicer = of(generation, vectors)
    server = grpc.aio.server()
    embedder_pb2_grpc.add_EmbedderServiceServicer_to_server(servicer, server)
    server.add_insecure_port(deployment.address("embedder"))
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)


@asynccontextmanager
async def as_search(library: Library) -> AsyncIterator[Connection]:
    """A transaction of the library's workspace under the role and the settings of search."""
    async with (
        Database.open(
            DatabaseSettings.read(), "winnow_search", server_settings=INDEX_SETTINGS
        ) as database,
        database.transaction(library.workspace) as connection,
    ):
        yield connection


@dataclass
class Client:
    """Searches as the owner of a key."""

    channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...]

    async def search(self, query: str = "anything", **fields: Any) -> pb.SearchResponse:
        """Send a search."""
        response: pb.SearchResponse = await SearchServiceStub(self.channel).Search(
            pb.SearchRequest(query=query, **fields), metadata=self.metadata, timeout=30
        )
        return response

    async def words(self, query: str, **fields: Any) -> list[str]:
        """Return the texts that are found by words, best first."""
        return texts(await self.search(query, mode=pb.SEARCH_MODE_KEYWORD, **fields))

    async def meaning(self, vector: Matrix, **fields: Any) -> list[str]:
        """Return the texts that are found by a vector, best first."""
        response = await self.search(
            mode=pb.SEARCH_MODE_SEMANTIC, query_vector=vector.tolist(), **fields
        )
        return texts(response)


def texts(response: pb.SearchResponse) -> list[str]:
    """The text of each result: a message's, or the title of an atom or a topic."""
    found = []
    for result in response.results:
        subject = getattr(result, str(result.WhichOneof("subject")))
        found.append(subject.text if result.HasField("message") else subject.title)
    return found
