"""StreamMessages: acknowledgements in order, nothing acknowledged lost, nothing saved twice."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from tests.common.edge import details_of
from tests.conftest import Deployment
from tests.ingest.conftest import CREATED, REJECTED, SOURCE, UNCHANGED, Ingest, failure, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub


def frame(
    sequence: int, *numbers: int, source: pb.SourceRef | None = SOURCE, **fields: bool
) -> pb.StreamMessagesRequest:
    """A frame of messages."""
    messages = [message(number) for number in numbers]
    return pb.StreamMessagesRequest(sequence=sequence, source=source, messages=messages, **fields)


async def test_five_thousand_messages(ingest: Ingest) -> None:
    """Every frame is acknowledged in order with its counts, and every message is there once with its task."""
    frames = [frame(n, *range(n * 250, n * 250 + 250)) for n in range(20)]
    acknowledged = await ingest.stream(frames)
    assert [each.sequence for each in acknowledged] == list(range(20))
    assert [each.created for each in acknowledged] == [250] * 20
    assert not any(each.results for each in acknowledged)
    (count,) = await ingest.rows("select count(*), count(distinct external_id) from ingest.message")
    assert tuple(count) == (5000, 5000)
    assert len(await ingest.tasks("embed")) == 5000
    # One task for every 500 of those that were committed together.
    assert 10 <= len(await ingest.tasks("window")) <= 20


async def test_repeating_a_stream_changes_nothing(ingest: Ingest) -> None:
    """A stream that is sent again whole is acknowledged as unchanged."""
    frames = [frame(n, *range(n * 10, n * 10 + 10)) for n in range(5)]
    await ingest.stream(frames)
    before = await ingest.rows("select xmin::text, id from ingest.message order by id")
    again = await ingest.stream(frames)
    assert [(each.created, each.unchanged) for each in again] == [(0, 10)] * 5
    assert await ingest.rows("select xmin::text, id from ingest.message order by id") == before


async def test_results_come_if_asked_for(ingest: Ingest) -> None:
    """A frame with include_results gets every result in order; another only those of the rejected."""
    bad = pb.MessageInput(external_id="bad", text="\0")
    asked, plain = frame(1, 1, 2, include_results=True), frame(2, 2, 3)
    for each in (asked, plain):
        each.messages.append(bad)
    first, second = await ingest.stream([asked, plain])
    assert [result.outcome for result in first.results] == [CREATED, CREATED, REJECTED]
    assert [result.outcome for result in second.results] == [REJECTED]
    assert (second.created, second.updated, second.unchanged, second.rejected) == (1, 0, 1, 1)


async def test_each_frame_is_told_what_became_of_its_own_messages(ingest: Ingest) -> None:
    """However frames are put together, each acknowledgement counts and names the messages of its frame alone."""
    await ingest.send(message(1), message(22))
    requests = [
        pb.StreamMessagesRequest(
            sequence=number,
            source=SOURCE,
            messages=[message(number), message(20 + number), message(40 + number, "")],
            include_results=number % 2 == 0,
        )
        for number in range(1, 13)
    ]
    requests[4].messages[1].external_id = ""
    replies = await ingest.stream(requests)
    assert [each.sequence for each in replies] == list(range(1, 13))
    expected = {1: (2, 1, 0), 2: (2, 1, 0), 5: (2, 0, 1)}
    for reply in replies:
        counts = (reply.created, reply.unchanged, reply.rejected)
        assert counts == expected.get(reply.sequence, (3, 0, 0))
        told = [each.external_id for each in reply.results]
        number = reply.sequence
        own = [str(number), str(20 + number), str(40 + number)]
        assert told == (own if number % 2 == 0 else [""] if number == 5 else [])


async def test_a_message_known_from_the_frame_before(ingest: Ingest) -> None:
    """Frames that overlap while both are under way save each message once."""
    frames = [frame(n, *range(n, n + 100), include_results=True) for n in range(8)]
    acknowledged = await ingest.stream(frames)
    assert [each.created for each in acknowledged] == [100] + [1] * 7
    assert acknowledged[7].results[0].outcome == UNCHANGED
    assert acknowledged[7].results[0].message_id == acknowledged[0].results[7].message_id


async def test_the_source_holds_until_it_changes(ingest: Ingest) -> None:
    """A frame without a source belongs to that of the frame before."""
    other = pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id="other")
    frames = [frame(0, 1), frame(1, 2, source=None), frame(2, 1, source=other)]
    await ingest.stream([*frames, frame(3, 2, source=None)])
    rows = await ingest.rows(
        """select s.external_id, array_agg(m.external_id order by m.external_id) as keys
           from ingest.message m join ingest.source s on s.id = m.source_id group by 1 order by 1"""
    )
    assert [tuple(row) for row in rows] == [("other", ["1", "2"]), ("room", ["1", "2"])]


async def test_an_empty_frame_is_acknowledged(ingest: Ingest) -> None:
    """A frame without messages is answered in its turn."""
    acknowledged = await ingest.stream([frame(1, 1), frame(2), frame(3, 2)])
    assert [(each.sequence, each.created) for each in acknowledged] == [(1, 1), (2, 0), (3, 1)]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (frame(1, 9), "sequence"),
        (frame(0, 9), "sequence"),
        (frame(-1, 9), "sequence"),
        (frame(2, 9, source=pb.SourceRef(kind=pb.SOURCE_KIND_API)), "source.external_id"),
        (frame(2, *range(501)), "messages"),
    ],
)
async def test_a_bad_frame_ends_the_stream(
    ingest: Ingest, bad: pb.StreamMessagesRequest, field: str
) -> None:
    """A frame that breaks the contract ends the stream with its field, after everything before it was acknowledged."""
    call = ingest.stub.StreamMessages([frame(1, 1, 2), bad], metadata=ingest.metadata)
    assert (await call.read()).created == 2
    error = await failure(call.read())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert field in (error.details() or "")
    assert len(await ingest.rows("select from ingest.message")) == 2


async def test_the_first_frame_names_its_source(ingest: Ingest) -> None:
    """A stream whose first frame names no source ends at once."""
    call = ingest.stub.StreamMessages([frame(1, 1, source=None)], metadata=ingest.metadata)
    error = await failure(call.read())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "source" in (error.details() or "")


async def test_a_broken_stream_loses_nothing_acknowledged(ingest: Ingest) -> None:
    """What was acknowledged before a stream broke is stored, and repeating the stream saves the rest once."""
    frames = [frame(n, *range(n * 50, n * 50 + 50)) for n in range(40)]

    async def sending() -> AsyncIterator[pb.StreamMessagesRequest]:
        for each in frames:
            yield each
            await asyncio.sleep(0)

    call = ingest.stub.StreamMessages(sending(), metadata=ingest.metadata)
    for _ in range(7):
        await call.read()
    call.cancel()
    stored = await ingest.rows("select count(*) from ingest.message where external_id::int < 350")
    assert stored[0]["count"] == 350
    again = await ingest.stream(frames)
    assert [each.created + each.unchanged for each in again] == [50] * 40
    rows = await ingest.rows("select count(*), count(distinct external_id) from ingest.message")
    assert tuple(rows[0]) == (2000, 2000)
    assert len(await ingest.tasks("embed")) == 2000


async def test_streams_side_by_side(ingest: Ingest) -> None:
    """Many streams of the same messages in different orders end in one copy of each, without a deadlock."""
    numbers = list(range(400))
    rotated = [numbers[n * 50 :] + numbers[: n * 50] for n in range(8)]
    streams = [[frame(n, *ns[n * 100 : n * 100 + 100]) for n in range(4)] for ns in rotated]
    acknowledged = await asyncio.gather(*map(ingest.stream, streams))
    assert sum(each.created for stream in acknowledged for each in stream) == 400
    rows = await ingest.rows("select count(*) from ingest.message")
    assert rows[0]["count"] == 400


async def test_an_idle_stream_ends_when_the_service_stops(deployment: Deployment) -> None:
    """A stream that waits for nothing is told to come again, after the answers to what it has sent."""
    async with grpc.aio.insecure_channel(deployment.address("ingest")) as channel:
        async with deployment.serving("ingest"):
            call = IngestServiceStub(channel).StreamMessages(metadata=deployment.metadata)
            await call.write(frame(1, 1))
            assert (await call.read()).created == 1
        error = await failure(call.read())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "the service is stopping" in str(error.details())
    assert details_of(error).reason == "SHUTTING_DOWN"


async def test_what_is_not_kept_is_told_if_asked_for(ingest: Ingest) -> None:
    """Who asks learns which messages are not stored as sent, and which were erased, not what is merely sent again."""
    first, second = await ingest.stream([frame(0, 1, 2, 3), frame(1, 4, 5)])
    assert (first.superseded, second.superseded) == (0, 0)
    (source,) = await ingest.rows("select id from ingest.source")
    await ingest.stub.EraseMessages(
        pb.EraseMessagesRequest(source_id=str(source["id"]), external_ids=["5"]),
        metadata=ingest.metadata,
    )
    late = message(2, edited_at=message(500).sent_at)
    await ingest.send(late)

    def again(sequence: int, **fields: bool) -> pb.StreamMessagesRequest:
        bad = pb.MessageInput(external_id="bad", text="\0")
        messages = [message(1), message(2), late, message(5), bad]
        return pb.StreamMessagesRequest(
            sequence=sequence, source=SOURCE, messages=messages, **fields
        )

    plain, asked, all_asked = await ingest.stream(
        [again(0), again(1, include_superseded=True), again(2, include_results=True)]
    )
    assert [(each.unchanged, each.rejected) for each in (plain, asked, all_asked)] == [(4, 1)] * 3
    assert [each.superseded for each in (plain, asked, all_asked)] == [0, 2, 2]
    assert [each.external_id for each in plain.results] == ["bad"]
    told = [(each.external_id, each.superseded, each.erased) for each in asked.results]
    assert told == [("2", True, False), ("5", True, True), ("bad", False, False)]
    assert len(all_asked.results) == 5
