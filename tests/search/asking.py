"""Calls of the query API as tests make them."""

from typing import Any

from tests.search.conftest import Desk
from winnow.search.v1 import search_pb2 as pb
from winnow.search.v1.search_pb2_grpc import SearchServiceStub
from winnow.types.v1 import types_pb2 as types

SEMANTIC, KEYWORD = pb.SEARCH_MODE_SEMANTIC, pb.SEARCH_MODE_KEYWORD
ALL_KINDS = [
    types.SUBJECT_KIND_MESSAGE,
    types.SUBJECT_KIND_ATOM,
    types.SUBJECT_KIND_TOPIC,
]


def stub(desk: Desk) -> Any:
    """The service as a client sees it."""
    return SearchServiceStub(desk.client.channel)


async def call(desk: Desk, method: str, request: Any) -> Any:
    """Call a method with the key of the desk."""
    return await getattr(stub(desk), method)(request, metadata=desk.client.metadata, timeout=30)


def by(*authors: str) -> pb.FilterExpression:
    """By some authors."""
    return pb.FilterExpression(author_external_ids=pb.TextList(values=authors))


def all_of(*parts: pb.FilterExpression) -> pb.FilterExpression:
    """And."""
    return pb.FilterExpression(all_of=pb.FilterExpressionList(expressions=parts))


def nest(depth: int) -> pb.FilterExpression:
    """An expression of some levels."""
    expression = by("ann")
    for _ in range(depth - 1):
        expression = all_of(expression)
    return expression
