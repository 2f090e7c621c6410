"""What both ends of a channel are told about it."""

import asyncio
from pathlib import Path

import grpc
import pytest
from grpc._cython import cygrpc

from services.common import channels, rpc
from services.common.addresses import host_of, is_on_this_machine
from services.common.channels import dial
from services.common.tls import TlsSettings


def test_grpc_knows_every_option() -> None:
    """gRPC takes no notice of an option that it does not know: each of ours must be a name that it has."""
    library = Path(cygrpc.__file__).read_bytes()
    given = (*channels.CHANNEL_OPTIONS, channels.WITHOUT_PROXY, *rpc.OPTIONS)
    names = {name for name, _ in given}
    names |= {"grpc.max_connection_age_ms", "grpc.max_connection_age_grace_ms"}
    assert not [name for name in sorted(names) if name.encode() not in library]


def test_a_call_that_waits_long_is_no_abuse() -> None:
    """The signs of life of a quiet channel come no faster than the service allows, else it would end the call."""
    sent = dict(channels.CHANNEL_OPTIONS)["grpc.keepalive_time_ms"]
    assert dict(rpc.OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"] < sent


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("127.0.0.1:15051", True),
        ("localhost:15051", True),
        ("[::1]:15051", True),
        ("dns:///localhost:15051", True),
        ("ipv4:127.0.0.2:15051", True),
        ("winnow-search:15054", False),
        ("dns:///winnow-search.winnow.svc:15054", False),
        ("10.0.0.1:15054", False),
        ("localhost.example:15054", False),
    ],
)
def test_which_addresses_are_on_this_machine(address: str, is_here: bool) -> None:
    """Names and numbers of the machine itself are told from all others, in each form that an address may have."""
    assert is_on_this_machine(host_of(address)) == is_here


async def test_no_proxy_is_a_way_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a proxy in the environment reaches what runs on this machine without it, and all else by it."""
    asked: asyncio.Queue[bytes] = asyncio.Queue()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.put_nowait(await reader.readline())
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}")
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with asyncio.timeout(20):
            for host in ("127.0.0.1", "localhost"):
                async with dial(f"{host}:{port}", TlsSettings()) as channel:
                    await channel.channel_ready()
            assert asked.empty()
            async with dial("winnow.invalid:15051", TlsSettings()) as channel:
                channel.get_state(try_to_connect=True)
                assert await asked.get() == b"CONNECT winnow.invalid:15051 HTTP/1.1\r\n"
    finally:
        await server.stop(None)
        proxy.close()
