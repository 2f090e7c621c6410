"""The same updates, in any order and any number of times, end in the same state."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.common.errors import TransactionConflict
from services.ingest import saving
from tests.ingest.conftest import Ingest, at, message
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

_numbers = count()


@dataclass(frozen=True)
class Put:
    """A version of a message; edited None is the original."""

    key: int
    edited: int | None
    text: str
    author: str = ""
    reply_to: int = 0
    thread: str = ""
    later: int = 0

    def sent(self) -> pb.MessageInput:
        """The version as it is sent; two messages share a second, so that their keys decide which is first."""
        return message(
            self.key,
            self.text,
            sent_at=at(self.key // 2 + self.later),
            edited_at=None if self.edited is None else at(10_000 + self.edited),
            author=types.Author(name=self.author) if self.author else None,
            reply_to_external_id=str(self.reply_to) if self.reply_to else "",
            thread_id=self.thread,
        )


@dataclass(frozen=True)
class Delete:
    """A deletion."""

    key: int
    moment: int


Update = Put | Delete
TEXTS = (
    "",
    "Which database does the billing service use?",
    "x: postgres 16",
    "postgres 16",
    "thanks!",
    "ann please restart the proxy, the queue is stuck",
    "ann, how do i restart the proxy",
    "build 81 of main failed https://ci.example/81",
    "build 82 of main failed https://ci.example/82",
)
AUTHORS = ("x", "ann", "build-bot")
keys = st.integers(1, 12)
puts = st.builds(
    Put,
    keys,
    st.none() | st.integers(1, 4),
    st.sampled_from(TEXTS),
    st.sampled_from(AUTHORS),
    st.just(0) | keys,
    st.sampled_from(["", "", "", "t"]),
    st.sampled_from([0, 0, 0, 3]),
)
updates = st.lists(puts | st.builds(Delete, keys, st.integers(1, 3)), min_size=1, max_size=24)


def new_source() -> pb.SourceRef:
    """A source that no other run uses."""
    return pb.SourceRef(kind=pb.SOURCE_KIND_API, external_id=f"order {next(_numbers)}")


async def apply(ingest: Ingest, source: pb.SourceRef, given: Iterable[Update]) -> None:
    """Send updates in order, neighbours of one kind together."""
    for kind, run in groupby(given, key=type):
        together: Sequence[Any] = list(run)
        if kind is Put:
            for start in range(0, len(together), 500):
                batch = [put.sent() for put in together[start : start + 500]]
                await ingest.send(*batch, source=source)
        else:
            for moment, at_once in groupby(together, key=lambda each: each.moment):
                external_ids = sorted({str(each.key) for each in at_once})
                request = pb.DeleteMessagesRequest(
                    source=source, external_ids=external_ids, deleted_at=at(moment)
                )
                await ingest.stub.DeleteMessages(request, metadata=ingest.metadata)


@pytest.fixture
def conflicting(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Has the next batch conflict once all is written; what is put here is done before it is written again."""
    reach, meanwhile = saving.reach, list[Any]()

    async def conflict(point: str) -> None:
        await reach(point)
        if point == "ingest.announced" and len(meanwhile) == 1:
            meanwhile.append(None)
            raise TransactionConflict("another transaction was in the way")
        if point == "ingest.source_found" and len(meanwhile) == 2:
            meanwhile.append(None)
            await meanwhile[0]()

    monkeypatch.setattr(saving, "reach", conflict)
    return meanwhile


async def test_a_batch_that_is_written_again(ingest: Ingest, conflicting: list[Any]) -> None:
    """What another has written since a batch was rolled back is not taken for what the batch had written itself."""
    said = [Put(2, None, "hello"), Put(4, None, TEXTS[1], "ann"), Put(6, None, TEXTS[3], "x")]
    hello, question, answer = (each.sent() for each in said)
    raced, in_order = new_source(), new_source()
    for source in (raced, in_order):
        await ingest.send(hello, source=source)
    conflicting.append(partial(ingest.send, question, source=raced))
    await ingest.send(answer, source=raced)
    assert len(conflicting) == 3
    for each in (question, answer):
        await ingest.send(each, source=in_order)
    assert await state(ingest, raced) == await state(ingest, in_order)


async def state(ingest: Ingest, source: pb.SourceRef) -> list[dict[str, Any]]:
    """All that the rows of a source say, importance included, but for ids and when it came to be known."""
    rows = await ingest.rows(
        """select m.* from ingest.message m join ingest.source s on s.id = m.source_id
           where s.external_id = $1 order by m.external_id""",
        source.external_id,
    )
    aside = ("id", "source_id", "received_at", "revised_at")
    return [{name: value for name, value in dict(row).items() if name not in aside} for row in rows]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(given_updates=updates, data=st.data())
async def test_order_and_repetition_do_not_matter(
    ingest: Ingest, given_updates: list[Update], data: st.DataObject
) -> None:
    """Shuffled and repeated, with edits before originals and deletions before edits, the rows end the same."""
    repeated = given_updates + data.draw(st.lists(st.sampled_from(given_updates)))
    shuffled = data.draw(st.permutations(repeated))
    one, other = new_source(), new_source()
    await apply(ingest, one, given_updates)
    await apply(ingest, other, shuffled)
    assert await state(ingest, one) == await state(ingest, other)


versions = st.lists(
    st.builds(Put, st.just(1), st.none() | st.integers(1, 2), st.sampled_from(TEXTS)),
    min_size=2,
    max_size=6,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(given_versions=versions, data=st.data())
async def test_one_of_equally_late_versions_always_wins(
    ingest: Ingest, given_versions: list[Put], data: st.DataObject
) -> None:
    """In one batch, in one frame, or one by one in any order: of versions edited at one time the same one is kept."""
    together, streamed, alone = new_source(), new_source(), new_source()
    await apply(ingest, together, given_versions)
    frame = [put.sent() for put in data.draw(st.permutations(given_versions))]
    await ingest.stream([pb.StreamMessagesRequest(sequence=1, source=streamed, messages=frame)])
    for put in data.draw(st.permutations(given_versions)):
        await apply(ingest, alone, [put])
    kept = await state(ingest, together)
    assert await state(ingest, streamed) == kept
    assert await state(ingest, alone) == kept


def in_order(count: int, dice: random.Random) -> list[Update]:
    """About so many updates: originals as they were sent, edits as they were made, and deletions."""
    originals: list[Update] = []
    edits: list[Put] = []
    deletions: list[Delete] = []

    def put(key: int, edited: int | None) -> Put:
        text = f"{dice.choice(TEXTS)} {key}" if dice.random() < 0.9 else ""
        reply_to = max(1, key - dice.randint(1, 60)) if dice.random() < 0.2 else 0
        return Put(key, edited, text, dice.choice(AUTHORS), reply_to)

    for key in range(1, count // 3):
        originals.append(put(key, None))
        edits += [put(key, edited) for edited in dice.sample(range(1, 101), dice.randint(0, 4))]
        if dice.random() < 0.05:
            deletions.append(Delete(key, dice.randint(1, 9)))
    edits.sort(key=lambda each: each.edited or 0)
    deletions.sort(key=lambda each: each.moment)
    return [*originals, *edits, *deletions]


async def test_thousands_of_updates(ingest: Ingest) -> None:
    """Thousands of shuffled and doubled updates end in the same state as in order; the latest version counts."""
    dice = random.Random(11)
    made = in_order(10_000, dice)
    orderly = new_source()
    await apply(ingest, orderly, made)
    source, shuffled = new_source(), [*made, *dice.sample(made, len(made) // 3)]
    dice.shuffle(shuffled)
    # Deletions one by one would make thousands of small batches: they come first, in the middle and last.
    deletions = [each for each in shuffled if isinstance(each, Delete)]
    versions = [each for each in shuffled if isinstance(each, Put)]
    third, half = len(deletions) // 3, len(versions) // 2
    await apply(ingest, source, deletions[:third])
    await apply(ingest, source, versions[:half])
    await apply(ingest, source, deletions[third : 2 * third])
    await apply(ingest, source, versions[half:])
    await apply(ingest, source, deletions[2 * third :])
    latest: dict[str, Put] = {}
    deleted: dict[str, int] = {}
    for each in made:
        key = str(each.key)
        if isinstance(each, Delete):
            deleted[key] = min(each.moment, deleted.get(key, each.moment))
        elif key not in latest or (each.edited or -1) > (latest[key].edited or -1):
            latest[key] = each
    found = await state(ingest, source)
    assert found == await state(ingest, orderly)
    assert {row["external_id"]: row["text"] for row in found} == {
        key: put.text for key, put in latest.items()
    }
    assert {
        row["external_id"]: int(row["deleted_at"].timestamp()) for row in found if row["deleted_at"]
    } == {key: at(moment).seconds for key, moment in deleted.items()}


def jumping(dice: random.Random, count: int) -> list[Put]:
    """Messages as a clock that jumps dates them: now and then a run of them belongs long before what was just said."""
    made: list[Put] = []
    key = 0
    while len(made) < count:
        key += 1000
        runs = [dice.randint(1, 90) for _ in range(dice.choice([1, 1, 2, 3]))]
        starts = [key + 100 * number for number in range(len(runs))]
        dice.shuffle(starts)
        for start, length in zip(starts, runs, strict=True):
            for number in range(start, start + length):
                text = f"{dice.choice(TEXTS)} {dice.randint(1, 9)}"
                reply_to = max(1, number - dice.randint(1, 20)) if dice.random() < 0.1 else 0
                author = "ann" if dice.random() < 0.08 else dice.choice(["x", "build-bot"])
                thread = dice.choice(["", "", "", "t"])
                made.append(Put(number, None, text, author, reply_to, thread))
    return made


@pytest.mark.parametrize("seed", range(6))
async def test_a_stream_whose_clock_jumps(ingest: Ingest, seed: int) -> None:
    """Frames that belong before earlier ones, or among what others have sent, end in the state of the same in order."""
    dice = random.Random(seed)
    made = jumping(dice, 900)
    orderly, streamed = new_source(), new_source()
    await apply(ingest, orderly, sorted(made, key=lambda each: each.key))
    others = [each for each in made if seed % 2 and each.key // 100 % 5 == 0]
    await apply(ingest, streamed, others)
    left, frames, start = [each for each in made if each not in others], [], 0
    while start < len(left):
        end = start + dice.randint(1, 60)
        put = [each.sent() for each in left[start:end]]
        frames.append(pb.StreamMessagesRequest(sequence=start, source=streamed, messages=put))
        start = end
    await ingest.stream(frames)
    assert await state(ingest, streamed) == await state(ingest, orderly)


async def test_writers_at_the_same_moment(ingest: Ingest) -> None:
    """A question and its answer that are sent at once are scored as one after the other, whoever is stored first."""
    one, other = new_source(), new_source()
    for thread in range(60):
        asked = Put(2 * thread, None, TEXTS[1], "x", thread=str(thread))
        answered = Put(2 * thread + 1, None, TEXTS[2], "ann", thread=str(thread))
        await apply(ingest, one, [asked, answered])
        await asyncio.gather(apply(ingest, other, [asked]), apply(ingest, other, [answered]))
    assert await state(ingest, one) == await state(ingest, other)


async def test_a_repeat_beside_an_edit(ingest: Ingest) -> None:
    """What is repeated while something before it is edited has the scores of its repetition after the edit."""
    one, other = new_source(), new_source()
    said = [
        Put(1, None, TEXTS[1], "x"),
        Put(2, None, TEXTS[3], "ann"),
        Put(3, None, "", "x", thread="t"),
    ]
    edit = Put(1, 1, "We moved the billing service.", "x")
    await apply(ingest, one, [*said, edit])
    await apply(ingest, other, said)
    admin = ingest.deployment.admin
    async with admin.transaction():
        await admin.execute("select from ingest.message where external_id = '3' for update")
        repeating = asyncio.create_task(apply(ingest, other, said[1:]))
        await ingest.waiting_for_a_lock()
        await apply(ingest, other, [edit])
    await repeating
    assert await state(ingest, other) == await state(ingest, one)
