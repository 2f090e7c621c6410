"""People who write, edit and delete over real channels, and who try again until they are answered."""

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import grpc

from services.cli.failures import is_broken_stream
from services.common.channels import CHANNEL_OPTIONS
from tests.faults.history import History
from tests.faults.plans import Act, Version
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1 import ingest_pb2_grpc

DEADLINE_SECONDS = 2.5
SLACK_SECONDS = 1.0
GIVE_UP_SECONDS = 120.0
_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
}
_OPTIONS = [
    *[option for option in CHANNEL_OPTIONS if option[0] != "grpc.enable_retries"],
    # Whoever tries again here says so in the history.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]


@dataclass
class Writers:
    """Clients of all replicas of ingest."""

    addresses: Sequence[str]
    metadata: tuple[tuple[str, str], ...]
    history: History
    channels: list[grpc.aio.Channel] = field(default_factory=list)
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)

    async def __aenter__(self) -> "Writers":
        self.channels = [
            grpc.aio.insecure_channel(address, options=_OPTIONS) for address in self.addresses
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(channel.close(None) for channel in self.channels))

    async def perform(self, acts: Sequence[Act]) -> None:
        """Do everything at its time; each act waits for its answer, and so does what changes its message later."""
        answered: dict[str, asyncio.Event] = {
            m.key: asyncio.Event() for act in acts for m in act.messages
        }
        await asyncio.gather(*(self._act(act, answered) for act in acts))

    async def _act(self, act: Act, answered: dict[str, asyncio.Event]) -> None:
        await asyncio.sleep(act.at)
        if act.kind == "write":
            write = self._stream if act.streamed else self._ingest
            orders = [act, *(_shuffled(act) for _ in range(act.crowd - 1))]
            ids, *_ = await asyncio.gather(*(self._insist("write", each, write) for each in orders))
            if act.repeated:
                await self._insist("write", act, self._ingest)
            for message in act.messages:
                answered[message.key].set()
            if isinstance(ids, dict):
                await self._see(act.messages[-1], ids)
            return
        for message in act.messages:
            await answered[message.key].wait()
        await self._insist(act.kind, act, self._edit if act.kind == "edit" else self._delete)

    async def _insist(self, kind: str, act: Act, call: Callable[..., Any]) -> Any:
        """Call until there is an answer; every attempt and its outcome is in the history."""
        versions = [{"key": m.key, "version": m.version, "text": m.text} for m in act.messages]
        loop, number = asyncio.get_running_loop(), next(self._turn)
        end = loop.time() + GIVE_UP_SECONDS
        self.history.note("invoke", op=kind, number=number, source=act.source, messages=versions)
        attempt = 0
        while True:
            stub = ingest_pb2_grpc.IngestServiceStub(
                self.channels[(number + attempt) % len(self.channels)]
            )
            began = loop.time()
            try:
                ids = await call(stub, act)
                self.history.note("ok", op=kind, number=number, ids=ids)
                return ids
            except grpc.aio.AioRpcError as error:
                took, code = loop.time() - began, error.code()
                details = {"code": code.name, "took": round(took, 3), "text": error.details()}
                self.history.note("info", op=kind, number=number, **details)
                if not (code in _AGAIN or is_broken_stream(error)) or loop.time() > end:
                    self.history.note("fail", op=kind, number=number, **details)
                    return None
            attempt += 1
            await asyncio.sleep(0.1)

    async def _ingest(self, stub: Any, act: Act) -> dict[str, str]:
        request = pb.IngestMessagesRequest(source=_source(act), messages=map(_input, act.messages))
        reply = await stub.IngestMessages(
            request, metadata=self.metadata, timeout=DEADLINE_SECONDS, wait_for_ready=False
        )
        return {result.external_id: result.message_id for result in reply.results}

    async def _stream(self, stub: Any, act: Act) -> dict[str, str]:
        frames = [
            pb.StreamMessagesRequest(
                sequence=n, source=_source(act), messages=[_input(message)], include_results=True
            )
            for n, message in enumerate(act.messages)
        ]
        call = stub.StreamMessages(iter(frames), metadata=self.metadata, timeout=DEADLINE_SECONDS)
        ids: dict[str, str] = {}
        async for reply in call:
            ids |= {result.external_id: result.message_id for result in reply.results}
        return ids

    async def _edit(self, stub: Any, act: Act) -> dict[str, str]:
        return await self._ingest(stub, act)

    async def _delete(self, stub: Any, act: Act) -> None:
        keys = [message.key for message in act.messages]
        request = pb.DeleteMessagesRequest(source=_source(act), external_ids=keys)
        await stub.DeleteMessages(request, metadata=self.metadata, timeout=DEADLINE_SECONDS)

    async def _see(self, message: Version, ids: dict[str, str]) -> None:
        """Read what was just acknowledged; not to see it is noted as what it is."""
        request = pb.GetMessageRequest(message_id=str(UUID(ids[message.key])))
        for attempt in range(100):
            stub = ingest_pb2_grpc.IngestServiceStub(self.channels[attempt % len(self.channels)])
            try:
                reply = await stub.GetMessage(
                    request, metadata=self.metadata, timeout=DEADLINE_SECONDS
                )
            except grpc.aio.AioRpcError as error:
                if error.code() in _AGAIN:
                    await asyncio.sleep(0.1)
                    continue
                details = {"code": error.code().name, "text": error.details()}
                self.history.note("unseen", key=message.key, **details)
                return
            self.history.note("seen", key=message.key, text=reply.message.text)
            return


def _shuffled(act: Act) -> Act:
    return replace(act, messages=tuple(random.sample(act.messages, len(act.messages))))


def _source(act: Act) -> pb.SourceRef:
    return pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id=act.source)


def _input(message: Version) -> pb.MessageInput:
    made = pb.MessageInput(external_id=message.key, text=message.text)
    made.author.external_id = made.author.name = message.author
    made.sent_at.FromDatetime(message.sent_at)
    if message.version:
        made.edited_at.FromDatetime(message.edited_at)
    return made
