"""Server reflection by both of its names: grpcio-reflection knows v1alpha, newer clients ask for v1 first.

The messages of both are the same but for their package.
"""

from collections.abc import Sequence
from typing import Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection, reflection_pb2

SERVICE_NAMES: Final = ("grpc.reflection.v1.ServerReflection", reflection.SERVICE_NAME)
_FILE: Final = "grpc/reflection/v1/reflection.proto"


def reflect(server: grpc.aio.Server, names: Sequence[str]) -> None:
    """Let clients list and describe services, by their full names, and reflection itself."""
    _describe()
    servicer = reflection.aio.ReflectionServicer([*names, *SERVICE_NAMES])
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    methods = {"ServerReflectionInfo": handler}
    served = (grpc.method_handlers_generic_handler(name, methods) for name in SERVICE_NAMES)
    server.add_generic_rpc_handlers(tuple(served))


def _describe() -> None:
    """Put the contract of v1 where it is looked for, unless it is there."""
    pool = descriptor_pool.Default()
    try:
        pool.FindFileByName(_FILE)
    except KeyError:
        made = descriptor_pb2.FileDescriptorProto()
        reflection_pb2.DESCRIPTOR.CopyToProto(made)
        made.name, made.package = _FILE, "grpc.reflection.v1"
        for message in made.message_type:
            for field in message.field:
                if field.type_name:
                    field.type_name = _renamed(field.type_name)
        for method in made.service[0].method:
            method.input_type = _renamed(method.input_type)
            method.output_type = _renamed(method.output_type)
        pool.AddSerializedFile(made.SerializeToString())


def _renamed(type_name: str) -> str:
    return type_name.replace(".grpc.reflection.v1alpha.", ".grpc.reflection.v1.")
