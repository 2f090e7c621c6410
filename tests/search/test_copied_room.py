"""What copies of vectors do with the memory that they have: who is copied, and who is given up for others."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from services.search import copies as module
from services.search import copying
from services.search.copies import Copies
from services.search.semantic import Plan
from tests.search.copied import MANY, ROW, Reader, some_vectors
from tests.search.library import Library, unit


async def another(library: Library, times: int = 1) -> Library:
    """A library of another workspace, so many times as large."""
    other = replace(library, workspace=UUID(int=7), source=UUID(int=8), sent=0)
    await other.admin.execute(
        "insert into spine.workspace (workspace_id, name) values ($1, 'big')", other.workspace
    )
    await other.add_source(other.source)
    for _ in range(times):
        await other.add_messages([f"o {i}" for i in range(MANY)], some_vectors())
    return other


async def test_there_must_be_room(reader: Reader) -> None:
    """What does not fit must not be copied; what others use must not be given up for it, what nobody uses must be."""
    reader.copies = Copies(reader.database, MANY * ROW - 1, lambda: reader.now[0])
    assert (await reader.find(1)).plan is Plan.HNSW
    await reader.copies.work()
    assert (await reader.find(1)).plan is Plan.HNSW
    reader.copies = Copies(reader.database, MANY * ROW + 1, lambda: reader.now[0])
    await reader.copied()
    mine, reader.library = reader.library, await another(reader.library)
    for moment, plan in ((59, Plan.HNSW), (120, Plan.MEMORY)):
        reader.now[0] = moment
        await reader.find(1)
        await reader.copies.work()
        assert (await reader.find(1)).plan is plan
    reader.library = mine
    assert (await reader.find(1)).plan is Plan.HNSW


async def test_what_found_no_room_is_left_alone_for_a_minute(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To see how much does not fit takes reading it all: once a minute, however often other copies have work done."""
    counted: list[float] = []

    async def counting(*place: Any) -> int:
        counted.append(reader.now[0])
        return await count(*place)

    count = copying.count
    monkeypatch.setattr(copying, "count", counting)
    reader.copies = Copies(reader.database, MANY * ROW - 1, lambda: reader.now[0])
    for moment in (0, 1, 59, 61):
        reader.now[0] = moment
        assert (await reader.find(1)).plan is Plan.HNSW
        await reader.copies.work()
    assert counted == [0, 61]


async def test_nothing_is_given_up_for_what_does_not_fit(reader: Reader) -> None:
    """What is larger than all the memory must leave those alone that fit, though nobody used them lately."""
    reader.copies = Copies(reader.database, MANY * ROW + 1, lambda: reader.now[0])
    await reader.copied()
    reader.library = await another(reader.library, times=2)
    reader.now[0] = 120
    await reader.find(1)
    await reader.copies.work()
    assert reader.held == MANY


async def test_one_is_given_up_while_all_are_looked_at(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that nobody asks and another, made anew, must not both be let go of, nor end the loop."""
    reader.copies = Copies(reader.database, (2 * MANY + 5) * ROW, lambda: reader.now[0])
    await reader.copied()
    mine, reader.library = reader.library, await another(reader.library)
    await reader.copied()
    await mine.add_messages([f"n {i}" for i in range(10)], [unit(1)] * 10)
    monkeypatch.setattr(module, "_GROWN_TIMES", 0)
    reader.now[0] = 960
    reader.copies.of(mine.workspace, reader.generation)
    await reader.copies.work()
    assert reader.held == MANY + 10
