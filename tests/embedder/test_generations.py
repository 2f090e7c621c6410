"""Generations change while everything is served: built beside, promoted, rolled back, retired."""

import asyncio
import hashlib
import itertools
from uuid import UUID

import grpc
import pytest

from services.common.auth import WORKSPACE_SCOPES, mint_key, store_key
from services.common.database import Database, DatabaseSettings
from services.common.errors import LockedTooLong
from services.common.testing import FakeEncoder
from services.embedder.outages import Outages
from services.embedder.shelf import Shelf
from services.embedder.upkeep import Upkeep
from tests.conftest import Deployment
from tests.embedder.conftest import MODELS, Chat, Embedder, Serve, fake_models, open_model, until
from tests.embedder.operating import (
    Operator,
    open_generations,
    vector_counts,
)
from tests.meanwhile import meanwhile
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub

WAITING = """select exists (select from pg_locks l join pg_database d on d.oid = l.database
  where d.datname = current_database() and l.locktype = 'advisory' and not l.granted)"""


async def test_a_generation_is_built_promoted_and_rolled_back(
    two_models: Serve, deployment: Deployment, chat: Chat
) -> None:
    """A started generation fills by itself; promoted it serves at once, and a roll back brings the other back."""
    async with two_models() as channel:
        operator = Operator(channel, deployment)
        await chat.say([f"text {n}" for n in range(150)])
        await chat.settled()
        started = await operator.start("second")
        assert (started.model, started.dimensions) == ("second", 16)
        assert started.state == pb.GENERATION_STATE_BUILDING
        assert (await operator.start("second")).id == started.id
        last = await operator.watch(started.id)
        assert (last.missing, last.generation.vectors, last.finished) == (0, 150, True)
        assert last.queries_compared == 50
        assert last.recall_at_10 > 0.9
        first = (await operator.listed())["first"]
        assert (await operator.embed("why")).generation_id == first.id
        assert (await operator.promote(started.id)).state == pb.GENERATION_STATE_SERVING
        reply = await operator.embed("why")
        assert (reply.generation_id, len(reply.embedding.values)) == (started.id, 16)
        assert (await operator.embed("why", first.id)).generation_id == first.id
        states = {name: each.state for name, each in (await operator.listed()).items()}
        assert states == {
            "first": pb.GENERATION_STATE_STANDBY,
            "second": pb.GENERATION_STATE_SERVING,
        }
        assert await chat.debt() == (0, 0)
        await chat.say(["one more"])
        await chat.settled()
        await until(lambda: vector_counts(chat, [151, 151]))
        assert (await operator.roll_back(started.id)).id == first.id
        with pytest.raises(grpc.aio.AioRpcError) as again:
            await operator.roll_back(started.id)
        assert again.value.code() is grpc.StatusCode.ABORTED
        assert again.value.details() == f"generation {started.id} does not serve"
        assert (await operator.embed("why")).generation_id == first.id
        assert await chat.debt() == (0, 0)


async def test_an_incomplete_generation_is_not_promoted(
    two_models: Serve, deployment: Deployment, chat: Chat
) -> None:
    """A promotion is refused while any workspace lacks a vector, and says how many; force overrules it."""
    async with two_models() as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one", "two"])
        await chat.settled()
        started = await operator.start("second")
        await operator.watch(started.id)
        await chat.admin.execute(
            "delete from embedder.vector where generation_id = $1", UUID(started.id)
        )
        # In the same breath, before anything can mend it.
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.promote(started.id)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "lacks 2 vectors" in str(caught.value.details())
        assert (await operator.listed())["second"].state == pb.GENERATION_STATE_BUILDING
        assert (await operator.promote(started.id, force=True)).state == pb.GENERATION_STATE_SERVING
        await chat.settled()


async def test_a_retired_generation_leaves_nothing(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The serving generation cannot be retired; another one loses its tasks and its partition, also after a restart."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model, reconciling=True) as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one", "two"])
        await chat.settled()
        second = await operator.start("second")
        await operator.watch(second.id)
        first = (await operator.listed())["first"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.retire(first.id)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        await operator.promote(second.id)
        assert (await operator.retire(first.id)).state == pb.GENERATION_STATE_RETIRED
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.promote(first.id, force=True)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.embed("why", first.id)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    specs = await chat.admin.fetch("select spec from spine.task where stage = 'embed'")
    assert [row["spec"] for row in specs if first.id in row["spec"]] == []
    # as an early release left it, which did not keep the time
    await chat.admin.execute("update embedder.generation set retired_at = null")
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        upkeep = Upkeep(
            database,
            await open_generations(database),
            Shelf(open_model),
            Outages(),
            3600,
        )
        assert await upkeep.drop_retired() == [UUID(first.id)]
        assert await upkeep.drop_retired() == []
    assert await chat.admin.fetchval("select count(*) from embedder.vector") == 2
    async with embedder.serving(open_model, reconciling=True) as channel:
        operator = Operator(channel, deployment)
        await chat.say(["three"])
        await chat.settled()
        states = {name: each.state for name, each in (await operator.listed()).items()}
        assert states["first"] == pb.GENERATION_STATE_RETIRED
        again = await operator.start("first")
        assert again.id != first.id
        assert (await operator.watch(again.id)).generation.vectors == 3


async def test_a_backfill_ends_with_its_generation(
    two_models: Serve, deployment: Deployment, chat: Chat
) -> None:
    """Who watches a backfill of a generation that is retired meanwhile is told so, and waits no longer."""
    async with two_models() as channel:
        operator, stub = Operator(channel, deployment), EmbedderServiceStub(channel)
        await chat.say(["one"])
        await chat.settled()
        second = await operator.start("second")
        await operator.watch(second.id)
        await stub.PauseBackfill(pb.PauseBackfillRequest(paused=True), metadata=deployment.metadata)
        await chat.say(["two"])
        request = pb.BackfillRequest(generation_id=second.id)
        replies = aiter(stub.Backfill(request, metadata=deployment.metadata, timeout=60))
        assert (await anext(replies)).remaining == 1
        await operator.retire(second.id)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            _ = [reply async for reply in replies]
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert f"no live generation {second.id}" in str(caught.value.details())


async def test_every_replica_closes_the_models_that_are_not_used(
    embedder: Embedder, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of a retired generation is closed by all who have it open, not only by who drops its vectors."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    monkeypatch.setenv("WINNOW_EMBED_RETIRED_SECONDS", "0")
    hours = itertools.count(step=3600)
    async with (
        embedder.serving(open_model, reconciling=True) as channel,
        Database.open(DatabaseSettings.read(), "winnow_embedder") as database,
    ):
        operator = Operator(channel, deployment)
        second = await operator.start("second")
        shelf = Shelf(open_model, lambda: next(hours))
        replica = Upkeep(database, await open_generations(database), shelf, Outages(), 3600)

        async def are_open(*names: str) -> bool:
            digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in MODELS}
            return {name for name in MODELS if shelf.model(digests[name])} == set(names)

        async with meanwhile(replica.follow()):
            await until(lambda: are_open("first", "second"))
            await operator.retire(second.id)
            partition = "select to_regclass('embedder.' || embedder.partition_of($1)) is null"
            await until(lambda: deployment.admin.fetchval(partition, UUID(second.id)))
            await until(lambda: are_open("first"))
        await shelf.keep(())


async def test_other_prefixes_are_another_generation(
    two_models: Serve, deployment: Deployment, chat: Chat
) -> None:
    """The same model with another prefix has vectors of its own."""
    async with two_models() as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one"])
        await chat.settled()
        started = await operator.start("first", passage_prefix="other: ")
        assert (started.passage_prefix, started.query_prefix) == ("other: ", "1: ")
        assert (await operator.watch(started.id)).generation.vectors == 1


async def test_a_retired_generation_stays_so_beside_another_of_its_model(
    two_models: Serve, deployment: Deployment, chat: Chat
) -> None:
    """A start begins no generation anew that was retired, though its model serves with other prefixes."""
    async with two_models() as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one"])
        await chat.settled()
        first = (await operator.listed())["first"]
        other = await operator.start("first", passage_prefix="other: ")
        await operator.watch(other.id)
        await operator.promote(other.id)
        await operator.retire(first.id)
    async with two_models():
        states = await chat.admin.fetch("select id, state from embedder.generation order by id")
    assert [(str(row["id"]), row["state"]) for row in states] == [
        (first.id, "retired"),
        (other.id, "serving"),
    ]


async def test_a_model_that_became_another_is_not_used(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that gives another length under the old name costs no task its life, and is named when asked."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model, reconciling=True) as channel:
        second = await Operator(channel, deployment).start("second")
    monkeypatch.setitem(MODELS, "second", fake_models(FakeEncoder(12), "second", "2: "))
    async with embedder.serving(open_model, reconciling=True) as channel:
        operator = Operator(channel, deployment)
        await chat.say(["one"])
        await until(lambda: vector_counts(chat, [1]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.embed("why", second.id)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await operator.start("second")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "16 dimensions, not 12" in str(caught.value.details())
        await until(lambda: waits_for_its_model(chat))


async def waits_for_its_model(chat: Chat) -> bool:
    """Whether the one task that is left waits, untried, for the model that its generation lacks."""
    left = [(r["state"], r["attempts"], r["error_class"]) for r in await chat.unfinished()]
    return left == [("ready", 0, "model_missing")]


async def test_who_is_in_the_way_of_forgetting_only_delays_it(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deadlock over the tasks of a retired generation is begun anew, instead of ending the process."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model, reconciling=True) as channel:
        second = await Operator(channel, deployment).start("second")
    await chat.say(["one", "two"])
    await chat.admin.execute("select embedder.retire_generation($1)", UUID(second.id))
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        upkeep = Upkeep(
            database,
            await open_generations(database),
            Shelf(open_model),
            Outages(),
            0,
        )
        async with chat.admin.transaction():
            first_task, last_task = await chat.admin.fetch(
                "select id from spine.task where spec like $1 order by id", f"%{second.id}%"
            )
            locking = "select from spine.task where id = $1 for update"
            await chat.admin.execute(locking, last_task["id"])
            dropping = asyncio.create_task(upkeep.drop_retired())
            await until(
                lambda: chat.admin.fetchval(
                    "select exists (select from pg_locks where not granted)"
                )
            )
            await chat.admin.execute(locking, first_task["id"])
        assert await dropping == [UUID(second.id)]


async def test_who_reads_vectors_for_long_is_not_asked_again_at_once(
    embedder: Embedder, deployment: Deployment, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits to drop a generation keeps searches waiting: while a backup reads, it does so once a minute."""
    monkeypatch.setenv("WINNOW_EMBEDDING_MODEL", "first")
    async with embedder.serving(open_model, reconciling=True) as channel:
        second = await Operator(channel, deployment).start("second")
    await chat.admin.execute("select embedder.retire_generation($1)", UUID(second.id))
    now = 0.0
    async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
        parts = (await open_generations(database), Shelf(open_model), Outages())
        upkeep = Upkeep(database, *parts, 0, lambda: now)
        async with chat.admin.transaction():
            await chat.admin.execute("lock table embedder.vector in access share mode")
            with pytest.raises(LockedTooLong):
                await upkeep.drop_retired()
            now = 59.0
            assert await upkeep.drop_retired() == []
            now = 60.0
            with pytest.raises(LockedTooLong):
                await upkeep.drop_retired()
        now = 120.0
        assert await upkeep.drop_retired() == [UUID(second.id)]


async def test_nobody_reads_half_a_promotion(
    two_models: Serve, deployment: Deployment, chat: Chat
) -> None:
    """However often generations are switched, at every moment exactly one serves and it has all vectors."""
    async with two_models() as channel:
        operator = Operator(channel, deployment)
        await chat.say([f"text {n}" for n in range(50)])
        await chat.settled()
        second = await operator.start("second")
        await operator.watch(second.id)
        first = (await operator.listed())["first"]
        seen: list[tuple[int, int]] = []
        stop = asyncio.Event()

        async def sample() -> None:
            async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
                while not stop.is_set():
                    async with database.transaction(chat.workspace) as connection:
                        row = await connection.fetchrow(
                            """select count(distinct g.id) as generations, count(v.*) as vectors
                               from embedder.generation g left join embedder.vector v on v.generation_id = g.id
                               where g.state = 'serving'"""
                        )
                    seen.append((row["generations"], row["vectors"]))

        async def is_sampling() -> bool:
            return bool(seen)

        sampling = asyncio.create_task(sample())
        await until(is_sampling)
        for _ in range(5):
            await operator.promote(second.id)
            await operator.promote(first.id)
        stop.set()
        await sampling
    assert set(seen) == {(1, 50)}


async def test_a_workspace_decides_nothing_for_the_others(
    deployment: Deployment, two_models: Serve
) -> None:
    """Which model serves is changed with the scope `operate` alone; the other scopes see the generations."""
    key = mint_key()
    await store_key(deployment.admin, "test", "team", key, WORKSPACE_SCOPES)
    metadata = (("authorization", f"Bearer {key.text}"),)
    async with two_models() as channel:
        stub = EmbedderServiceStub(channel)
        listed = await stub.ListGenerations(pb.ListGenerationsRequest(), metadata=metadata)
        which = {"generation_id": listed.generations[0].id}
        for call in (
            stub.StartGeneration(pb.StartGenerationRequest(model="second"), metadata=metadata),
            stub.PromoteGeneration(pb.PromoteGenerationRequest(**which), metadata=metadata),
            stub.RollBackGeneration(pb.RollBackGenerationRequest(), metadata=metadata),
            stub.RetireGeneration(pb.RetireGenerationRequest(**which), metadata=metadata),
            stub.ResumeBackfills(pb.ResumeBackfillsRequest(), metadata=metadata),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
