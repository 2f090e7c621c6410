"""The gate: every message is scored in the light of those before it, wherever they are known from."""

from typing import Any

import pytest

from services.ingest import store
from services.ingest.memory import Memory, Tail
from services.ingest.messages import EPOCH, Draft, draft, order_of
from services.ingest.neighbours import Neighbours
from services.ingest.scoring import Conversation
from services.ingest.store import SourceKey
from services.ingest.wording import Context, Reading, ScoredInput, read
from tests.ingest.conftest import SOURCE, Ingest, at, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

ROOM = SourceKey("api", "room")
ADA, BOB = types.Author(name="Ada"), types.Author(name="Bob")
TALK = [
    message(1, "Which port does the exporter listen on after the upgrade?", author=ADA),
    message(2, "9187", author=BOB),
    message(3, "thanks!", author=ADA),
    message(4, "Does anybody know why replication stopped with error 57P03?", author=BOB),
    message(5, "the standby was promoted by the watchdog", author=ADA),
    message(6, "ok", author=BOB),
]


def expected() -> list[float]:
    """The scores of the talk, one message after the other."""
    conversation = Conversation()
    inputs = [ScoredInput(m.author.name, m.text, False, m.external_id) for m in TALK]
    return [conversation.score(each).score for each in inputs]


async def scores(ingest: Ingest) -> list[float]:
    """The stored scores of the talk."""
    rows = await ingest.rows("select importance_score from ingest.message order by external_id")
    return [row["importance_score"] for row in rows]


async def test_context_within_a_batch(ingest: Ingest) -> None:
    """A batch is scored as a conversation, in the order of sending, whatever the order in the request."""
    await ingest.send(*reversed(TALK))
    assert await scores(ingest) == expected()


async def test_context_from_the_database(ingest: Ingest) -> None:
    """Messages that come one by one are scored like those that come together."""
    for each in TALK:
        await ingest.send(each)
    assert await scores(ingest) == expected()


async def test_context_within_a_stream(ingest: Ingest) -> None:
    """Frames of a stream are scored like one batch, though the frame before may not be committed yet."""
    frames = [
        pb.StreamMessagesRequest(sequence=n, source=SOURCE, messages=[each])
        for n, each in enumerate(TALK)
    ]
    await ingest.stream(frames)
    assert await scores(ingest) == expected()


async def test_a_stream_remembers_what_it_overtakes(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream whose clock jumps back and forth among what it has sent never asks what is stored."""
    asked: list[int] = []
    conversation_tails = store.conversation_tails

    async def counted(*arguments: Any) -> Any:
        asked.append(1)
        return await conversation_tails(*arguments)

    monkeypatch.setattr(store, "conversation_tails", counted)
    yesterday, evening, morning = range(1, 41), range(500, 620), range(100, 220)
    numbers = [*yesterday, *evening, *morning, *range(700, 740)]
    frames = [
        pb.StreamMessagesRequest(
            sequence=start,
            source=SOURCE,
            messages=[message(n) for n in numbers[start : start + 20]],
        )
        for start in range(0, len(numbers), 20)
    ]
    await ingest.stream(frames)
    assert not asked


async def test_threads_are_conversations(ingest: Ingest) -> None:
    """A message in another thread is not heard."""
    apart = [pb.MessageInput() for _ in TALK]
    for copy, each in zip(apart, TALK, strict=True):
        copy.MergeFrom(each)
        copy.external_id, copy.thread_id = f"other {each.external_id}", "other"
    mixed = [each for pair in zip(TALK, apart, strict=True) for each in pair]
    await ingest.send(*mixed)
    rows = await ingest.rows(
        "select thread_id, importance_score from ingest.message order by thread_id, external_id"
    )
    assert [row["importance_score"] for row in rows] == expected() * 2


async def test_an_edit_does_not_hear_its_older_self(ingest: Ingest) -> None:
    """The last message sent again with an edit is scored by what was said before it, not as a repetition of itself."""
    last = TALK[4]
    edited = pb.MessageInput()
    edited.MergeFrom(last)
    edited.edited_at.CopyFrom(at(60))
    await ingest.send(*TALK[:5])
    await ingest.send(edited)
    assert (await scores(ingest))[4] == expected()[4]


async def test_a_reply_hears_what_it_replies_to(ingest: Ingest) -> None:
    """A reply to an old question is an answer, whether the question is in the batch or stored long since."""
    question = TALK[0]
    chatter = [message(n, f"chatter number {n} about nothing", author=BOB) for n in range(10, 40)]
    answer = message(50, "9187", author=BOB, reply_to_external_id="1")
    plain = message(51, "9187", author=BOB)
    await ingest.send(question, *chatter)
    results = {r.external_id: r for r in await ingest.send(answer, include_factors=True)}
    results |= {r.external_id: r for r in await ingest.send(plain, include_factors=True)}
    names = {
        key: {factor.name for factor in result.importance.factors}
        for key, result in results.items()
    }
    assert names["50"] & {"answer", "short_answer"}
    assert not names["51"] & {"answer", "short_answer"}


async def test_a_reply_hears_the_same_in_one_batch_and_in_many(ingest: Ingest) -> None:
    """Whether what is replied to asks something is read the same when it comes along and when it is stored already."""
    talk = [
        message(1, "the proxy is stuck again", author=BOB),
        message(2, "bob, how do i restart the proxy", author=ADA),
        message(3, "systemctl restart edge-proxy", author=BOB, reply_to_external_id="2"),
    ]
    await ingest.send(*talk)
    at_once = await scores(ingest)
    other = pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id="other")
    for each in talk:
        await ingest.send(each, source=other)
    alone = await ingest.rows(
        """select importance_score from ingest.message m join ingest.source s on s.id = m.source_id
           where s.external_id = 'other' order by m.external_id"""
    )
    assert [row["importance_score"] for row in alone] == at_once


async def test_an_edit_leaves_replies_alone_unless_it_makes_a_question_of_it(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many reply to a message, an edit that asks neither more nor less scores none of them again."""
    replies = [message(n, f"it was number {n}", reply_to_external_id="1") for n in range(50, 60)]
    await ingest.send(message(1, "release notes"))
    await ingest.send(*[message(n) for n in range(2, 45)])
    await ingest.send(*replies)
    before = await scores(ingest)
    looked_at: list[int] = []
    settle = Neighbours.settle

    async def counted(self: Neighbours, *arguments: Any) -> Any:
        looked_at.append(len(arguments[-1]))
        return await settle(self, *arguments)

    monkeypatch.setattr(Neighbours, "settle", counted)
    edited = message(1, "release notes of version two", edited_at=at(100))
    await ingest.send(edited)
    assert (looked_at, await scores(ingest) == before) == ([1], False)
    asking = message(1, "which release broke the exporter?", edited_at=at(200))
    await ingest.send(asking)
    assert looked_at == [1, 11]
    heard = await ingest.rows(
        "select count(*) from ingest.message where importance_factors ? 'answer'"
    )
    assert heard[0]["count"] >= 10


def said(key: str, seconds: int, thread: str = "") -> tuple[Draft, Reading]:
    """A draft and how it reads."""
    each = draft(
        key, thread, "", ("", "", False), key, EPOCH.replace(year=2000 + seconds), None, None, None
    )
    return each, read(ScoredInput("", key, False, key), Context())


def sent(memory: Memory, *messages: tuple[Draft, Reading]) -> None:
    """Put messages through the memory as the gate does."""
    drafts = [each for each, _ in messages]
    recalled = memory.recall(ROOM, drafts)
    for each, reading in messages:
        recalled.tails[each.thread_id].add(reading, order_of(each.sent_at, each.external_id))
        recalled.messages[each.external_id] = reading
    memory.keep(ROOM, drafts, recalled)


def test_memory_goes_on_where_the_last_batch_ended() -> None:
    """A batch after the last one needs no database; one that reaches back, or another source, does."""
    memory = Memory()
    sent(memory, said("a", 1), said("b", 5))
    assert memory.recall(ROOM, [said("c", 5)[0]]).is_complete
    assert not memory.recall(ROOM, [said("c", 4)[0]]).is_complete
    assert not memory.recall(ROOM, [said("b", 6)[0]]).is_complete
    assert not memory.recall(ROOM, [said("c", 6, "thread")[0]]).is_complete
    assert not memory.recall(SourceKey("api", "other"), [said("c", 6)[0]]).is_complete


def test_what_is_overtaken_is_read_again() -> None:
    """A message that turns out to follow another than it seemed to is read among those that it follows."""
    begun = [said(str(year), year) for year in range(20)]
    call = ScoredInput("Bob", "ann, look at the proxy", False, "call")
    order = order_of(EPOCH.replace(year=2030), "call")
    orders = [*(order_of(each.sent_at, each.external_id) for each, _ in begun), order]
    readings = [*(reading for _, reading in begun), read(call, Context())]
    tail = Tail(orders, readings, len(orders)).cut(order)
    assert tail is not None
    tail.add(read(ScoredInput("Ann", "good morning"), Context()), orders[-2])
    tail.reach(order_of(EPOCH.replace(year=2031), "next"))
    assert [reading.addressee for reading in tail.readings[-2:]] == ["", "ann"]


def test_memory_keeps_the_newest_tail() -> None:
    """Old history that comes later does not push out the end of the conversation."""
    memory = Memory()
    sent(memory, said("new", 9))
    sent(memory, said("old", 1))
    (tail,) = memory.recall(ROOM, [said("next", 10)[0]]).tails.values()
    assert [reading.message_id for reading in tail.readings] == ["new"]


def test_memory_is_bounded() -> None:
    """However many conversations and messages come, only the last ones are kept."""
    memory = Memory(tails_max=3, messages_max=5)
    for number in range(20):
        sent(memory, said(str(number), number, f"thread {number}"))
    warm = [
        number
        for number in range(20)
        if not memory.recall(ROOM, [said("x", 30, f"thread {number}")[0]]).cold_threads
    ]
    assert warm == [17, 18, 19]


def test_memory_of_sources_is_bounded() -> None:
    """However many sources a stream writes to, only the last are known by what was written to them, by any title."""
    memory = Memory(tails_max=3)
    for number in range(20):
        memory.wrote(SourceKey("api", f"chat {number}"), number)
    known = [n for n in range(20) if memory.agrees_with(SourceKey("api", f"chat {n}", "Chat"), n)]
    assert known == [14, 15, 16, 17, 18, 19]
