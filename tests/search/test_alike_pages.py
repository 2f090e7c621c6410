"""What is like a subject, and groups of near duplicates, come page by page."""

from uuid import UUID

import grpc
import pytest

from services.common.vectors import Matrix
from tests.common.edge import details_of
from tests.search.asking import call
from tests.search.conftest import Desk
from tests.search.library import texts, unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

DELETE = "update ingest.message set deleted_at = now() where id = $1"


def axis(place: int) -> Matrix:
    """A vector that is like none of another place."""
    return unit(*[0] * place, 1)


async def test_what_is_alike_comes_page_by_page(desk: Desk) -> None:
    """Pages hold each result once, nearest first, whatever comes in or goes between them, and end."""
    library, kind = desk.library, types.SUBJECT_KIND_MESSAGE
    near = await library.add_message("near", unit(1))
    names = [f"other {number}" for number in range(11)]
    vectors = [unit(1, number / 10) for number in [1, *range(1, 11)]]
    ids = await library.add_messages(names, vectors)
    whole = pb.FindSimilarRequest(kind=kind, id=str(near), page_size=100)
    every = await call(desk, "FindSimilar", whole)
    assert (len(texts(every)), every.next_page_token) == (11, "")
    for size in (1, 3, 11):
        request = pb.FindSimilarRequest(kind=kind, id=str(near), page_size=size)
        found, token = list[str](), ""
        while True:
            request.page_token = token
            reply = await call(desk, "FindSimilar", request)
            found += texts(reply)
            if not (token := reply.next_page_token):
                break
        assert found == texts(every), size
    request = pb.FindSimilarRequest(kind=kind, id=str(near), page_size=4)
    first = await call(desk, "FindSimilar", request)
    await library.add_message("too new", unit(1, 0.01))
    last = first.results[-1].message.id
    for gone in (ids[0], UUID(last)):
        await desk.deployment.admin.execute(DELETE, gone)
    request.page_token = first.next_page_token
    second = await call(desk, "FindSimilar", request)
    assert texts(second) == texts(every)[4:8]
    for changed in ({"score_min": 0.1}, {"id": str(ids[5])}):
        other = pb.FindSimilarRequest()
        other.CopyFrom(request)
        other.MergeFrom(pb.FindSimilarRequest(**changed))
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await call(desk, "FindSimilar", other)
        assert details_of(failure.value).reason == "INVALID_PAGE_TOKEN"


async def test_groups_of_duplicates_come_page_by_page(desk: Desk) -> None:
    """The largest come first, each once, though another that is larger has come in meanwhile."""
    library, kind = desk.library, types.SUBJECT_KIND_MESSAGE
    sizes = {0: 2, 1: 4, 2: 2, 3: 3, 4: 2}
    for place, size in sizes.items():
        await library.add_messages([f"{place}"] * size, [axis(place)] * size)
    request, found = pb.FindDuplicatesRequest(kind=kind, groups_max=2), list[str]()
    while True:
        reply = await call(desk, "FindDuplicates", request)
        found += [group.results[0].message.text for group in reply.groups]
        await library.add_messages(["too new"] * 9, [axis(6)] * 9)
        if not reply.next_page_token:
            break
        request.page_token = reply.next_page_token
    assert found == ["1", "3", "0", "2", "4"]
