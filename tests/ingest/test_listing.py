"""Pages of messages and sources."""

import base64
import json
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from tests.ingest.conftest import Ingest, at, failure, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types


async def listed(ingest: Ingest, **fields: Any) -> list[str]:
    """The external ids of all pages."""
    keys: list[str] = []
    token = ""
    while True:
        request = pb.ListMessagesRequest(page_token=token, **fields)
        page = await ingest.stub.ListMessages(request, metadata=ingest.metadata)
        keys += [each.external_id for each in page.messages]
        token = page.next_page_token
        if not token:
            return keys


@pytest.mark.parametrize("page_size", [1, 2, 3, 7, 500, 0])
async def test_pages_hold_every_message_once(ingest: Ingest, page_size: int) -> None:
    """Pages of any size give every message once, oldest first, also when many were sent at the same moment."""
    await ingest.send(*[message(n, sent_at=at(n // 3)) for n in range(7)])
    assert await listed(ingest, page_size=page_size) == [str(n) for n in range(7)]


async def test_a_page_ends_where_a_reply_does(ingest: Ingest) -> None:
    """Every page is one that any client takes, and together they give every message once."""
    spans = [types.Entity(type="link", url="x" * 4096)] * 250
    for number in range(9):
        await ingest.send(message(number, "a", entities=spans))
    first = await ingest.stub.ListMessages(
        pb.ListMessagesRequest(page_size=500), metadata=ingest.metadata
    )
    assert first.ByteSize() < 4 << 20
    assert 1 < len(first.messages) < 9
    assert await listed(ingest, page_size=500) == [str(n) for n in range(9)]


async def test_filters_must_all_hold(ingest: Ingest) -> None:
    """Every filter narrows the list, and sent_before is not included."""
    other = pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id="other")
    ada, bob = types.Author(external_id="ada"), types.Author(external_id="bob")
    await ingest.send(message(1, author=ada), message(2, author=bob), message(3, author=ada))
    await ingest.send(message(4, author=ada), source=other)
    await ingest.delete("3", "9")
    (source,) = await ingest.rows("select id::text from ingest.source where external_id = 'room'")
    assert await listed(ingest) == ["1", "2", "4"]
    assert await listed(ingest, include_deleted=True) == ["1", "2", "3", "4"]
    assert await listed(ingest, source_id=source["id"]) == ["1", "2"]
    assert await listed(ingest, author_external_id="ada") == ["1", "4"]
    assert await listed(ingest, sent_after=at(2)) == ["2", "4"]
    assert await listed(ingest, sent_before=at(2)) == ["1"]
    assert await listed(ingest, sent_after=at(1), sent_before=at(4), page_size=1) == ["1", "2"]


async def test_a_thread_is_listed(ingest: Ingest) -> None:
    """A thread lists its own messages, an empty one those of the main conversation, and none all."""
    await ingest.send(message(1), message(2, thread_id="9"), message(3), message(4, thread_id="10"))
    assert await listed(ingest) == ["1", "2", "3", "4"]
    assert await listed(ingest, thread_id="9") == ["2"]
    assert await listed(ingest, thread_id="", page_size=1) == ["1", "3"]
    assert await listed(ingest, thread_id="11") == []


async def test_filter_by_label(ingest: Ingest) -> None:
    """A label lists the messages that were given it, and together the labels list all."""
    texts = ["ok", "Why does the installer of version 2.1 fail with error 17?", "lol", "hm, maybe"]
    results = await ingest.send(*[message(n, text) for n, text in enumerate(texts)])
    labels = {result.external_id: result.importance.label for result in results}
    for label in (1, 2, 3):
        wanted = [key for key in labels if labels[key] == label]
        assert await listed(ingest, label=label) == wanted


async def test_lists_leave_out_factors(ingest: Ingest) -> None:
    """A listed message has its score and label; its factors are for GetMessage."""
    await ingest.send(message(1, "Why does the installer of version 2.1 fail with error 17?"))
    page = await ingest.stub.ListMessages(pb.ListMessagesRequest(), metadata=ingest.metadata)
    assert page.messages[0].importance.label
    assert not page.messages[0].importance.factors


def forged(*position: Any) -> str:
    """A page token that looks right but for its position."""
    request = pb.ListMessagesRequest(page_size=1)
    fingerprint = __import__("services.common.pages", fromlist=["_fingerprint"])._fingerprint
    body = json.dumps([fingerprint(request), *position]).encode()
    return base64.urlsafe_b64encode(body).decode()


async def test_page_tokens_are_checked(ingest: Ingest) -> None:
    """A token of another question, or one that was made up, is INVALID_ARGUMENT."""
    await ingest.send(message(1), message(2))
    first = await ingest.stub.ListMessages(
        pb.ListMessagesRequest(page_size=1), metadata=ingest.metadata
    )
    some_id = "00000000-0000-7000-8000-000000000000"
    tokens = ["?", "e30", forged(1, 2), forged("2020-01-01", "x"), forged("2020-01-01T00:00", "x")]
    tokens += [forged("0001-01-01T00:00+14:00", some_id), forged("9999-12-31T23:00-02:00", some_id)]
    requests = [pb.ListMessagesRequest(page_size=1, page_token=token) for token in tokens]
    requests.append(pb.ListMessagesRequest(label=1, page_token=first.next_page_token))
    for request in requests:
        error = await failure(ingest.stub.ListMessages(request, metadata=ingest.metadata))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sent_after", Timestamp(seconds=1 << 62)),
        ("sent_before", Timestamp(seconds=1, nanos=-5)),
        ("sent_before", Timestamp(seconds=253402300800)),
        ("author_external_id", "a\0"),
        ("source_id", "room"),
        ("page_size", 501),
        ("label", 9),
    ],
)
async def test_filters_are_checked(ingest: Ingest, field: str, value: Any) -> None:
    """A filter that no message could match by its form is INVALID_ARGUMENT and named."""
    request = pb.ListMessagesRequest(**{field: value})
    error = await failure(ingest.stub.ListMessages(request, metadata=ingest.metadata))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (error.details() or "")


@pytest.mark.parametrize("last", [at(3), at(4)])
async def test_a_span_without_a_moment_is_refused(ingest: Ingest, last: Timestamp) -> None:
    """Whoever turns the ends of a span round learns it, instead of that nothing was said."""
    calls = [
        (ingest.stub.ListMessages, pb.ListMessagesRequest),
        (ingest.stub.RescoreMessages, pb.RescoreMessagesRequest),
    ]
    for call, kind in calls:
        request = kind(sent_after=at(4), sent_before=last)
        error = await failure(call(request, metadata=ingest.metadata))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert error.details() == "sent_before: must be later than sent_after"


async def test_any_time_of_a_calendar_is_an_end(ingest: Ingest) -> None:
    """The first and the last moment that a Timestamp can have leave everything in, as in the filter of a search."""
    await ingest.send(message(1))
    first, last = Timestamp(seconds=-62135596800), Timestamp(seconds=253402300799, nanos=999999999)
    assert await listed(ingest, sent_after=first, sent_before=last) == ["1"]
    request = pb.RescoreMessagesRequest(sent_after=first, sent_before=last, dry_run=True)
    await ingest.stub.RescoreMessages(request, metadata=ingest.metadata)


async def test_sources_are_listed(ingest: Ingest) -> None:
    """Sources come in the order they were first named, with the number of their live messages."""
    for name in ("c", "a", "b"):
        source = pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id=name, title=name.upper())
        await ingest.send(message(1), message(2), source=source)
    request = pb.DeleteMessagesRequest(
        source=pb.SourceRef(kind=pb.SOURCE_KIND_IMPORT, external_id="a"), external_ids=["1", "5"]
    )
    await ingest.stub.DeleteMessages(request, metadata=ingest.metadata)
    found: list[pb.Source] = []
    token = ""
    while True:
        page_request = pb.ListSourcesRequest(page_size=2, page_token=token)
        page = await ingest.stub.ListSources(page_request, metadata=ingest.metadata)
        found += page.sources
        token = page.next_page_token
        if not token:
            break
    assert [(s.external_id, s.title, s.message_count) for s in found] == [
        ("c", "C", 2),
        ("a", "A", 1),
        ("b", "B", 2),
    ]
    assert all(s.kind == pb.SOURCE_KIND_IMPORT and s.created_at.seconds for s in found)


async def test_sources_are_found_by_their_keys(ingest: Ingest) -> None:
    """A kind and an id find the source that has them, or had them before it moved; each alone finds whatever has it."""
    telegram, other = pb.SOURCE_KIND_TELEGRAM, pb.SOURCE_KIND_API
    for kind, name in ((telegram, "-5"), (other, "-5"), (other, "a")):
        source = pb.SourceRef(kind=kind, external_id=name)
        await ingest.send(message(1), source=source)
    moved = pb.MoveSourceRequest(
        source=pb.SourceRef(kind=telegram, external_id="-5"), external_id="-100"
    )
    await ingest.stub.MoveSource(moved, metadata=ingest.metadata)

    async def found(**fields: Any) -> list[tuple[int, str]]:
        request = pb.ListSourcesRequest(**fields)
        page = await ingest.stub.ListSources(request, metadata=ingest.metadata)
        return [(each.kind, each.external_id) for each in page.sources]

    assert await found(kind=other) == [(other, "-5"), (other, "a")]
    assert await found(external_id="-5") == [(telegram, "-100"), (other, "-5")]
    assert await found(kind=telegram, external_id="-5") == [(telegram, "-100")]
    assert await found(kind=telegram, external_id="-100") == [(telegram, "-100")]
    assert await found(kind=telegram, external_id="a") == []
