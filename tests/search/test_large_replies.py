"""Searches whose results are more than a reply holds."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.common.replies import REPLY_BYTES_MAX
from tests.search.asking import SEMANTIC, call
from tests.search.conftest import Desk
from tests.search.library import unit
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

CLIENT_BYTES_MAX = 4 << 20
COUNT = 60
ASKED = {"mode": SEMANTIC, "query_vector": unit(1).tolist(), "page_size": COUNT}


def long_text(number: int) -> str:
    """A text as long as one may be."""
    return f"alpha{number}" + " x" * 8_000


async def add_long_messages(desk: Desk) -> list[str]:
    """Messages as long as can be in one conversation; their ids."""
    vectors = [unit(1, 0.001 * n) for n in range(COUNT)]
    added = await desk.library.add_messages([long_text(n) for n in range(COUNT)], vectors)
    return [str(each) for each in added]


async def pages(desk: Desk, **fields: Any) -> Sequence[pb.SearchResponse]:
    """All pages of a search, each of a size that any client takes."""
    found: list[pb.SearchResponse] = []
    while not found or found[-1].next_page_token:
        token = found[-1].next_page_token if found else ""
        found.append(await desk.client.search("alpha", page_token=token, **ASKED, **fields))
        assert found[-1].ByteSize() < CLIENT_BYTES_MAX
    return found


async def test_pages_end_early_and_give_every_result_once(desk: Desk) -> None:
    """Long messages with all their neighbours come over as many pages as it takes, which say so."""
    expected = await add_long_messages(desk)
    found = await pages(desk, neighbours=10)
    ids = [result.message.id for page in found for result in page.results]
    assert sorted(ids) == sorted(expected)
    assert len(found) > 1
    assert any("what comes after these is left out" in warning for warning in found[0].warnings)
    assert not found[-1].warnings
    assert len({page.total_size for page in found}) == 1


async def test_pages_of_groups_end_early(desk: Desk) -> None:
    """Groups of long messages come over several pages, each group once."""
    for thread in range(6):
        for number in range(2):
            await desk.library.add_message(
                long_text(number), unit(1, 0.01 * thread), thread_id=str(thread)
            )
    asked = {"group_by": pb.GROUP_BY_CONVERSATION, "group_size": 10, "neighbours": 10}
    await add_long_messages(desk)
    found = await pages(desk, **asked)
    threads = [group.conversation.thread_id for page in found for group in page.groups]
    assert sorted(threads) == sorted(["", *map(str, range(6))])


async def test_searches_of_a_batch_share_a_reply(desk: Desk) -> None:
    """Each has a part of its page, and a token with which a search by itself goes on."""
    expected = await add_long_messages(desk)
    fields = pb.SearchRequest(query="alpha", neighbours=10, **ASKED)
    reply = await call(desk, "BatchSearch", pb.BatchSearchRequest(requests=[fields] * 20))
    assert reply.ByteSize() < CLIENT_BYTES_MAX
    first = reply.results[0].response
    rest = await desk.client.search(
        "alpha", page_token=first.next_page_token, neighbours=10, **ASKED
    )
    ids = [each.message.id for each in [*first.results, *rest.results]]
    assert len(first.results) == 1
    assert first.warnings
    assert len(ids) == len(set(ids)) > 1
    assert set(ids) <= set(expected)


async def test_a_batch_is_no_larger_than_a_reply(desk: Desk) -> None:
    """However little the results of each search leave of its part, the tokens and warnings of all fit as well."""
    await desk.library.add_messages(["alpha"] * 61, [unit(1)] * 61)
    fields = pb.SearchRequest(query="alpha", mode=SEMANTIC, page_size=60)
    fields.query_vector.extend(unit(1).tolist())
    alone = await desk.client.search("alpha", **ASKED)
    size = alone.results[0].ByteSize() + 4
    # Sixty results fill the part of a search but for a few bytes.
    room = REPLY_BYTES_MAX // 20 - (alone.ByteSize() - 60 * size)
    await desk.library.admin.execute(
        "update ingest.message set text = repeat('x', $1)", room // 60 - size + 5
    )
    requests = pb.BatchSearchRequest(requests=[fields] * 20)
    reply = await call(desk, "BatchSearch", requests)
    assert all(each.response.next_page_token for each in reply.results)


async def test_an_atom_that_rests_on_much_is_found(desk: Desk) -> None:
    """Its evidence names all messages, and quotes them as far as that fits; less of it in a batch."""
    long = [long_text(n) for n in range(400)]
    cited = await desk.library.add_messages(long, [unit(0, 1)] * len(long))
    await desk.library.add_atom("Alpha", "is long", cited, unit(1))
    asked = {"kinds": [types.SUBJECT_KIND_ATOM], "query_vector": unit(1).tolist()}
    reply = await desk.client.search("alpha", mode=SEMANTIC, **asked)
    assert reply.ByteSize() < CLIENT_BYTES_MAX
    (found,) = reply.results
    assert len(found.atom.evidence) == len(cited)
    assert 0 < sum(bool(each.quote) for each in found.atom.evidence) < len(cited)
    request = pb.SearchRequest(query="alpha", mode=SEMANTIC, **asked)
    batch = await call(desk, "BatchSearch", pb.BatchSearchRequest(requests=[request] * 20))
    assert batch.ByteSize() < CLIENT_BYTES_MAX
    assert all(len(each.response.results) == 1 for each in batch.results)
    packed = await call(
        desk, "PackContext", pb.PackContextRequest(query="alpha", tokens_max=32_768)
    )
    assert packed.ByteSize() < CLIENT_BYTES_MAX


@pytest.mark.parametrize("method", ["FindSimilar", "FindDuplicates"])
async def test_what_is_alike_is_shown_as_far_as_a_reply_holds_it(desk: Desk, method: str) -> None:
    """The nearest, or the largest groups, come; a warning says that there are more."""
    spans = [types.Entity(type="link", url="x" * 4096)] * 250
    pairs = [unit(1, number) for number in range(6) for _ in range(2)]
    ids = await desk.library.add_messages(["a"] * len(pairs), pairs)
    await desk.deployment.admin.execute(
        "update ingest.message set entities = $1::jsonb",
        "[" + ",".join(f'{{"type": "link", "url": "{each.url}"}}' for each in spans) + "]",
    )
    message = types.SUBJECT_KIND_MESSAGE
    request = (
        pb.FindSimilarRequest(kind=message, id=str(ids[0]), page_size=100)
        if method == "FindSimilar"
        else pb.FindDuplicatesRequest(kind=message)
    )
    reply = await call(desk, method, request)
    assert reply.ByteSize() < CLIENT_BYTES_MAX
    shown = reply.results if method == "FindSimilar" else reply.groups
    assert 0 < len(shown) < 6
    assert reply.warnings
