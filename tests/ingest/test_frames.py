"""Frames of a stream: read a few ahead, saved together where they wait, answered one by one and in order."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

import pytest

from services.ingest.store import SourceKey
from services.ingest.streaming import (
    AHEAD,
    GROUP_MESSAGES_MAX,
    GROUPS_AT_ONCE,
    MessageFrame,
    Room,
    Size,
    in_order,
    take_group,
)
from tests.ingest.conftest import message
from winnow.ingest.v1 import ingest_pb2 as pb


async def numbers(count: int, taken: list[int]) -> AsyncIterator[int]:
    """Count, and note what was asked for."""
    for number in range(count):
        taken.append(number)
        yield number


def one(waiting: deque[int]) -> list[int]:
    """Take one frame at a time."""
    return [waiting.popleft()]


def everything(waiting: deque[int]) -> list[int]:
    """Take all frames that wait."""
    taken = list(waiting)
    waiting.clear()
    return taken


async def unchanged(group: Sequence[int]) -> Sequence[int]:
    """Prepare or commit nothing."""
    return group


def size_of(_: int) -> Size:
    """Each frame is of one message of one byte."""
    return Size(1, 1, 1)


async def test_replies_keep_their_order() -> None:
    """Replies come in the order of the frames even if a later one is done first."""

    async def commit(group: Sequence[int]) -> Sequence[int]:
        await asyncio.sleep(0.02 if group[0] % 3 == 0 else 0)
        return group

    replies = in_order(numbers(10, []), size_of, one, unchanged, commit, Room(Size(3, 100, 100)))
    assert [reply async for reply in replies] == list(range(10))


@pytest.mark.parametrize(
    "room", [Room(Size(3, 100, 100)), Room(Size(100, 3, 100)), Room(Size(100, 100, 3))]
)
async def test_frames_are_read_only_a_few_ahead(room: Room) -> None:
    """While no reply is taken, no more frames are read than may be unanswered, by number, messages or bytes."""
    taken: list[int] = []
    replies = in_order(numbers(10, taken), size_of, one, unchanged, unchanged, room)
    await anext(replies)
    for _ in range(40):
        await asyncio.sleep(0)
    assert taken == [0, 1, 2]
    await replies.aclose()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("messages", "size_bytes", "frames"),
    [(1, 100, 256), (500, 50_000, 16), (500, 1 << 20, 4), (0, 10, 256)],
)
def test_small_frames_gather_and_large_ones_do_not(
    messages: int, size_bytes: int, frames: int
) -> None:
    """Of frames of one message hundreds may wait, so that a commit is worth it; of full ones as many as before."""
    room, held = Room(AHEAD), 0
    while not room.is_full():
        room.hold(Size(1, messages, size_bytes))
        held += 1
    assert held == frames
    room.let_go()
    assert not room.is_full()


async def test_what_waits_goes_on_together() -> None:
    """While as many groups are in hand as may be, frames gather, and go on as one group when there is room."""
    groups: list[list[int]] = []
    gate = asyncio.Event()

    async def commit(group: Sequence[int]) -> Sequence[int]:
        groups.append(list(group))
        await gate.wait()
        return group

    def taken_one_by_one_at_first(waiting: deque[int]) -> list[int]:
        return one(waiting) if len(groups) < GROUPS_AT_ONCE else everything(waiting)

    replies = in_order(
        numbers(10, []),
        size_of,
        taken_one_by_one_at_first,
        unchanged,
        commit,
        Room(Size(8, 100, 100)),
    )
    first = asyncio.ensure_future(anext(replies))
    for _ in range(40):
        await asyncio.sleep(0)
    assert groups == [[0], [1], [2]]
    gate.set()
    assert [await first, *[reply async for reply in replies]] == list(range(10))
    assert groups[GROUPS_AT_ONCE] == [3, 4, 5, 6, 7]


async def test_a_failure_comes_in_its_turn() -> None:
    """What fails ends the replies after those before it; frames after it are stopped."""
    stopped: list[int] = []

    async def commit(group: Sequence[int]) -> Sequence[int]:
        if group[0] == 2:
            raise ValueError("two")
        if group[0] > 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                stopped.append(group[0])
                raise
        return group

    replies = in_order(numbers(10, []), size_of, one, unchanged, commit, Room(Size(4, 100, 100)))
    assert [await anext(replies), await anext(replies)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        await anext(replies)
    assert set(stopped) <= {3, 4, 5}
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_a_failure_to_read_comes_after_what_was_read() -> None:
    """When the frames themselves fail, the replies to those before come first."""

    async def failing() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    replies = in_order(
        failing(), size_of, everything, unchanged, unchanged, Room(Size(3, 100, 100))
    )
    assert await anext(replies) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(replies)


def frame(*numbers: int, source: str = "chat") -> MessageFrame:
    """A frame of messages with numbers for ids."""
    request = pb.StreamMessagesRequest(messages=[message(number) for number in numbers])
    return MessageFrame(request, SourceKey("import", source))


@pytest.mark.parametrize(
    ("waiting", "together", "disordered"),
    [
        ([frame(1, 2), frame(3), frame(4)], 3, 3),
        ([frame(1), frame(2, source="other"), frame(3)], 1, 1),
        ([frame(1, 2), frame(3), frame(2)], 2, 2),
        ([frame(*range(GROUP_MESSAGES_MAX - 1)), frame(-1), frame(-2)], 2, 3),
        ([frame(*range(GROUP_MESSAGES_MAX + 1)), frame(-1)], 1, 2),
        ([frame(*range(2 * GROUP_MESSAGES_MAX)), frame(-1)], 1, 1),
    ],
)
@pytest.mark.parametrize("is_disordered", [False, True])
def test_frames_are_taken_together(
    waiting: list[MessageFrame], together: int, disordered: int, is_disordered: bool
) -> None:
    """Frames of one source without a message in common go together, up to so many messages; the others wait on."""
    left = deque(waiting)
    together = disordered if is_disordered else together
    assert take_group(left, is_disordered=is_disordered) == waiting[:together]
    assert list(left) == waiting[together:]
