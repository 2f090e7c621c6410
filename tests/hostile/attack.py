"""The four services on real servers, two workspaces with knowledge in them, and one that attacks the other."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import grpc
from google.protobuf.descriptor import MethodDescriptor

from services.common.addresses import NAMES
from services.common.channels import CHANNEL_OPTIONS
from services.common.service import serving
from services.common.testing import FakeEncoder
from services.embedder.service import open_service as open_embedder
from tests.common.edge import METHODS, path_of
from tests.conftest import Deployment
from tests.embedder.conftest import fake_models
from tests.hostile.requests import TEXTS, Forge
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1.pipeline_pb2 import GetStatusRequest
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

CANARY = "quokka"
AT_ONCE = 8
STREAM_SECONDS = 0.15
CALL_SECONDS = 60
SETTLED_SECONDS = 100
# Which model serves is the deployment's, so an admin of any workspace decides it for all.
OF_THE_DEPLOYMENT = {
    *("StartGeneration", "PromoteGeneration", "RollBackGeneration", "RetireGeneration"),
    *("WatchGeneration", "ListGenerations", "ResumeBackfills"),
}
SETTINGS = {
    "WINNOW_EXTRACTION_ENGINE": "grounded",
    "WINNOW_WINDOW_SETTLE_SECONDS": "0.2",
    "WINNOW_EMBED_RECONCILE_SECONDS": "30",
    "WINNOW_RELAY_IDLE_SECONDS": "0.05",
    "WINNOW_LOG_LEVEL": "ERROR",
}
TALK = (
    "The nightly {word} backup failed with error 53100: the disk of {word}-db is full.",
    "The {word} archive was never pruned, so /var/lib/{word} grew to 400 GB.",
    "Fixed: I set {word}_cleanup_command and freed the disk, the backup passes now.",
    "Let's decide: we keep seven days of {word} WAL, not thirty.",
)
# Shows what the attacker itself has asked, with the ids that it named.
RECORD = "ListAuditEntries"
_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass
class Report:
    """What calls came to, and what must not have happened."""

    codes: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Victim:
    """Another workspace: its id, and every id of its rows."""

    workspace: str
    metadata: tuple[tuple[str, str], ...]
    ids: frozenset[str] = frozenset()


@dataclass
class Attack:
    """Running services, the attacker's way in, and the victim."""

    deployment: Deployment
    channels: dict[str, grpc.aio.Channel]
    victim: Victim
    report: Report = field(default_factory=Report)

    async def calls(
        self, count: int, seed: int, methods: Sequence[MethodDescriptor] = METHODS
    ) -> None:
        """Make numbered calls: the same number and seed are the same request, the ids of rows apart."""
        ids = [*sorted(self.victim.ids)[:300], *(await own_ids(self.deployment))[:100]]

        async def one(number: int) -> None:
            dice = random.Random(f"{seed} {number}")
            texts = [text for text in TEXTS if len(text) < 1000 or dice.random() < 0.05]
            method = methods[number % len(methods)]
            await self._call(method, Forge(dice, ids, texts).body(method), f"{seed}:{number}")

        for first in range(0, count, AT_ONCE):
            await asyncio.gather(*(one(n) for n in range(first, min(first + AT_ONCE, count))))

    async def _call(self, method: MethodDescriptor, body: bytes, label: str) -> None:
        channel = self._channel_of(method)
        try:
            replies = await self._replies(channel, method, body)
            code = "OK"
        except grpc.aio.AioRpcError as error:
            replies, code = [str(error.details()).encode()], error.code().name
        self.report.codes[code] += 1
        if code == "OK":
            self.report.answered[method.name] += 1
        if code in ("UNKNOWN", "INTERNAL", "DATA_LOSS") or code == "DEADLINE_EXCEEDED":
            self.report.wrong.append(f"{label} {method.name}: {code}: {replies}")
        if method.name not in OF_THE_DEPLOYMENT:
            self._look(code, replies, f"{label} {method.name}")

    def _look(self, code: str, replies: list[bytes], label: str) -> None:
        """Nothing of the victim may be in any reply; a refusal may repeat the id that it refuses."""
        for reply in replies:
            if CANARY.encode() in reply.lower():
                self.report.wrong.append(f"{label}: a reply holds the victim's text")
            found = {match.decode() for match in _UUID.findall(reply)} & self.victim.ids
            if found and code == "OK" and not label.endswith(RECORD):
                self.report.wrong.append(f"{label}: a reply holds the victim's {sorted(found)[:3]}")

    def _channel_of(self, method: MethodDescriptor) -> grpc.aio.Channel:
        name = method.containing_service.full_name.split(".")[1]
        return self.channels[name if name in self.channels else "search"]

    async def _replies(
        self, channel: grpc.aio.Channel, method: MethodDescriptor, body: bytes
    ) -> list[bytes]:
        path, metadata = path_of(method), self.deployment.metadata
        if not method.server_streaming:
            return [await channel.unary_unary(path)(body, metadata=metadata, timeout=CALL_SECONDS)]
        # Some streams never end: hear what comes for a moment.
        options = {"metadata": metadata, "timeout": CALL_SECONDS}
        call = (
            channel.stream_stream(path)(iter([body, body]), **options)
            if method.client_streaming
            else channel.unary_stream(path)(body, **options)
        )
        replies: list[bytes] = []
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                async for reply in call:
                    replies.append(reply)  # noqa: PERF401 - what came before the end counts
        except TimeoutError:
            call.cancel()
        return replies


async def own_ids(deployment: Deployment) -> list[str]:
    """Ids of rows of the attacker's own workspace."""
    return sorted(await ids_of(deployment.admin, str(deployment.workspace)))


@asynccontextmanager
async def all_serving(deployment: Deployment) -> AsyncIterator[dict[str, grpc.aio.Channel]]:
    """Run the four services, the embedder with a model that knows no meaning; yields a channel to each."""
    channels = {}
    async with AsyncExitStack() as stack:
        for name in NAMES:
            if name != "embedder":
                channels[name] = await stack.enter_async_context(deployment.serving(name))
                continue
            service = await stack.enter_async_context(open_embedder(fake_models(FakeEncoder())))
            address = await stack.enter_async_context(serving(service))
            channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
            channels[name] = await stack.enter_async_context(channel)
        yield channels


@asynccontextmanager
async def attacking(deployment: Deployment) -> AsyncIterator[Attack]:
    """Run all services, fill both workspaces, and let everything come to rest."""
    async with all_serving(deployment) as channels:
        metadata = await deployment.other_workspace("victim")
        found = await deployment.admin.fetchval(
            "select workspace_id from spine.workspace where name = 'victim'"
        )
        for who, word in ((metadata, CANARY), (deployment.metadata, "wombat")):
            await _fill(channels["ingest"], who, word)
        for who in (metadata, deployment.metadata):
            await settled(channels["ingest"], who)
        ids = frozenset(await ids_of(deployment.admin, str(found)))
        yield Attack(deployment, channels, Victim(str(found), metadata, ids))


async def _fill(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...], word: str
) -> None:
    request = ingest.IngestMessagesRequest(
        source=ingest.SourceRef(kind=ingest.SOURCE_KIND_API, external_id=word)
    )
    moment = datetime(2026, 1, 5, 9, tzinfo=UTC)
    for number, text in enumerate(TALK):
        message = request.messages.add(external_id=str(number), text=text.format(word=word))
        message.author.external_id, message.author.name = f"{word}-author", word
        message.sent_at.FromDatetime(moment + timedelta(minutes=number))
    await IngestServiceStub(channel).IngestMessages(request, metadata=metadata)


async def settled(
    channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...], *, also_later: bool = True
) -> None:
    """Wait until nothing of a workspace waits to be read, embedded or compared; perhaps but for what is due later."""
    stub = PipelineServiceStub(channel)
    latest = time.monotonic() + SETTLED_SECONDS
    while True:
        state = await stub.GetStatus(GetStatusRequest(), metadata=metadata)
        later = sum(s.scheduled for s in state.stages) + state.messages_in_open_windows
        waiting = sum(s.ready + s.leased for s in state.stages) + later * also_later
        if state.atoms and not waiting:
            return
        assert time.monotonic() < latest, f"work waits on and on: {state}"
        await asyncio.sleep(0.1)


async def ids_of(admin: asyncpg.Connection, workspace: str) -> set[str]:
    """Every UUID that is an id of a row of a workspace."""
    found: set[str] = set()
    for table in await tables(admin):
        rows = await admin.fetch(
            f"select to_jsonb(t) ->> 'id' as id from {table} t where workspace_id = $1::text::uuid",
            workspace,
        )
        found |= {row["id"] for row in rows if row["id"]}
    return found


async def state_of(admin: asyncpg.Connection, workspace: str) -> dict[str, str]:
    """A digest of every table's rows of a workspace."""
    return {
        table: await admin.fetchval(
            f"""select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t
                where workspace_id = $1::text::uuid""",
            workspace,
        )
        for table in await tables(admin)
    }


async def tables(admin: asyncpg.Connection) -> list[str]:
    """Every table with a workspace."""
    rows = await admin.fetch(
        """select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
           join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped
           where n.nspname in ('spine', 'ingest', 'extractor', 'embedder', 'search') and c.relkind in ('r', 'p')
             and not c.relispartition order by 1"""
    )
    return [row["name"] for row in rows]
