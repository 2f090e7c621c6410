"""The proxy breaks what it says it breaks, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.conftest import free_port
from tests.faults.proxies import REPLY_BYTES_MIN, Proxy

QUESTION = b"?" * REPLY_BYTES_MIN
ANSWER = b"!" * REPLY_BYTES_MIN


@asynccontextmanager
async def proxied(asked: list[bytes]) -> AsyncIterator[Proxy]:
    """A server that answers every question, behind a proxy."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while question := await reader.read(1 << 16):
            asked.append(question)
            writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    proxy = Proxy(free_port(), server.sockets[0].getsockname()[1])
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
        server.close()


async def ask(proxy: Proxy, seconds: float = 60) -> bytes:
    """What comes back for a question on a new connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(QUESTION)
        async with asyncio.timeout(seconds):
            return await reader.read(1 << 16)
    finally:
        writer.close()


async def test_it_forwards() -> None:
    """Unbroken, it is not noticed."""
    asked: list[bytes] = []
    async with proxied(asked) as proxy:
        assert await ask(proxy) == ANSWER
    assert asked == [QUESTION]


async def test_a_partition_lets_nothing_through_until_it_heals() -> None:
    """Neither question nor answer passes; what was sent arrives when it is over."""
    asked: list[bytes] = []
    async with proxied(asked) as proxy:
        proxy.break_down("partition")
        waiting = asyncio.create_task(ask(proxy))
        await asyncio.sleep(0.2)
        assert asked == []
        proxy.heal()
        assert await waiting == ANSWER


async def test_one_way_loses_answers_alone() -> None:
    """The question is heard, and its answer does not come until the edge is healed."""
    asked: list[bytes] = []
    async with proxied(asked) as proxy:
        proxy.break_down("one_way")
        with pytest.raises(TimeoutError):
            await ask(proxy, 1)
        assert asked == [QUESTION]
        proxy.heal()
        assert await ask(proxy) == ANSWER


async def test_a_lost_reply_is_lost_once() -> None:
    """The server has done what it was asked, the caller sees a reset, and the next call is well."""
    asked: list[bytes] = []
    async with proxied(asked) as proxy:
        proxy.break_down("lost_reply")
        with pytest.raises(ConnectionResetError):
            await ask(proxy)
        assert asked == [QUESTION]
        assert await ask(proxy) == ANSWER


async def test_a_reset_cuts_every_connection() -> None:
    """Whoever is connected is cut off without a farewell."""
    async with proxied([]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(QUESTION)
        assert await reader.read(1 << 16) == ANSWER
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        writer.close()
