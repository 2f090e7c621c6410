"""Judged messages in a running deployment: sent to ingest, embedded by the embedder, searched through SearchService."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from services.search.evaluation import RESULTS, Find, JudgedMessage, JudgedQuery
from winnow.ingest.v1 import ingest_pb2
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1 import pipeline_pb2
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub
from winnow.search.v1 import search_pb2
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2

_BATCH: Final = 500
_APART: Final = timedelta(minutes=1)
_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
_POLL_SECONDS: Final = 2.0
_FAILED_POLLS_MAX: Final = 10
_MODES: Final = {
    "semantic": search_pb2.SEARCH_MODE_SEMANTIC,
    "keyword": search_pb2.SEARCH_MODE_KEYWORD,
    "hybrid": search_pb2.SEARCH_MODE_HYBRID,
    "hybrid_by_rank": search_pb2.SEARCH_MODE_HYBRID,
}

_FUSIONS: Final = {"hybrid_by_rank": search_pb2.FUSION_RANK}


@dataclass(frozen=True, slots=True)
class EvaluatedDeployment:
    """Channels to a deployment and a key of a workspace that may be filled."""

    ingest: grpc.aio.Channel
    search: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...]

    async def load(self, messages: Sequence[JudgedMessage]) -> Find:
        """Send messages a minute apart, wait until each has its vector, and return how to search them."""
        run = uuid4().hex
        chats = list(dict.fromkeys(message.chat for message in messages))
        for chat in chats:
            await self._send(f"{run}:{chat}", [m for m in messages if m.chat == chat])
        await self._embedded()
        sources = await self._sources({f"{run}:{chat}": chat for chat in chats})

        async def find(query: JudgedQuery, mode: str) -> Sequence[int]:
            return await self._find(query.text, sources[query.chat], mode)

        return find

    async def _send(self, name: str, messages: Sequence[JudgedMessage]) -> None:
        stub = IngestServiceStub(self.ingest)
        source = ingest_pb2.SourceRef(kind=ingest_pb2.SOURCE_KIND_API, external_id=name)
        inputs = [_input(position, message) for position, message in enumerate(messages)]
        for start in range(0, len(inputs), _BATCH):
            request = ingest_pb2.IngestMessagesRequest(
                source=source, messages=inputs[start : start + _BATCH]
            )
            await stub.IngestMessages(request, metadata=self.metadata, timeout=60)

    async def _embedded(self) -> None:
        """Wait; counting is dear while so much is written, so it may fail now and then."""
        stub = PipelineServiceStub(self.search)
        failed = 0
        while True:
            request = pipeline_pb2.GetStatusRequest()
            try:
                status = await stub.GetStatus(request, metadata=self.metadata, timeout=60)
                failed = 0
                if status.serving_model and not status.vectors_missing:
                    return
            except grpc.aio.AioRpcError as error:
                failed += 1
                if error.code() is not grpc.StatusCode.UNAVAILABLE or failed > _FAILED_POLLS_MAX:
                    raise
            await asyncio.sleep(_POLL_SECONDS)

    async def _sources(self, names: dict[str, str]) -> dict[str, str]:
        """The ids of the sources, by chat."""
        stub = IngestServiceStub(self.ingest)
        found: dict[str, str] = {}
        token = ""
        while len(found) < len(names):
            request = ingest_pb2.ListSourcesRequest(page_size=500, page_token=token)
            page = await stub.ListSources(request, metadata=self.metadata, timeout=60)
            found |= {
                names[source.external_id]: source.id
                for source in page.sources
                if source.external_id in names
            }
            token = page.next_page_token
            if not token:
                break
        return found

    async def _find(self, text: str, source: str, mode: str) -> list[int]:
        request = search_pb2.SearchRequest(
            query=text,
            mode=_MODES[mode],
            fusion=_FUSIONS.get(mode, search_pb2.FUSION_SCORE),
            kinds=[types_pb2.SUBJECT_KIND_MESSAGE],
            filter=search_pb2.SearchFilter(source_ids=[source]),
            page_size=RESULTS,
        )
        stub = SearchServiceStub(self.search)
        response = await stub.Search(request, metadata=self.metadata, timeout=60)
        return [int(result.message.external_id) for result in response.results]


def _input(position: int, message: JudgedMessage) -> ingest_pb2.MessageInput:
    sent_at = Timestamp()
    sent_at.FromDatetime(_START + position * _APART)
    author = types_pb2.Author(external_id=message.author, name=message.author)
    return ingest_pb2.MessageInput(
        external_id=str(message.message_id), author=author, text=message.text, sent_at=sent_at
    )
