"""Streams whose frames come newest first or in no order, with versions that move, end as the same in order."""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from services.ingest import intake, neighbours, store, streaming
from services.ingest.memory import Memory
from services.ingest.neighbours import Neighbours
from tests.ingest.conftest import Ingest
from tests.ingest.test_order import TEXTS, Put, apply, new_source, state
from winnow.ingest.v1 import ingest_pb2 as pb

QUESTION, ANSWER = TEXTS[1], TEXTS[3]


async def stream(
    ingest: Ingest, source: pb.SourceRef, frames: Sequence[Sequence[Put]]
) -> list[pb.StreamMessagesResponse]:
    """Send each of some lists of updates as a frame of one stream."""
    requests = [
        pb.StreamMessagesRequest(
            sequence=number, source=source, messages=[each.sent() for each in frame]
        )
        for number, frame in enumerate(frames)
    ]
    return await ingest.stream(requests)


@pytest.mark.parametrize(
    "moved", [Put(6, 1, "never mind", "x", thread="t"), Put(6, 1, "never mind", "x", later=-1)]
)
async def test_what_moves_is_not_where_it_was(ingest: Ingest, moved: Put) -> None:
    """Who moves the last message of a conversation in a stream has what comes next scored without it."""
    one, other = new_source(), new_source()
    asked, answer = Put(6, None, QUESTION, "x"), Put(8, None, ANSWER, "ann")
    hello, elsewhere = Put(2, None, "hello", "x"), new_source()
    # What comes of another source between them keeps two frames from being put together.
    sent = [(one, hello), (one, asked), (one, moved), (elsewhere, hello), (one, answer)]
    await ingest.stream(
        pb.StreamMessagesRequest(sequence=number, source=source, messages=[each.sent()])
        for number, (source, each) in enumerate(sent)
    )
    await apply(ingest, other, [hello, moved, answer])
    assert await state(ingest, one) == await state(ingest, other)


def chat(dice: random.Random, count: int) -> list[Put]:
    """A chat in two threads in which some reply to what was said before, in the order of sending."""
    return [
        Put(
            number,
            None,
            f"{dice.choice(TEXTS)} {dice.randint(1, 9)}",
            "ann" if dice.random() < 0.2 else dice.choice(["x", "build-bot"]),
            max(1, number - dice.randint(1, 60)) if dice.random() < 0.2 else 0,
            dice.choice(["", "", "", "t"]),
        )
        for number in range(1, count)
    ]


def newest_first(dice: random.Random, said: Sequence[Put]) -> list[list[Put]]:
    """Pages of a history as most APIs give it, the newest first, each in its order or turned round."""
    pages, end, turned = [], len(said), dice.random() < 0.5
    while end > 0:
        start = max(0, end - dice.choice([1, 7, 100, 300]))
        pages.append(list(reversed(said[start:end])) if turned else list(said[start:end]))
        end = start
    return pages


def disordered(dice: random.Random, said: Sequence[Put]) -> list[list[Put]]:
    """Frames in no order, with later versions among them, some of which say that they belong elsewhere."""
    versions = list(said)
    for each in dice.sample(said, len(said) // 5):
        text, thread = f"{dice.choice(TEXTS)} {dice.randint(1, 9)}", dice.choice(["", "", "t"])
        later = dice.choice([0, 0, -40, 40])
        versions.append(
            Put(each.key, dice.randint(1, 4), text, each.author, each.reply_to, thread, later)
        )
    if dice.random() < 0.5:
        versions.sort(key=lambda each: (each.key // dice.choice([20, 50]), dice.random()))
    else:
        dice.shuffle(versions)
    frames, start = [], 0
    while start < len(versions):
        end = start + dice.choice([1, 7, 60, 200])
        frames.append(versions[start:end])
        start = end
    return frames


@pytest.mark.parametrize("cut", [newest_first, disordered])
@pytest.mark.parametrize("seed", range(8))
async def test_a_stream_in_another_order(
    ingest: Ingest,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    cut: Callable[[random.Random, Sequence[Put]], list[list[Put]]],
) -> None:
    """However a stream is ordered, and whatever is stored among it, it ends in the state of the same in order."""
    dice = random.Random(seed)
    monkeypatch.setattr(streaming, "GROUP_MESSAGES_MAX", dice.choice([100, 1000]))
    monkeypatch.setattr(neighbours, "PLACES_AT_ONCE", dice.choice([3, 250]))
    monkeypatch.setattr(intake, "Memory", partial(Memory, messages_max=dice.choice([50, 1000])))
    said = chat(dice, 900)
    frames = cut(dice, said)
    one, other = new_source(), new_source()
    versions = sorted(
        (each for frame in frames for each in frame), key=lambda each: each.edited or 0
    )
    await apply(ingest, other, versions)
    if seed % 2:
        await apply(ingest, one, [each for each in said if each.key // 50 % 7 == 0])
    await stream(ingest, one, frames)
    assert await state(ingest, one) == await state(ingest, other)


async def test_what_comes_in_no_order_is_written_in_larger_groups(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each group the neighbours are scored again, so fewer are made of a stream in no order, and of that alone."""
    sizes: list[int] = []
    put = store.put_messages

    async def counted(*arguments: Any) -> Any:
        sizes.append(len(arguments[-1]))
        return await put(*arguments)

    monkeypatch.setattr(streaming, "GROUP_MESSAGES_MAX", 100)
    monkeypatch.setattr(intake, "Memory", partial(Memory, messages_max=50))
    monkeypatch.setattr(store, "put_messages", counted)
    said = [Put(n, None, f"{TEXTS[n % 9]} {n % 7}", "x" if n % 3 else "ann") for n in range(2000)]
    shuffled = random.Random(1).sample(said, len(said))
    largest = []
    for order in (said, shuffled):
        sizes.clear()
        await stream(ingest, new_source(), [order[n : n + 50] for n in range(0, 2000, 50)])
        assert sum(sizes) == 2000
        largest.append(max(sizes))
    assert largest == [100, 200]


async def test_a_history_that_comes_newest_first(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new chat that comes newest first never asks what is stored, and little of it is scored again."""
    asked: list[Any] = []
    settled: list[int] = []
    conversation_tails, settle = store.conversation_tails, Neighbours.settle

    async def counted(*arguments: Any) -> Any:
        asked.extend(arguments[3])
        return await conversation_tails(*arguments)

    async def settled_at(self: Neighbours, *arguments: Any) -> Any:
        settled.append(len(arguments[-1]))
        return await settle(self, *arguments)

    monkeypatch.setattr(streaming, "GROUP_MESSAGES_MAX", 100)
    monkeypatch.setattr(intake, "Memory", partial(Memory, messages_max=150))
    monkeypatch.setattr(store, "conversation_tails", counted)
    monkeypatch.setattr(Neighbours, "settle", settled_at)
    said = [
        Put(
            n,
            None,
            f"{TEXTS[n % 9]} {n % 7}",
            "x" if n % 3 else "ann",
            n - 136 if n > 200 and n % 50 == 0 else 0,
        )
        for n in range(2000)
    ]
    one, other = new_source(), new_source()
    await stream(ingest, one, [said[n : n + 100] for n in range(1900, -1, -100)])
    assert (asked, len(settled), set(settled)) == ([], 19, {1, 2})
    await apply(ingest, other, said)
    assert await state(ingest, one) == await state(ingest, other)


@pytest.mark.parametrize(
    ("stored", "pages"),
    [
        ([*range(1, 184), *range(188, 201)], [range(400, 401), range(184, 188)]),
        ([], [range(200, 300), range(100, 200), range(100), range(300, 304)]),
    ],
)
async def test_what_a_stream_does_not_remember(
    ingest: Ingest, monkeypatch: pytest.MonkeyPatch, stored: Sequence[int], pages: Sequence[range]
) -> None:
    """Who reaches back before what is remembered, or returns to what no longer is, is heard among what is stored."""

    def said(number: int) -> Put:
        return Put(number, None, f"restart proxy {number % 9} in rack {number // 101}", "x")

    monkeypatch.setattr(streaming, "GROUP_MESSAGES_MAX", 1)
    monkeypatch.setattr(intake, "Memory", partial(Memory, messages_max=50))
    one, other = new_source(), new_source()
    await apply(ingest, one, map(said, stored))
    await stream(ingest, one, [list(map(said, page)) for page in pages])
    await apply(ingest, other, map(said, sorted([*stored, *(n for page in pages for n in page)])))
    assert await state(ingest, one) == await state(ingest, other)
