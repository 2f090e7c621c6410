"""The edge of every service: who gets in, how many, and what ends a call."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common import auth, errors, metrics, rpc
from services.common.auth import mint_key
from tests.common.edge import (
    BIDI,
    CONCURRENCY_MAX,
    KINDS,
    METHODS,
    STREAM,
    UNARY,
    Edge,
    Metadata,
    call,
    details_of,
    failure,
    path_of,
    valid,
)
from winnow.embedder.v1 import embedder_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Counted:
    """How calls of a method end from now on, as they are counted."""

    def __init__(self, path: str) -> None:
        self._path, self._before = path, Counter[str]()
        self._before = self._read()

    async def ending(self, calls: int = 1) -> dict[str, int]:
        """The codes of so many calls, once they have ended."""
        async with asyncio.timeout(60):
            while (found := self._read() - self._before).total() < calls:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return dict(found)

    def _read(self) -> Counter[str]:
        samples = [each for metric in metrics.RPC_SECONDS.collect() for each in metric.samples]
        return Counter(
            {
                each.labels["code"]: int(each.value)
                for each in samples
                if each.name.endswith("_count") and each.labels["method"] == self._path.lstrip("/")
            }
        )


async def test_a_key_opens_every_method(edge: Edge) -> None:
    """With a key every method reaches its handler, which knows the workspace and the credentials of its caller."""
    for method in METHODS:
        body = valid(method)
        edge.handlers.seen.clear()
        error = None
        try:
            await call(edge.channel, path_of(method), edge.metadata, body)
        except grpc.aio.AioRpcError as refused:
            error = refused
        if error is not None:
            assert details_of(error).reason == "INVALID_FIELD", path_of(method)
            continue
        [seen] = edge.handlers.seen
        assert (seen.path, seen.workspace) == (path_of(method), edge.workspace)
        assert seen.authorization == edge.metadata[0][1]


async def _credentials(edge: Edge, kind: str) -> tuple[tuple[str, str | bytes], ...]:
    good = edge.metadata[0][1]
    secret = (await edge.key("other")).partition(".")[2]
    values: dict[str, tuple[str, ...]] = {
        "none": (),
        "empty": ("",),
        "garbage": ("Bearer !?" + "x" * 500,),
        "without scheme": (good.removeprefix("Bearer "),),
        "another scheme": (good.replace("Bearer", "Basic"),),
        "cut short": (good[:-1],),
        "too long": (good + "A",),
        "the secret of another key": (good.partition(".")[0] + "." + secret,),
        "an unknown key": (f"Bearer {mint_key().text}",),
        "a revoked key": (f"Bearer {await edge.key(change='revoked_at = now()')}",),
        "an expired key": (f"Bearer {await edge.key(change='expires_at = now()')}",),
        "two keys": (good, good),
    }
    if kind == "a binary header":
        return (("authorization-bin", good.encode()),)
    return tuple(("authorization", value) for value in values[kind])


@pytest.mark.parametrize(
    "kind",
    [
        "none",
        "empty",
        "garbage",
        "without scheme",
        "another scheme",
        "cut short",
        "too long",
        "the secret of another key",
        "an unknown key",
        "a revoked key",
        "an expired key",
        "two keys",
        "a binary header",
    ],
)
async def test_strangers_are_refused_alike(edge: Edge, kind: str) -> None:
    """Without one valid key every method of every service is UNAUTHENTICATED, in the same words, and does nothing."""
    metadata = await _credentials(edge, kind)
    for method in METHODS:
        error = await failure(call(edge.channel, path_of(method), metadata, valid(method)))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED, path_of(method)
        assert error.details() == str(errors.InvalidCredentials())
        assert details_of(error).reason == "INVALID_CREDENTIALS"
    assert edge.handlers.seen == []


async def test_strangers_learn_nothing_of_their_request(edge: Edge) -> None:
    """Who is not known is refused before the request is looked at."""
    for path in KINDS:
        error = await failure(call(edge.channel, path, (), b"\xff\xff"))
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_scope_is_needed(edge: Edge) -> None:
    """A key without the scope of the method is PERMISSION_DENIED."""
    metadata = (("authorization", f"Bearer {await edge.key('test', 'ingest')}"),)
    for path in KINDS:
        error = await failure(call(edge.channel, path, metadata))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        assert details_of(error).reason == "INSUFFICIENT_SCOPE"
    assert edge.handlers.seen == []


async def test_callers_are_not_mixed_up(edge: Edge) -> None:
    """Handlers that run at once, streaming or not, each see their own caller."""
    other = (("authorization", f"Bearer {await edge.key('another')}"),)

    async def act(context: Any) -> None:
        await asyncio.sleep(0.02)

    edge.handlers.act = act
    calls = [call(edge.channel, p, m) for p in KINDS for m in (edge.metadata, other)]
    await asyncio.gather(*calls)
    workspaces = {(s.path, s.workspace, s.authorization) for s in edge.handlers.seen}
    assert len(workspaces) == 6
    assert all((s.workspace == edge.workspace) == (s.authorization == edge.metadata[0][1])
               for s in edge.handlers.seen)  # fmt: skip


async def test_health_is_public(edge: Edge) -> None:
    """Probes need no key."""
    reply = await health_pb2_grpc.HealthStub(edge.channel).Check(health_pb2.HealthCheckRequest())
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


async def test_unknown_methods_are_unimplemented(edge: Edge) -> None:
    """A method that does not exist says so, with and without a key."""
    for metadata in ((), edge.metadata):
        error = await failure(call(edge.channel, UNARY + "s", metadata))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("path", KINDS)
async def test_a_deadline_ends_the_work(edge: Edge, path: str) -> None:
    """When the caller's time is up the handler is cancelled and the caller told."""
    ended = asyncio.Event()

    async def act(context: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    edge.handlers.act = act
    counted = Counted(path)
    # Time enough to reach the handler on a machine that is busy.
    error = await failure(call(edge.channel, path, edge.metadata, seconds=2))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(ended.wait(), 60)
    assert await counted.ending() == {"DEADLINE_EXCEEDED": 1}


@pytest.mark.parametrize("path", KINDS)
async def test_a_caller_who_leaves_stops_the_work(edge: Edge, path: str) -> None:
    """When the caller cancels, the handler is cancelled and its place is free again."""
    counted = Counted(path)
    for _ in range(CONCURRENCY_MAX + 2):
        started, ended = asyncio.Event(), asyncio.Event()

        async def act(
            context: Any, started: asyncio.Event = started, ended: asyncio.Event = ended
        ) -> None:
            started.set()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        edge.handlers.act = act
        task = asyncio.create_task(call(edge.channel, path, edge.metadata))
        await asyncio.wait_for(started.wait(), 60)
        task.cancel()
        await asyncio.wait_for(ended.wait(), 60)
    assert await counted.ending(CONCURRENCY_MAX + 2) == {"CANCELLED": CONCURRENCY_MAX + 2}


async def test_a_stream_that_is_left_open_is_freed(edge: Edge) -> None:
    """A caller who reads one reply and goes away takes no place for ever."""
    counted = Counted(BIDI)
    for number in range(CONCURRENCY_MAX + 2):
        stream = edge.channel.stream_stream(BIDI)(metadata=edge.metadata)
        await stream.write(b"")
        await stream.read()
        stream.cancel()
        await counted.ending(number + 1)
    assert await call(edge.channel, UNARY, edge.metadata)


async def test_calls_at_once_are_limited(edge: Edge) -> None:
    """Over the limit a call is refused at once, told when to come back, and the limit holds for every kind of call."""
    release, running = asyncio.Event(), 0

    async def act(context: Any) -> None:
        nonlocal running
        running += 1
        await release.wait()

    edge.handlers.act = act
    paths = [KINDS[n % 3] for n in range(CONCURRENCY_MAX)]
    tasks = [asyncio.create_task(call(edge.channel, path, edge.metadata)) for path in paths]
    async with asyncio.timeout(60):
        while running < CONCURRENCY_MAX:  # noqa: ASYNC110 - the handlers have no event
            await asyncio.sleep(0.01)
    for path in KINDS:
        error = await failure(call(edge.channel, path, edge.metadata))
        details = details_of(error)
        assert (error.code(), details.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "OVERLOADED",
        )
        assert details.retry_seconds
        assert details.pushback_seconds
    release.set()
    await asyncio.gather(*tasks)
    assert await call(edge.channel, UNARY, edge.metadata)


@dataclass
class EndingKey:
    """A key, which is looked at often, and how to end it."""

    edge: Edge
    text: str

    @property
    def metadata(self) -> Metadata:
        """The metadata of calls with it."""
        return (("authorization", f"Bearer {self.text}"),)

    async def end(self, change: str = "revoked_at = now()") -> None:
        """Revoke it, or change it otherwise."""
        prefix = self.text.partition(".")[0].removeprefix("wk_")
        query = f"update spine.api_key set {change} where prefix = $1"
        await self.edge.admin.execute(query, prefix)


async def soon_ending_key(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> EndingKey:
    """A new key, and an edge that looks at keys often."""
    monkeypatch.setattr(rpc, "KNOWN_SECONDS", 0.05)
    monkeypatch.setattr(auth, "CACHE_SECONDS", 0.05)
    return EndingKey(edge, await edge.key())


@pytest.mark.parametrize("change", ["revoked_at = now()", "expires_at = now()"])
async def test_a_key_that_ends_ends_its_streams(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A stream that goes on is cut off soon after its key is revoked or expires, in either direction."""
    key = await soon_ending_key(edge, monkeypatch)

    async def act(context: Any) -> None:
        await asyncio.sleep(0.01)

    edge.handlers.act = act
    stream = edge.channel.stream_stream(BIDI)(metadata=key.metadata)
    for _ in range(20):
        await stream.write(b"")
        assert await stream.read() == b""
    await key.end(change)

    async def go_on() -> None:
        async with asyncio.timeout(60):
            while True:
                await stream.write(b"")
                await stream.read()

    error = await failure(go_on())
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert details_of(error).reason == "INVALID_CREDENTIALS"


@pytest.mark.parametrize("path", [STREAM, BIDI])
async def test_a_key_that_ends_ends_its_idle_streams(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A stream on which nothing flows is cut off as well, with the same words, and gives its place back."""
    key = await soon_ending_key(edge, monkeypatch)
    idle = asyncio.Event()
    edge.handlers.act_after_reply = lambda _: idle.wait()
    counted = Counted(path)
    if path == BIDI:
        stream = edge.channel.stream_stream(path)(metadata=key.metadata)
        await stream.write(b"")
    else:
        stream = edge.channel.unary_stream(path)(b"", metadata=key.metadata)
    assert await stream.read() == b""
    await key.end()
    async with asyncio.timeout(60):
        error = await failure(stream.read())
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert details_of(error).reason == "INVALID_CREDENTIALS"
    assert await counted.ending() == {"UNAUTHENTICATED": 1}


async def test_a_key_that_ends_ends_streams_that_nobody_reads(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller who does not read what is sent holds no place for longer than one who does."""
    key = await soon_ending_key(edge, monkeypatch)
    monkeypatch.setattr(rpc, "_TELLING_SECONDS", 0.05)
    edge.handlers.flood = embedder_pb2.BackfillResponse(model="x" * 100_000)
    counted = Counted(STREAM)
    stream = edge.channel.unary_stream(STREAM)(b"", metadata=key.metadata)
    assert await stream.read() == b""
    await key.end()
    assert sum((await counted.ending()).values()) == 1
    stream.cancel()
