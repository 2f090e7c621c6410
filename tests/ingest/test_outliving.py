"""What is erased leaves nothing in the scores of what stays: those are as if it had never been said."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.ingest import erasing, neighbours
from tests.conftest import Deployment
from tests.ingest.conftest import Ingest, at, message
from tests.ingest.test_order import TEXTS, new_source, state
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

ERASED, OTHERS = "ann", ("x", "build-bot")
QUESTION, ANSWER = TEXTS[1], TEXTS[3]


@pytest.fixture(autouse=True)
def small(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few messages are many: chunks of seven, and the scores around three places are made at once."""
    monkeypatch.setattr(erasing, "CHUNK_MESSAGES", 7)
    monkeypatch.setattr(erasing, "LISTED_MESSAGES", 21)
    monkeypatch.setattr(neighbours, "PLACES_AT_ONCE", 3)


def said(number: int, text: str, author: str, **fields: Any) -> pb.MessageInput:
    """A message of an author."""
    return message(number, text, author=types.Author(external_id=author, name=author), **fields)


def chat(seed: int, count: int = 150) -> list[pb.MessageInput]:
    """A chat in two threads, a few messages a second: whom to erase says some things in a row, and is replied to."""
    dice = random.Random(seed)
    author, made = OTHERS[0], []
    for number in range(1, count):
        if dice.random() < 0.6:
            author = dice.choice([ERASED, *OTHERS])
        reply_to = str(max(1, number - dice.randint(1, 40))) if dice.random() < 0.3 else ""
        text, thread = f"{dice.choice(TEXTS)} {dice.randint(1, 9)}", dice.choice(["", "", "t"])
        fields = {"reply_to_external_id": reply_to, "thread_id": thread}
        made.append(said(number, text, author, sent_at=at(number // 4), **fields))
    return made


async def erase(ingest: Ingest, source: pb.SourceRef, **fields: Any) -> None:
    """Erase messages of a source, and return once they are gone."""
    query = "select id from ingest.source where external_id = $1"
    [row] = await ingest.rows(query, source.external_id)
    request = pb.EraseMessagesRequest(source_id=str(row["id"]), **fields)
    await ingest.stub.EraseMessages(request, metadata=ingest.metadata)
    open_tasks = "select from spine.task where stage = 'erase' and state <> 'done'"
    async with asyncio.timeout(60):
        while await ingest.rows(open_tasks):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def left(ingest: Ingest, source: pb.SourceRef) -> list[dict[str, Any]]:
    """The rows of a source that are not erased."""
    return [row for row in await state(ingest, source) if row["erased_at"] is None]


@pytest.mark.parametrize("inline_max", [3, 1000])
@pytest.mark.parametrize("seed", range(3))
async def test_scores_are_as_if_it_had_never_been_said(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, inline_max: int, seed: int
) -> None:
    """What an author's erasure leaves is scored as where only that was sent, erased by the call or chunk by chunk."""
    monkeypatch.setattr(erasing, "INLINE_MESSAGES_MAX", inline_max)
    one, other, messages = new_source(), new_source(), chat(seed)
    await ingest.send(*messages, source=one)
    kept = [each for each in messages if each.author.external_id != ERASED]
    await ingest.send(*kept, source=other)
    assert await left(ingest, one) != await state(ingest, other)
    await erase(ingest, one, author_external_id=ERASED)
    assert await left(ingest, one) == await state(ingest, other)


async def test_a_question_that_is_erased_by_its_key(ingest: Ingest) -> None:
    """An answer is none any more once its question is erased, near it or in another thread that it replies to."""
    one, other = new_source(), new_source()
    answers = [
        said(2, ANSWER, "x"),
        said(9, ANSWER, "x", thread_id="t", reply_to_external_id="1"),
    ]
    await ingest.send(said(1, QUESTION, ERASED), *answers, source=one)
    await ingest.send(*answers, source=other)
    await erase(ingest, one, external_ids=["1"])
    assert await left(ingest, one) == await state(ingest, other)


async def test_a_deleted_question_was_asked(ingest: Ingest) -> None:
    """A deletion changes no score: what is deleted is kept, and was said all the same."""
    source = new_source()
    await ingest.send(said(1, QUESTION, ERASED), said(2, ANSWER, "x"), source=source)
    before = await state(ingest, source)
    request = pb.DeleteMessagesRequest(source=source, external_ids=["1"])
    await ingest.stub.DeleteMessages(request, metadata=ingest.metadata)
    after = await state(ingest, source)
    scores = [[row["importance_factors"] for row in rows] for rows in (before, after)]
    assert scores[0] == scores[1]


async def test_a_stream_forgets_what_is_erased(ingest: Ingest) -> None:
    """A sender whose question is erased while it streams has its answer scored without it."""
    one, other = new_source(), new_source()
    erased = asyncio.Event()

    async def frames() -> AsyncIterator[pb.StreamMessagesRequest]:
        asked = [said(1, QUESTION, ERASED)]
        yield pb.StreamMessagesRequest(sequence=1, source=one, messages=asked)
        await erased.wait()
        yield pb.StreamMessagesRequest(sequence=2, messages=[said(2, ANSWER, "x")])

    async def erasing_between() -> None:
        query = "select from ingest.message where author_external_id = $1"
        while not await ingest.rows(query, ERASED):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await erase(ingest, one, author_external_id=ERASED)
        erased.set()

    await asyncio.gather(ingest.stream(frames()), erasing_between())
    await ingest.send(said(2, ANSWER, "x"), source=other)
    assert await left(ingest, one) == await state(ingest, other)


async def test_a_message_that_counts_now_is_read(ingest: Ingest) -> None:
    """A message that was noise for repeating what is erased gets its window read."""
    source = new_source()
    await ingest.send(*(said(n, "lets do it at 10:00", "x") for n in (1, 2)), source=source)
    before = (await state(ingest, source))[1]
    await erase(ingest, source, external_ids=["1"])
    [after] = await left(ingest, source)
    assert (before["importance_label"], after["importance_label"]) == ("noise", "weak")
    assert any(spec.startswith("changed:importance:") for spec in await ingest.tasks("window"))
