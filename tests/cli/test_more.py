"""What every list says of what it did not print."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import click
import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from services.cli.app import winnow
from services.common.addresses import NAMES
from tests import forked
from winnow.embedder.v1 import embedder_pb2
from winnow.extractor.v1 import extractor_pb2
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2
from winnow.search.v1 import search_pb2

ID = str(UUID(int=1))
CONTRACTS = (embedder_pb2, extractor_pb2, ingest_pb2, pipeline_pb2, search_pb2)
# A search shows the best, and what is followed ends after so many.
OTHERWISE = {("search",), ("follow",)}


def commands(path: tuple[str, ...], found: click.Command) -> Iterator[tuple[str, ...]]:
    """The commands that have a --limit, with something for each argument."""
    if isinstance(found, click.Group):
        context = click.Context(found)
        for name in found.list_commands(context):
            below = found.get_command(context, name)
            assert below
            yield from commands((*path, name), below)
    elif any("--limit" in each.opts for each in found.params) and path not in OTHERWISE:
        yield (*path, *(ID for each in found.params if isinstance(each, click.Argument)))


class Endless(grpc.GenericRpcHandler):
    """All services at once: of whatever is asked for there is some, and there are more."""

    def __init__(self) -> None:
        self._methods: dict[str, MethodDescriptor] = {
            f"/{service.full_name}/{method.name}": method
            for contract in CONTRACTS
            for service in contract.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }

    def service(self, handler_call_details: Any) -> Any:
        """Answer any method."""
        method = self._methods[handler_call_details.method]
        reply = GetMessageClass(method.output_type)()
        _fill(reply)

        async def answer(request: bytes, context: Any) -> bytes:
            return reply.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


def _fill(reply: Any) -> None:
    for field in reply.DESCRIPTOR.fields:
        if field.name == "next_page_token":
            reply.next_page_token = "next"
        elif field.name in ("truncated", "more_values"):
            setattr(reply, field.name, 1)
        elif field.name == "request_json":
            reply.request_json = "{}"
        elif field.name in ("values", "facets", "entries", "tasks", "generations", "neighbours"):
            _fill(getattr(reply, field.name).add())


@pytest.fixture
async def environment() -> AsyncIterator[dict[str, str]]:
    """How to reach them."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([Endless()])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    placed = {f"WINNOW_{name.upper()}_ADDRESS": address for name in NAMES}
    yield {**os.environ, **placed, "WINNOW_API_KEY": "wk_a.b"}
    await server.stop(None)


@pytest.mark.parametrize("as_json", [(), ("--json",)])
async def test_each_list_says_that_there_are_more(
    environment: dict[str, str], as_json: tuple[str, ...]
) -> None:
    """Who reads a list, or a program that does, must not take a part for all; what is read stays what it is."""
    lists = list(commands((), winnow))
    assert len(lists) >= 13
    for arguments in lists:
        asked = (*arguments, "--limit", "1", *as_json)
        done = await asyncio.to_thread(forked.winnow, *asked, environment=environment)
        assert done.returncode == 0, (asked, done.stderr)
        assert "there are more" not in done.stdout, asked
        told = [line for line in done.stderr.splitlines() if "there are more: " in line]
        assert len(told) == 1, (asked, done.stderr)
        assert "--limit" in told[0] or told[0].endswith("--page-token next")
