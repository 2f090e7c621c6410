"""The edge of every service: who gets in, how many, and what ends a call."""

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common import auth, errors, rpc
from services.common.auth import mint_key
from tests.common.edge import (
    BIDI,
    CONCURRENCY_MAX,
    KINDS,
    METHODS,
    UNARY,
    Edge,
    call,
    details_of,
    failure,
    path_of,
    valid,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    error = await failure(call(edge.channel, path, edge.metadata, seconds=0.3))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(ended.wait(), 10)


@pytest.mark.parametrize("path", KINDS)
async def test_a_caller_who_leaves_stops_the_work(edge: Edge, path: str) -> None:
    """When the caller cancels, the handler is cancelled and its place is free again."""
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
        await asyncio.wait_for(started.wait(), 10)
        task.cancel()
        await asyncio.wait_for(ended.wait(), 10)


async def test_a_stream_that_is_left_open_is_freed(edge: Edge) -> None:
    """A caller who reads one reply and goes away takes no place for ever."""
    for _ in range(CONCURRENCY_MAX + 2):
        stream = edge.channel.stream_stream(BIDI)(metadata=edge.metadata)
        await stream.write(b"")
        await stream.read()
        stream.cancel()
        await asyncio.sleep(0.05)
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
    async with asyncio.timeout(10):
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


@pytest.mark.parametrize("change", ["revoked_at = now()", "expires_at = now()"])
async def test_a_key_that_ends_ends_its_streams(
    edge: Edge, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A stream that goes on is cut off soon after its key is revoked or expires, in either direction."""
    monkeypatch.setattr(rpc, "KNOWN_SECONDS", 0.05)
    monkeypatch.setattr(auth, "CACHE_SECONDS", 0.05)
    key = await edge.key()

    async def act(context: Any) -> None:
        await asyncio.sleep(0.01)

    edge.handlers.act = act
    stream = edge.channel.stream_stream(BIDI)(metadata=(("authorization", f"Bearer {key}"),))
    for _ in range(20):
        await stream.write(b"")
        assert await stream.read() == b""
    prefix = key.partition(".")[0].removeprefix("wk_")
    await edge.admin.execute(f"update spine.api_key set {change} where prefix = $1", prefix)

    async def go_on() -> None:
        async with asyncio.timeout(10):
            while True:
                await stream.write(b"")
                await stream.read()

    error = await failure(go_on())
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert details_of(error).reason == "INVALID_CREDENTIALS"
