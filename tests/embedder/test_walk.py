"""The order in which vectors go into an index."""

import asyncio
from uuid import UUID

import numpy as np
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.vectors import Matrix
from services.embedder import store, subscriptions
from services.embedder.generation_store import IndexSettings, start_generation
from services.embedder.generations import ModelIdentity
from services.embedder.store import SubjectText, SubjectVectors
from services.embedder.walk import BLOCK, walk
from tests.conftest import Deployment
from tests.embedder.conftest import SENT_AT, Chat, sha256

MODEL = ModelIdentity("fake", "0" * 64, 8, "mean", "", "")


def circle(*degrees: float) -> Matrix:
    """Unit vectors in one plane of eight dimensions."""
    angles = np.radians(np.array(degrees))
    rest = np.zeros((len(angles), 6))
    found: Matrix = np.hstack([np.c_[np.cos(angles), np.sin(angles)], rest]).astype(np.float32)
    return found


def test_the_nearest_follows() -> None:
    """A walk begins with the first row and goes on to the nearest of those that are left."""
    assert walk(circle(10, 80, 20, 70, 30)) == [0, 2, 4, 3, 1]
    assert walk(circle(10)) == [0]
    assert walk(circle()) == []


def test_equal_rows_stay_in_order() -> None:
    """Of rows equally near the first is taken, and all are taken once."""
    assert walk(circle(5, 5, 5, 5)) == [0, 1, 2, 3]


def test_many_rows_are_walked_in_blocks() -> None:
    """A walk takes each row once, however many there are, and none before a block that comes earlier."""
    dice = np.random.default_rng(1)
    order = walk(circle(*dice.uniform(0, 360, 2 * BLOCK + 3)))
    assert sorted(order) == list(range(2 * BLOCK + 3))
    assert [place // BLOCK for place in order] == sorted(place // BLOCK for place in order)


def made(chat: Chat, generation: UUID, ids: list[UUID], vectors: Matrix) -> list[SubjectVectors]:
    """The vectors of messages that have none."""
    return [
        SubjectVectors(
            SubjectText("message", id_, "", sha256("hello"), chat.source, SENT_AT, 0, False),
            generation,
            vector[None],
        )
        for id_, vector in zip(ids, vectors, strict=True)
    ]


@pytest.mark.parametrize("bulk", [False, True])
async def test_an_index_takes_what_is_near_together(
    deployment: Deployment, chat: Chat, bulk: bool
) -> None:
    """Rows lie as they were walked where an index takes them, and in the order of their keys where none does."""
    degrees = np.random.default_rng(2).permutation(40) * 4.0
    ids = [uuid7() for _ in degrees]
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        async with database.connection() as connection:
            generation = await start_generation(connection, MODEL, IndexSettings(), bulk=bulk)
        subjects = made(chat, generation.id, ids, vectors := circle(*degrees))
        async with database.transaction(chat.workspace) as connection:
            before = await connection.fetchval("show lock_timeout")
            await store.add_vectors(connection, chat.workspace, generation.id, subjects)
            assert await connection.fetchval("show lock_timeout") == before
    rows = await chat.admin.fetch("select subject_id from embedder.vector order by ctid")
    expected = ids if bulk else [ids[place] for place in walk(vectors)]
    assert [row["subject_id"] for row in rows] == expected


async def test_two_that_add_the_same_do_not_wait_for_each_other(
    deployment: Deployment, chat: Chat
) -> None:
    """Of two transactions that walk the same messages in opposite ways one gives way, and both write all they have."""
    count = 40
    ids = await chat.say(["hello"] * (count + 2), tasks=False)
    there, back = np.arange(count) * 2.0, np.arange(count)[::-1] * 2.0
    async with Database.open(DatabaseSettings.read(), "winnow_embedder", size=4) as database:
        async with database.connection() as connection:
            generation = await start_generation(connection, MODEL, IndexSettings(), bulk=False)
        # The first of each is its own and lies at the end where its walk begins.
        one = made(chat, generation.id, ids[:1] + ids[2:], circle(-1, *there))
        other = made(chat, generation.id, ids[1:], circle(-1, *back))
        await chat.admin.execute(SLOW_INSERTS)

        async def write(subjects: list[SubjectVectors]) -> int:
            async with database.transaction(chat.workspace) as connection:
                where = (connection, chat.workspace, generation.id, subjects)
                return len(await subscriptions.write_current(*where))

        assert await asyncio.gather(write(one), write(other)) == [count + 1, count + 1]
    assert await chat.admin.fetchval("select count(*) from embedder.vector") == count + 2


# Each has written some of its rows before it meets the other's.
SLOW_INSERTS = """
create function public.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$;
create trigger slowly before insert on embedder.vector for each row execute function public.slowly();
"""
