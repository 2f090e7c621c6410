"""Calls of every RPC of the four services with requests that are valid but for a fault, and what each may come to.

No call may end with a defect, hang or leave a traceback in a log; what is refused as invalid names a field of the
request; and a good call is still answered after it, and whatever was let in is worked off.
"""

import asyncio
import logging
import random
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from services.cli.failures import is_broken_stream, is_from_service
from services.common.addresses import NAMES
from tests.common.edge import METHODS, class_of, details_of, path_of
from tests.conftest import Deployment
from tests.fuzzing.damage import Damage
from tests.fuzzing.valid import FIRST_SECOND, Valid, known_rows
from tests.hostile.attack import TALK, all_serving, ids_of, settled
from winnow.embedder.v1.embedder_pb2 import PauseBackfillRequest
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from winnow.extractor.v1.extractor_pb2 import ExtractNowRequest
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1.pipeline_pb2 import GetStatusRequest
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub
from winnow.search.v1.search_pb2 import SearchRequest
from winnow.search.v1.search_pb2_grpc import SearchServiceStub

AT_ONCE = 8
# Between two rounds what was erased, merged or moved away is replaced.
ROUND_CALLS = 600
# Whoever takes longer hangs.
CALL_SECONDS = 60.0
STREAM_SECONDS = 0.1
PAGES_KEPT = 20
TRIES = 30
BAD = ("UNKNOWN", "INTERNAL", "DATA_LOSS", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "UNAUTHENTICATED")
BAD_NUMBERS = {code.value[0] for code in grpc.StatusCode if code.name in BAD}
PUBLIC = [
    method
    for file in (health_pb2, reflection_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
ALL = [*METHODS, *PUBLIC]
# Where more can be asked, more is.
_TURNS = [method for method in ALL for _ in range(1 + len(method.input_type.fields) // 3)]
_REFLECTIONS = ("/grpc.reflection.v1", "/grpc.reflection.v1alpha")


@dataclass
class Heard:
    """Collects what services log of defects."""

    said: list[str] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear every logger of this process."""
        handler = logging.Handler()
        handler.emit = self._emit  # type: ignore[method-assign]
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)

    def _emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.said.append(logging.Formatter().format(record))


@dataclass
class Fuzz:
    """Running services and a workspace with knowledge in it; makes calls, and notes what must not be."""

    deployment: Deployment
    channels: dict[str, grpc.aio.Channel]
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    told: str = ""
    _rows: dict[str, list[str]] = field(default_factory=dict)
    _ids: list[str] = field(default_factory=list)
    _pages: dict[str, deque[Any]] = field(default_factory=dict)

    async def calls(self, count: int, seed: int) -> None:
        """Make numbered calls; what comes of one that goes wrong is told with its request."""
        heard = Heard()
        with heard.listening():
            for first in range(0, count, ROUND_CALLS):
                await self._renew(first)
                turns = asyncio.Semaphore(AT_ONCE)
                numbers = range(first, min(first + ROUND_CALLS, count))
                await asyncio.gather(*(self._one(number, seed, turns) for number in numbers))
                await self._good_calls(f"after {numbers[-1]}")
                self.wrong += [f"logged until {numbers[-1]}: {each}" for each in heard.said]
                heard.said.clear()
        await self._renew(count)

    async def never_answered(self) -> dict[str, str]:
        """The methods that refuse whatever is held to be valid, with how they did so last."""
        refused = {}
        for place, method in enumerate(ALL):
            if place % 15 == 0:
                await self._renew(place)
            for number in range(TRIES):
                dice = random.Random(f"{method.full_name} {number}")
                request = Valid(dice, self._rows).request(method)
                code, told = await self._call(method, [request.SerializeToString()], dice)
                if code == "OK" and not told:
                    break
            else:
                refused[method.name] = f"{code} {self.told}: {request}"
        return refused

    async def _renew(self, number: int) -> None:
        """Ingest two conversations more, wait until they are worked off, and see which rows there are."""
        metadata = self.deployment.metadata
        stub = IngestServiceStub(self.channels["ingest"])
        await EmbedderServiceStub(self.channels["embedder"]).PauseBackfill(
            PauseBackfillRequest(paused=False), metadata=metadata
        )
        for word in ("a", "b"):
            request = conversation(f"{word}{number}")
            await stub.IngestMessages(request, metadata=metadata)
        await stub.RescoreMessages(ingest.RescoreMessagesRequest(dry_run=True), metadata=metadata)
        await ExtractorServiceStub(self.channels["extractor"]).ExtractNow(
            ExtractNowRequest(), metadata=metadata
        )
        # The end of a conversation that is said to go on waits for hours.
        await settled(self.channels["ingest"], metadata, also_later=False)
        self._rows = await known_rows(self.deployment.admin, self.deployment.workspace)
        found = await ids_of(self.deployment.admin, str(self.deployment.workspace))
        self._ids = sorted(found)[-300:]

    async def _good_calls(self, when: str) -> None:
        """Whatever came before, each service answers."""
        for name in NAMES:
            status = PipelineServiceStub(self.channels[name]).GetStatus
            reply = await status(GetStatusRequest(), metadata=self.deployment.metadata, timeout=60)
            if reply.tasks_dead:
                self.wrong.append(f"{when}: {reply.tasks_dead} tasks are dead")
        search = SearchServiceStub(self.channels["search"]).Search
        request = SearchRequest(query="backup")
        found = await search(request, metadata=self.deployment.metadata, timeout=60)
        if not found.results:
            self.wrong.append(f"{when}: nothing is found")

    async def _one(self, number: int, seed: int, turns: asyncio.Semaphore) -> None:
        method = _TURNS[number % len(_TURNS)]
        dice = random.Random(f"{method.full_name} {seed} {number}")
        async with turns:
            count = dice.randint(1, 4) if method.client_streaming else 1
            frames = [self._body(method, dice) for _ in range(count)]
            code, problems = await self._call(method, frames, dice)
        self.codes[code] += 1
        shown = [_shown(method, frame) for frame in frames]
        self.wrong += [f"{number} {method.name}: {each}\n    {shown}" for each in problems]

    def _body(self, method: MethodDescriptor, dice: random.Random) -> bytes:
        """A request: as it should be now and then, mostly with a fault."""
        pages = self._pages.get(method.full_name)
        if pages and dice.random() < 0.3:
            request = class_of(method).FromString(dice.choice(pages)[0])
        else:
            request = Valid(dice, self._rows).request(method)
        if dice.random() < 0.15:
            return bytes(request.SerializeToString())
        tokens = [token for kept in self._pages.values() for _, token in kept]
        return Damage(dice, self._ids, tokens).body(method, request)

    async def _call(
        self, method: MethodDescriptor, frames: list[bytes], dice: random.Random
    ) -> tuple[str, list[str]]:
        """How a call ends, and what is wrong with that."""
        try:
            replies = await self._replies(method, frames, dice)
        except grpc.aio.AioRpcError as error:
            if is_broken_stream(error) and method.client_streaming:
                return "BROKEN_STREAM", []
            self.told = str(error.details())
            return error.code().name, list(_wrong_with(error, method, frames))
        if replies:
            self._keep_page(method, frames[0], replies[0])
        return "OK", [each for reply in replies for each in _wrong_within(reply)]

    def _keep_page(self, method: MethodDescriptor, body: bytes, reply: Any) -> None:
        """Remember the next page, to ask for it with a fault."""
        if token := getattr(reply, "next_page_token", ""):
            request: Any = class_of(method).FromString(body)
            request.page_token = token
            kept = self._pages.setdefault(method.full_name, deque(maxlen=PAGES_KEPT))
            kept.append((request.SerializeToString(), token))

    async def _replies(
        self, method: MethodDescriptor, frames: list[bytes], dice: random.Random
    ) -> list[Any]:
        package = method.containing_service.full_name.split(".")[1]
        channel = self.channels[package if package in self.channels else dice.choice(NAMES)]
        path = path_of(method).replace("/grpc.reflection.v1alpha", dice.choice(_REFLECTIONS))
        options: Any = {"metadata": self.deployment.metadata, "timeout": CALL_SECONDS}
        read = class_of(method, reply=True).FromString
        if not method.server_streaming:
            return [await channel.unary_unary(path, None, read)(frames[0], **options)]
        if method.client_streaming:
            call = channel.stream_stream(path, None, read)(iter(frames), **options)
            return [reply async for reply in call]
        # Some streams never end: hear what comes for a moment.
        replies: list[Any] = []
        following = channel.unary_stream(path, None, read)(frames[0], **options)
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                async for reply in following:
                    replies.append(reply)  # noqa: PERF401 - what came before the end counts
        except TimeoutError:
            following.cancel()
        return replies


@asynccontextmanager
async def fuzzing(deployment: Deployment) -> AsyncIterator[Fuzz]:
    """Run all services."""
    async with all_serving(deployment) as channels:
        yield Fuzz(deployment, channels)


def conversation(source: str) -> ingest.IngestMessagesRequest:
    """A talk of two people, of which something is to be learnt."""
    request = ingest.IngestMessagesRequest(
        source=ingest.SourceRef(kind=ingest.SOURCE_KIND_API, external_id=source)
    )
    moment = datetime.fromtimestamp(FIRST_SECOND, UTC)
    for number, text in enumerate((*TALK, *TALK[:2], "Резервна копія {word} готова.")):
        message = request.messages.add(external_id=f"{number}", text=text.format(word=source))
        message.author.external_id = ("ada", "bob")[number % 2]
        message.thread_id = "t" if number > 3 else ""
        message.sent_at.FromDatetime(moment + timedelta(minutes=number))
    return request


# --- what is wrong


def _wrong_with(
    error: grpc.aio.AioRpcError, method: MethodDescriptor, frames: list[bytes]
) -> Iterator[str]:
    """What a refusal may not be."""
    code = error.code().name
    if code in BAD or not (method in PUBLIC or is_from_service(error)):
        yield f"{code}: {error.details()}"
    if code != "INVALID_ARGUMENT":
        return
    details = details_of(error)
    if details.reason == "MALFORMED_REQUEST":
        if all(_is_readable(method, frame) for frame in frames):
            yield f"{details.reason}, though it can be read"
    elif not details.fields:
        yield f"{details.reason} without a field: {error.details()}"
    for path, description in details.fields.items():
        if not description or not is_field(method.input_type, path):
            yield f"names {path!r}, which is no field: {description}"


def _wrong_within(reply: Any) -> Iterator[str]:
    """What a part of a reply may not say: a search of several that fails, a message that is rejected."""
    for each in reply.results if "results" in reply.DESCRIPTOR.fields_by_name else ():
        if each.DESCRIPTOR.name == "BatchSearchResult" and each.error.code in BAD_NUMBERS:
            yield f"one of several: {each.error}"
        if each.DESCRIPTOR.name != "IngestResult" or not each.HasField("rejection"):
            continue
        if not is_field(ingest.MessageInput.DESCRIPTOR, each.rejection.field):
            yield f"rejects {each.rejection.field!r}, which is no field"


def is_field(descriptor: Descriptor, path: str) -> bool:
    """Whether a path such as `filter.source_ids[3]` leads to a field or a oneof of a message."""
    name, _, rest = re.sub(r"\[\d+\]", "", path).partition(".")
    if name in descriptor.oneofs_by_name:
        return not rest
    each = descriptor.fields_by_name.get(name)
    if each is None or not rest:
        return each is not None
    return each.message_type is not None and is_field(each.message_type, rest)


def _is_readable(method: MethodDescriptor, body: bytes) -> bool:
    try:
        class_of(method).FromString(body)
    except DecodeError:
        return False
    return True


def _shown(method: MethodDescriptor, body: bytes) -> str:
    """A request for whoever looks into what went wrong."""
    if not _is_readable(method, body):
        return body[:400].hex()
    return str(class_of(method).FromString(body))[:2000].replace("\n", " ")
