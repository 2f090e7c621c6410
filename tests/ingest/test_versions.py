"""Which of two versions of a message stays: an edit before what it edited, what knows more before what knows less."""

import pytest

from tests.ingest.conftest import SOURCE, Ingest, at, message
from tests.ingest.test_rpc import get
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

COUNT = 20
JENKINS = types.Author(external_id="user1", name="Jenkins", is_bot=True)
SAME_NAME = types.Author(external_id="user1", name="Jenkins")


def version(number: int, kind: str) -> pb.MessageInput:
    """A version of a message that was sent within a second, as some source tells it."""
    sent_at, text = at(number + 0.7), f"message {number}"
    match kind:
        case "edited":
            return message(number, f"{text} edited", sent_at=sent_at, edited_at=sent_at)
        case "edited, in whole seconds":
            return message(number, f"{text} edited", sent_at=sent_at, edited_at=at(number))
        case "edited again":
            edited_at = at(number + 0.5)
            return message(number, f"{text} again", sent_at=sent_at, edited_at=edited_at)
        case "threaded":
            return message(number, text, sent_at=sent_at, thread_id="5", author=SAME_NAME)
        case "of a bot":
            return message(number, text, sent_at=sent_at, author=JENKINS)
        case "three hours later, in a zone that is assumed":
            return message(number, f"{text}?", sent_at=at(number + 10_800), zone_assumed=True)
        case "edited, in a zone that is assumed":
            edited_at = at(number + 20_000)
            return message(
                number, f"{text}!", sent_at=sent_at, edited_at=edited_at, zone_assumed=True
            )
    return message(number, text, sent_at=sent_at, author=SAME_NAME)


@pytest.mark.parametrize(
    ("stays", "goes"),
    [
        ("edited", "plain"),
        ("edited, in whole seconds", "plain"),
        ("edited again", "edited, in whole seconds"),
        ("edited, in whole seconds", "threaded"),
        ("threaded", "plain"),
        ("of a bot", "plain"),
        ("plain", "three hours later, in a zone that is assumed"),
        ("plain", "edited, in a zone that is assumed"),
        ("edited, in a zone that is assumed", "three hours later, in a zone that is assumed"),
    ],
)
async def test_the_same_version_stays(ingest: Ingest, stays: str, goes: str) -> None:
    """Whichever comes first, in one batch or in two, and whatever the hashes are."""
    pairs = [(version(n, stays), version(n, goes)) for n in range(2 * COUNT)]
    together = [each for n in range(COUNT) for each in pairs[n][:: (-1) ** n]]
    results = list(await ingest.send(*together))
    for first in (0, 1):
        results += await ingest.send(*(pairs[n][(first + n) % 2] for n in range(COUNT, 2 * COUNT)))
    for result in results:
        found = await get(ingest, result.message_id)
        wanted, _ = pairs[int(found.external_id)]
        assert (found.text, found.thread_id, found.author.is_bot) == (
            wanted.text,
            wanted.thread_id,
            wanted.author.is_bot,
        )


async def test_a_time_that_is_certain_corrects_one_that_was_assumed(ingest: Ingest) -> None:
    """Windows that read the message at the other time are read again."""
    [sent] = await ingest.send(
        message(1, "said", sent_at=at(10_800), edited_at=at(20_000), zone_assumed=True)
    )
    await ingest.rows("delete from spine.task where stage = 'window'")
    certain = message(1, "said", sent_at=at(0), edited_at=at(9_200))
    [corrected] = await ingest.send(certain)
    assert corrected.outcome == pb.INGEST_OUTCOME_UPDATED
    assert (await get(ingest, sent.message_id)).sent_at == at(0)
    [task] = await ingest.rows("select spec from spine.task where stage = 'window'")
    assert task["spec"].startswith("changed:")
    again = await ingest.send(message(1, "said", sent_at=at(10_800), zone_assumed=True))
    assert [each.outcome for each in again] == [pb.INGEST_OUTCOME_UNCHANGED]
    assert again[0].superseded


async def test_an_edit_stays_when_the_zone_is_corrected(ingest: Ingest) -> None:
    """What was sent before an edit does not come back with its right time."""
    [sent] = await ingest.send(message(1, "said", sent_at=at(10_800), zone_assumed=True))
    edit = pb.UpdateMessageRequest(
        source=SOURCE, external_id="1", text="edited", edited_at=at(20_000)
    )
    await ingest.stub.UpdateMessage(edit, metadata=ingest.metadata)
    await ingest.send(message(1, "said", sent_at=at(0)))
    assert (await get(ingest, sent.message_id)).text == "edited"


async def test_when_other_words_came_is_known(ingest: Ingest) -> None:
    """Only a version with other words may make what rests on a message doubtful."""
    await ingest.send(message(1, "alpha"), message(2, "beta"), message(3, "gamma"))
    await ingest.send(message(2, "beta", edited_at=at(60)), message(3, "delta", edited_at=at(60)))
    rows = await ingest.rows(
        "select external_id from ingest.message where revised_at is not null order by external_id"
    )
    assert [row["external_id"] for row in rows] == ["3"]
