"""Damaged requests to every RPC of a running ingest service, over a real channel."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

from benchmarks.ingest import deployed
from services.cli.failures import is_broken_stream
from services.common.auth import SCOPES, mint_key, store_key
from services.common.channels import CHANNEL_OPTIONS
from tests.fuzzing import samples
from tests.fuzzing.mutations import Mutator
from winnow.ingest.v1 import ingest_pb2
from winnow.pipeline.v1 import pipeline_pb2

SERVICES = tuple(
    file.DESCRIPTOR.services_by_name[name]
    for file, name in ((ingest_pb2, "IngestService"), (pipeline_pb2, "PipelineService"))
)
DEADLINE_SECONDS = 30.0
AT_ONCE = 16


def methods() -> Iterator[tuple[str, bytes, bool]]:
    """The path of each method, a sample of its request, and whether it streams."""
    for service in SERVICES:
        for method in service.methods:
            request = message_factory.GetMessageClass(method.input_type)()
            _fill(request, 0)
            sample = request.SerializeToString()
            yield f"/{service.full_name}/{method.name}", sample, method.client_streaming


def _fill(message: Message, depth: int) -> None:
    """Give every field a plausible value."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None:
            if depth < 4 and not field.is_repeated:
                _fill(getattr(message, field.name), depth + 1)
            elif depth < 4 and field.message_type.full_name == "winnow.ingest.v1.MessageInput":
                getattr(message, field.name).add().ParseFromString(samples.MESSAGE)
        elif field.is_repeated:
            getattr(message, field.name).append(_scalar(field))
        else:
            setattr(message, field.name, _scalar(field))


def _scalar(field: Any) -> Any:
    if field.cpp_type == field.CPPTYPE_STRING:
        text = samples.ID if field.name.endswith("_id") and "external" not in field.name else "x"
        return text.encode() if field.type == field.TYPE_BYTES else text
    return True if field.cpp_type == field.CPPTYPE_BOOL else 1


async def fuzz_rpcs(calls: int, seed: int) -> dict[str, int]:
    """Share calls among the methods; return how many ended with each status."""
    codes: Counter[str] = Counter()
    async with deployed() as bench:
        key = mint_key()
        await store_key(bench.admin, "fuzz", "fuzz", key, SCOPES)
        metadata = (("authorization", f"Bearer {key.text}"),)
        options = [*CHANNEL_OPTIONS, ("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(bench.address, options=options) as channel:
            room = asyncio.Semaphore(AT_ONCE)
            known = list(methods())

            async def one(number: int) -> None:
                path, sample, streams = known[number % len(known)]
                dice = random.Random(f"{path} {seed} {number}")
                mutator = Mutator(dice)
                frames = [mutator.data(sample) for _ in range(1 + 2 * streams)]
                async with room:
                    code = await _call(channel, path, frames, streams, metadata)
                codes[code] += 1
                if code in ("UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED"):
                    said = f"{path} answered {code} to {[frame.hex()[:400] for frame in frames]}"
                    print(said, file=sys.stderr)

            await asyncio.gather(*map(one, range(calls)))
    return codes


async def _call(
    channel: grpc.aio.Channel, path: str, frames: list[bytes], streams: bool, metadata: Any
) -> str:
    try:
        if streams:
            stream = channel.stream_stream(path)(
                iter(frames), metadata=metadata, timeout=DEADLINE_SECONDS
            )
            async for _ in stream:
                continue
        else:
            await channel.unary_unary(path)(frames[0], metadata=metadata, timeout=DEADLINE_SECONDS)
    except grpc.aio.AioRpcError as error:
        # gRPC itself says INTERNAL where a stream is refused while requests are still written.
        return "BROKEN_STREAM" if is_broken_stream(error) else error.code().name
    return "OK"
