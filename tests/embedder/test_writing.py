"""Several who write vectors at once, or hold what is written to."""

import asyncio

import asyncpg
import numpy as np
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.errors import LockedTooLong
from services.embedder.generation_store import start_generation
from services.embedder.store import SubjectVectors
from services.embedder.subscriptions import write_current
from tests.conftest import Deployment
from tests.embedder.conftest import Chat
from tests.embedder.vectors import MODEL, circle, made

# Each has written some of its rows before it meets the other's.
SLOW_INSERTS = """
create function public.slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.02); return new; end $$;
create trigger slowly before insert on embedder.vector for each row execute function public.slowly();
"""


async def test_who_cannot_write_gives_up(
    deployment: Deployment, chat: Chat, database_url: str
) -> None:
    """A lock on vectors that lasts ends the transaction, which has others wait for it, instead of being tried again."""
    (message,) = await chat.say(["hello"], tasks=False)
    settings = DatabaseSettings.read().model_copy(update={"statement_timeout_seconds": 0.4})
    other = await asyncpg.connect(database_url)
    async with Database.open(settings, "winnow_embedder") as database:
        async with database.connection() as connection:
            generation = await start_generation(connection, MODEL, 4096)
        vectors = made(chat, generation.id, [message], circle(0))
        async with other.transaction():
            await other.execute(f"lock table embedder.vector_{generation.id.hex} in share mode")
            with pytest.raises(LockedTooLong):
                async with asyncio.timeout(30), database.transaction(chat.workspace) as connection:
                    await write_current(connection, chat.workspace, generation.id, vectors)
    await other.close()


async def test_two_that_add_the_same_both_end(deployment: Deployment, chat: Chat) -> None:
    """Of two transactions that add the same messages, listed in opposite ways, both write all they have."""
    count = 40
    ids = await chat.say(["hello"] * (count + 2), tasks=False)
    async with Database.open(DatabaseSettings.read(), "winnow_embedder", size=4) as database:
        async with database.connection() as connection:
            generation = await start_generation(connection, MODEL, 4096)
        degrees = np.arange(count + 1) * 2.0
        # The first of each is its own.
        one = made(chat, generation.id, ids[:1] + ids[2:], circle(*degrees))
        other = made(chat, generation.id, ids[1:2] + ids[:1:-1], circle(*degrees))
        await chat.admin.execute(SLOW_INSERTS)

        async def write(subjects: list[SubjectVectors]) -> int:
            async with database.transaction(chat.workspace) as connection:
                where = (connection, chat.workspace, generation.id, subjects)
                return len(await write_current(*where))

        assert await asyncio.gather(write(one), write(other)) == [count + 1, count + 1]
    assert await chat.admin.fetchval("select count(*) from embedder.vector") == count + 2
