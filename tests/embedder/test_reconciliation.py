"""Without being asked, the embedder mends whatever was lost, however it was lost."""

from datetime import timedelta
from uuid import UUID

import asyncpg

from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Database, DatabaseSettings
from services.embedder.debts import Debts
from services.embedder.generation_store import live_generations
from services.embedder.generations import Generation, Generations
from services.embedder.reconciliation import Reconciliation
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, sha256


async def test_vectors_and_tasks_deleted_behind_its_back(embedder: Embedder, chat: Chat) -> None:
    """362 vectors and their tasks that vanish are made again, by nobody's order."""
    async with embedder.serving(reconciling=True):
        await chat.say([f"text {n}" for n in range(500)])
        await chat.settled()
        assert await chat.forget(362) == 362
        assert await chat.debt() == (362, 0)
        await chat.settled()
    assert len(await chat.vectors()) == 500


async def test_done_tasks_without_their_vectors(embedder: Embedder, chat: Chat) -> None:
    """A vector that vanishes while its task says done is made again."""
    async with embedder.serving(reconciling=True):
        await chat.say(["one", "two", "three"])
        await chat.settled()
        assert await chat.forget(2, tasks=False) == 2
        await chat.settled()
    assert len(await chat.vectors()) == 3


async def test_messages_older_than_any_generation(embedder: Embedder, chat: Chat) -> None:
    """Messages that came before the embedder was ever started, when no task could be made, are embedded."""
    messages = await chat.say(["one", "two"])
    assert await chat.admin.fetchval("select count(*) from spine.task") == 0
    async with embedder.serving(reconciling=True):
        await chat.settled()
    assert {subject for subject, _ in await chat.vectors()} == set(messages)


async def test_stale_vectors(embedder: Embedder, chat: Chat) -> None:
    """Vectors of rows that were deleted or edited without a task are removed or made anew."""
    async with embedder.serving(reconciling=True):
        kept, edited, deleted = await chat.say(["one", "two", "three"])
        await chat.settled()
        await chat.admin.execute(
            "update ingest.message set deleted_at = now() where id = $1", deleted
        )
        await chat.admin.execute(
            "update ingest.message set text = 'zwei', text_sha256 = $2 where id = $1",
            edited,
            sha256("zwei"),
        )
        await chat.settled()
    assert await chat.vectors() == {(kept, 0): sha256("one"), (edited, 0): sha256("zwei")}


async def test_what_an_erasure_names_is_left_to_it(embedder: Embedder, chat: Chat) -> None:
    """A receipt counts the vectors of what it names: reconciliation takes them once that is done, or takes long."""
    async with embedder.serving():
        counted, forgotten = await chat.say(["one", "two"])
        await chat.settled()
    await chat.admin.execute("update ingest.message set deleted_at = now()")
    operation = await _erasure(chat, counted, timedelta())
    await _erasure(chat, forgotten, timedelta(minutes=11))
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        reconciliation = Reconciliation(Debts(database, _nothing), _generations(database), 30)
        assert await reconciliation.mend() == 1
        asked = "select subject_id from spine.task where state <> 'done'"
        assert await chat.admin.fetchval(asked) == forgotten
        await chat.admin.execute(
            """insert into embedder.erasure (workspace_id, operation_id, of_what, chunk, vectors)
               select workspace_id, operation_id, 'messages', chunk, 0 from ingest.erasure where operation_id = $1""",
            operation,
        )
        assert await reconciliation.mend() == 1


async def _erasure(chat: Chat, message: UUID, ago: timedelta) -> UUID:
    """Write down that a chunk of an old operation has erased a message some time ago."""
    operation: UUID = await chat.admin.fetchval(
        """with made as (
             insert into ingest.operation (workspace_id, id, kind)
             select workspace_id, uuidv7('-1 day'), 'erase' from ingest.message where id = $1
             returning workspace_id, id)
           insert into ingest.erasure (workspace_id, operation_id, chunk, message_ids, created_at)
           select workspace_id, id, 1, array[$1::uuid], now() - $2::interval from made returning operation_id""",
        message,
        ago,
    )
    return operation


async def test_a_workspace_that_is_locked_holds_up_no_other(
    embedder: Embedder, deployment: Deployment, chat: Chat, database_url: str
) -> None:
    """Of two that lack a vector each the second is mended while somebody keeps the tasks of the first."""
    another = await store_key(deployment.admin, "other", "test", mint_key(), SCOPES)
    chats = [chat, await Chat(deployment.admin, another).open()]
    async with embedder.serving():
        for each in chats:
            await each.say(["text"])
            await each.settled()
    await chat.admin.execute("delete from embedder.vector")
    settings = DatabaseSettings.read().model_copy(update={"statement_timeout_seconds": 1})
    other = await asyncpg.connect(database_url)
    async with Database.open(settings, "winnow_embedder") as database:
        debts = Debts(database, _nothing)
        first, second = await debts.workspaces()
        async with other.transaction():
            await other.execute("select from spine.task where workspace_id = $1 for update", first)
            assert await Reconciliation(debts, _generations(database), 30).mend() == 1
        ready = "select workspace_id from spine.task where state = 'ready'"
        assert [row[0] for row in await other.fetch(ready)] == [second]
    await other.close()


async def test_open_tasks_are_left_alone(embedder: Embedder, chat: Chat) -> None:
    """What is on its way is asked for once only, and at rest nothing is asked for."""
    async with embedder.serving():
        pass
    await chat.say(["one", "two"])
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        reconciliation = Reconciliation(Debts(database, _nothing), _generations(database), 30)
        assert await reconciliation.mend() == 0
        before = await chat.admin.fetch("select * from spine.task order by id")
        assert await reconciliation.mend() == 0
        assert await chat.admin.fetch("select * from spine.task order by id") == before
        await chat.admin.execute("delete from spine.task")
        assert await reconciliation.mend() == 2
        assert await reconciliation.mend() == 0


def _nothing() -> None:
    """Nobody waits for the tasks."""


def _generations(database: Database) -> Generations:
    async def read_live() -> list[Generation]:
        async with database.connection() as connection:
            return await live_generations(connection)

    return Generations(read_live, lambda _: None)
