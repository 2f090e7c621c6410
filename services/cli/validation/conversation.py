"""The conversation that is sent through a deployment: under a source of its own, which is erased at the end."""

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, Self
from uuid import uuid4

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.failures import Failure, described
from services.cli.health import is_serving
from services.cli.target import Target
from winnow.extractor.v1 import extractor_pb2
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.ingest.v1 import ingest_pb2
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.search.v1 import search_pb2
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

DEADLINE_SECONDS = 30
ERASING_SECONDS, AGAIN_SECONDS = (
    60,
    1,
)  # how long, and how often, a service is asked to erase that is away
LOOK_SECONDS = 0.1
TITLE = "winnow validate"
TRANSIENT = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


@dataclass(frozen=True)
class Question:
    """A query and the messages that answer it."""

    text: str
    answers: frozenset[str]


def sample() -> tuple[list[ingest_pb2.MessageInput], list[Question]]:
    """The messages, sent within the last hour, and the questions about them."""
    text = (resources.files("services.cli.validation") / "sample.toml").read_text("utf-8")
    content = tomllib.loads(text)
    # What is older than an hour has its vectors made after all that waits; what was said less than half an hour ago may
    # go on, so a timer of its conversation would be left.
    began = datetime.now(UTC) - timedelta(minutes=55)
    messages = []
    for index, each in enumerate(content["message"]):
        sent_at = Timestamp()
        sent_at.FromDatetime(began + timedelta(minutes=index))
        author = types.Author(external_id=each["author"].lower(), name=each["author"])
        messages.append(
            ingest_pb2.MessageInput(
                external_id=each["id"], text=each["text"], author=author, sent_at=sent_at
            )
        )
    questions = [Question(q["text"], frozenset(q["answers"])) for q in content["question"]]
    return messages, questions


class Conversation:
    """The stored conversation, and what became of it."""

    def __init__(self, target: Target) -> None:
        self._target, self.source_id, self._request = target, "", str(uuid4())
        self._source = ingest_pb2.SourceRef(
            kind=ingest_pb2.SOURCE_KIND_API, external_id=f"validate-{uuid4()}", title=TITLE
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, target: Target, tell: Callable[[str], None]) -> AsyncIterator[Self]:
        """Send a first message, and erase the whole source at the end, whatever happens in between.

        `tell` gets a line if that does not succeed.
        """
        conversation = cls(target)
        try:
            await conversation._begin()
            yield conversation
        finally:
            await _in_spite_of_interrupts(conversation._erase_or(tell))

    async def check_rights(self) -> None:
        """Ask for nothing, as who may read and erase: what could not be erased must not be stored."""
        async with self._target.channel("ingest") as channel:
            await is_serving(channel)  # connected by now, or told that nobody is there
            await IngestServiceStub(channel).ListOperations(
                ingest_pb2.ListOperationsRequest(page_size=1),
                metadata=self._target.metadata,
                timeout=DEADLINE_SECONDS,
            )
        await self._find()

    async def _begin(self) -> None:
        sent_at = Timestamp()
        sent_at.FromDatetime(datetime.now(UTC) - timedelta(hours=7))
        opening = ingest_pb2.MessageInput(external_id="0", text="Good morning!", sent_at=sent_at)
        await self.send([opening])
        self.source_id = await self._find()
        if not self.source_id:
            raise Failure("a message was accepted, but its source is not listed")

    async def send(self, messages: list[ingest_pb2.MessageInput]) -> float:
        """Store messages; return how many seconds the call took."""
        request = ingest_pb2.IngestMessagesRequest(source=self._source, messages=messages)
        async with self._target.channel("ingest") as channel:
            await is_serving(channel)
            began = time.perf_counter()
            await IngestServiceStub(channel).IngestMessages(
                request, metadata=self._target.metadata, timeout=DEADLINE_SECONDS
            )
            return time.perf_counter() - began

    async def search(
        self, query: str, mode: "search_pb2.SearchMode.ValueType", *, everywhere: bool = False
    ) -> search_pb2.SearchResponse:
        """Ask for messages, of the conversation alone unless everywhere."""
        own = search_pb2.SearchFilter(source_ids=[self.source_id])
        request = search_pb2.SearchRequest(
            query=query,
            mode=mode,
            kinds=[types.SUBJECT_KIND_MESSAGE],
            filter=None if everywhere else own,
            page_size=5,
            explain=True,
        )
        async with self._target.channel("search") as channel:
            reply: search_pb2.SearchResponse = await SearchServiceStub(channel).Search(
                request, metadata=self._target.metadata, timeout=DEADLINE_SECONDS
            )
        return reply

    async def read_now(self) -> None:
        """Ask for the conversation to be read without waiting for it to pause."""
        async with self._target.channel("extractor") as channel:
            await ExtractorServiceStub(channel).ExtractNow(
                extractor_pb2.ExtractNowRequest(source_id=self.source_id),
                metadata=self._target.metadata,
                timeout=DEADLINE_SECONDS,
            )

    async def atoms(self) -> list[types.Atom]:
        """The atoms of the conversation."""
        async with self._target.channel("extractor") as channel:
            reply = await ExtractorServiceStub(channel).ListAtoms(
                extractor_pb2.ListAtomsRequest(source_id=self.source_id, page_size=100),
                metadata=self._target.metadata,
                timeout=DEADLINE_SECONDS,
            )
        return list(reply.atoms)

    async def _erase_or(self, tell: Callable[[str], None]) -> None:
        """Erase the source; while the service is away, again and again for a while. Tells of what is left behind."""
        end = time.monotonic() + ERASING_SECONDS
        while True:
            try:
                await self._erase()
                return
            except grpc.aio.AioRpcError as error:
                if error.code() not in TRANSIENT or time.monotonic() > end:
                    tell(self._left_behind(described(error)))
                    raise
            await asyncio.sleep(AGAIN_SECONDS)

    def _left_behind(self, why: str) -> str:
        told = f"what the check has stored is not erased ({why})"
        if self.source_id:
            return f"{told}: `winnow erase source {self.source_id}` does it"
        return f"{told}: if `winnow sources list` shows a source `{TITLE}`, `winnow erase source ID` does it"

    async def _erase(self) -> None:
        """Erase the source, if it is there, and wait until nothing of it is left."""
        self.source_id = self.source_id or await self._find()
        if not self.source_id:
            return
        request = ingest_pb2.EraseSourceRequest(source_id=self.source_id, request_id=self._request)
        async with self._target.channel("ingest") as channel:
            stub, metadata = IngestServiceStub(channel), self._target.metadata
            begun = await stub.EraseSource(request, metadata=metadata, timeout=DEADLINE_SECONDS)
            operation = begun.operation
            end = time.monotonic() + DEADLINE_SECONDS * 4
            while operation.state == ingest_pb2.OPERATION_STATE_RUNNING:
                if time.monotonic() > end:
                    raise Failure(f"the check's own source {self.source_id} is still being erased")
                await asyncio.sleep(LOOK_SECONDS)
                asked = ingest_pb2.GetOperationRequest(operation_id=operation.id)
                reply = await stub.GetOperation(asked, metadata=metadata, timeout=DEADLINE_SECONDS)
                operation = reply.operation

    async def _find(self) -> str:
        """The id of the source; empty if there is none, or nothing in it."""
        request = ingest_pb2.ListSourcesRequest(page_size=500)
        async with self._target.channel("ingest") as channel:
            while True:
                reply = await IngestServiceStub(channel).ListSources(
                    request, metadata=self._target.metadata, timeout=DEADLINE_SECONDS
                )
                for each in reply.sources:
                    if each.external_id == self._source.external_id:
                        return str(each.id)
                if not reply.next_page_token:
                    return ""
                request.page_token = reply.next_page_token


async def _in_spite_of_interrupts(work: Coroutine[Any, Any, None]) -> None:
    """Go on to the end, also of a task that is cancelled meanwhile; then it is."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def wait(condition: Callable[[], Awaitable[bool]], seconds_max: float) -> float | None:
    """Return after how many seconds the condition held, or None if it never did."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds_max:
        if await condition():
            return time.perf_counter() - began
        await asyncio.sleep(LOOK_SECONDS)
    return None
