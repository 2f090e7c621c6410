"""EmbedderService over a real channel."""

import asyncio
from collections.abc import Sequence

import grpc
import numpy as np
import pytest

from services.common.errors import ItemFailed
from services.common.llama import ComputeFailed
from services.common.testing import FakeEncoder, Tokens, spell
from services.common.vectors import Matrix
from services.embedder.embedding import embed_texts
from tests.conftest import Deployment
from tests.embedder.conftest import Chat, Embedder, fake_models, until
from winnow.embedder.v1 import embedder_pb2 as pb
from winnow.embedder.v1.embedder_pb2_grpc import EmbedderServiceStub
from winnow.types.v1 import types_pb2

MESSAGE, TOPIC = types_pb2.SUBJECT_KIND_MESSAGE, types_pb2.SUBJECT_KIND_TOPIC


class Counting(FakeEncoder):
    """Remembers which texts were urgent; others may be held up."""

    def __init__(self, *, held: bool = False) -> None:
        super().__init__(context_tokens=50)
        self.urgent: list[str] = []
        self.released = asyncio.Event()
        if not held:
            self.released.set()

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return the vectors of the fake, ordinary ones once released."""
        if urgent:
            self.urgent += map(spell, token_lists)
        else:
            await self.released.wait()
        return await super().encode(token_lists, urgent=urgent, can_wait=can_wait)


async def expected(text: str) -> list[float]:
    """The vector of a text that already has its prefix."""
    (vectors,) = await embed_texts(Counting(), [text], "")
    return list(vectors.rows[0].tolist())


async def test_roles_have_their_prefixes(embedder: Embedder, deployment: Deployment) -> None:
    """A query is read after the query prefix, a passage after the passage prefix; the default is a query."""
    async with embedder.serving(fake_models(Counting())) as channel:
        stub = EmbedderServiceStub(channel)
        for role, prefix in (
            (pb.TEXT_ROLE_UNSPECIFIED, "q: "),
            (pb.TEXT_ROLE_QUERY, "q: "),
            (pb.TEXT_ROLE_PASSAGE, "p: "),
        ):
            request = pb.EmbedRequest(text="чому?", role=role)
            reply = await stub.Embed(request, metadata=deployment.metadata)
            assert list(reply.embedding.values) == await expected(f"{prefix}чому?")
            assert reply.embedding.tokens == 8
        generations = await stub.ListGenerations(
            pb.ListGenerationsRequest(), metadata=deployment.metadata
        )
    assert reply.generation_id == generations.generations[0].id


async def test_queries_are_urgent_and_remembered(
    embedder: Embedder, deployment: Deployment
) -> None:
    """A query goes by the priority lane, and the same query again does not reach the model."""
    encoder = Counting()
    async with embedder.serving(fake_models(encoder)) as channel:
        stub = EmbedderServiceStub(channel)
        first = await stub.Embed(pb.EmbedRequest(text="why"), metadata=deployment.metadata)
        again = await stub.Embed(pb.EmbedRequest(text="why"), metadata=deployment.metadata)
    assert first == again
    assert encoder.urgent == ["q: why"]


async def test_batches_keep_their_order(embedder: Embedder, deployment: Deployment) -> None:
    """A batch has a vector for each text in the order sent, repeats and remembered ones too."""
    encoder = Counting()
    texts = ["b", "a", "b", "c"]
    async with embedder.serving(fake_models(encoder)) as channel:
        stub = EmbedderServiceStub(channel)
        await stub.Embed(pb.EmbedRequest(text="a"), metadata=deployment.metadata)
        request = pb.EmbedBatchRequest(texts=texts)
        reply = await stub.EmbedBatch(request, metadata=deployment.metadata)
    vectors = [list(embedding.values) for embedding in reply.embeddings]
    assert vectors == [await expected(f"q: {text}") for text in texts]
    assert encoder.urgent == ["q: a", "q: b", "q: c"]


async def test_long_queries_are_pooled(embedder: Embedder, deployment: Deployment) -> None:
    """A text longer than the context is read whole: its vector is the mean of its parts."""
    async with embedder.serving(fake_models(Counting())) as channel:
        stub = EmbedderServiceStub(channel)
        request = pb.EmbedRequest(text="x" * 300)
        reply = await stub.Embed(request, metadata=deployment.metadata)
    (vectors,) = await embed_texts(Counting(), ["x" * 300], "q: ")
    assert len(vectors.rows) > 1
    assert list(reply.embedding.values) == vectors.rows[0].tolist()
    assert abs(np.linalg.norm(reply.embedding.values) - 1) < 1e-5


async def test_backfill(embedder: Embedder, deployment: Deployment, chat: Chat) -> None:
    """A dry run counts what is missing and changes nothing; a backfill leaves nothing, and nothing for the next."""
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        await chat.say([f"text {n}" for n in range(400)])
        topic = await chat.name_topic("Deploys")
        await chat.settled()
        await chat.forget()
        await chat.say([])
        await chat.ask("topic", [topic], [None])
        await until(lambda: _no_open_tasks(chat))
        tasks = await chat.admin.fetchval("select count(*) from spine.task")
        (dry,) = await _backfill(stub, deployment, dry_run=True)
        assert {(count.kind, count.count) for count in dry.missing} == {(MESSAGE, 400), (TOPIC, 1)}
        assert (dry.missing_total, dry.remaining, dry.embedded) == (401, 401, 0)
        assert (dry.model, dry.finished, dry.eta_seconds) == ("fake", True, pytest.approx(4.01))
        assert await chat.debt() == (401, 0)
        assert await chat.admin.fetchval("select count(*) from spine.task") == tasks
        *_, last = await _backfill(stub, deployment, batch_size=100, kinds=[MESSAGE])
        assert (last.missing_total, last.embedded, last.remaining) == (400, 400, 0)
        assert last.finished
        assert await chat.debt() == (1, 0)
        *_, last = await _backfill(stub, deployment)
        assert (last.missing_total, last.embedded) == (1, 1)
        *_, last = await _backfill(stub, deployment)
        assert (last.missing_total, last.embedded, last.eta_seconds) == (0, 0, 0)
    assert len(await chat.vectors()) == 401


async def _backfill(
    stub: EmbedderServiceStub, deployment: Deployment, **fields: object
) -> list[pb.BackfillResponse]:
    call = stub.Backfill(pb.BackfillRequest(**fields), metadata=deployment.metadata)  # type: ignore[arg-type]
    return [reply async for reply in call]


async def _no_open_tasks(chat: Chat) -> bool:
    return not await chat.unfinished()


async def test_backfill_after_362_were_lost(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """362 vectors lost with their tasks are counted exactly, made again, and then there are none."""
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        await chat.say([f"text {n}" for n in range(400)])
        await chat.settled()
        assert await chat.forget(362) == 362
        (dry,) = await _backfill(stub, deployment, dry_run=True)
        assert dry.missing_total == 362
        assert await chat.debt() == (362, 0)
        *_, last = await _backfill(stub, deployment)
        assert (last.missing_total, last.embedded, last.remaining) == (362, 362, 0)
        for dry_run in (True, False):
            *_, last = await _backfill(stub, deployment, dry_run=dry_run)
            assert (last.missing_total, last.embedded, last.remaining) == (0, 0, 0)


async def test_backfill_ends_in_spite_of_dead_tasks(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """What failed too often is counted as dead and does not keep a backfill from ending."""

    class Poisoned(FakeEncoder):
        async def encode(
            self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
        ) -> Matrix:
            if any(spell(tokens) == "p: poison" for tokens in token_lists):
                raise ValueError("cannot read this")
            return await super().encode(token_lists, urgent=urgent, can_wait=can_wait)

    await chat.say(["fine", "poison", "good"])
    async with embedder.serving(fake_models(Poisoned())) as channel:
        stub = EmbedderServiceStub(channel)
        *_, last = await _backfill(stub, deployment)
        assert (last.missing_total, last.embedded, last.remaining, last.dead) == (3, 2, 0, 1)
        (dry,) = await _backfill(stub, deployment, dry_run=True)
        assert (dry.missing_total, dry.remaining, dry.dead) == (1, 0, 1)


async def test_cancelled_backfill_leaves_its_tasks(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """Queries are answered while a backfill runs, and cancelling it leaves the work to be done."""
    encoder = Counting(held=True)
    messages = await chat.say([f"text {n}" for n in range(100)])
    async with embedder.serving(fake_models(encoder)) as channel:
        stub = EmbedderServiceStub(channel)
        call = stub.Backfill(pb.BackfillRequest(batch_size=30), metadata=deployment.metadata)
        first = await call.read()
        assert (first.missing_total, first.remaining, first.finished) == (100, 100, False)
        await until(lambda: _tasks(chat, 100))
        await stub.Embed(pb.EmbedRequest(text="why"), metadata=deployment.metadata, timeout=60)
        call.cancel()
        assert await chat.vectors() == {}
        encoder.released.set()
        await chat.settled()
    assert {subject for subject, _ in await chat.vectors()} == set(messages)


async def _tasks(chat: Chat, count: int) -> bool:
    return bool(await chat.admin.fetchval("select count(*) = $1 from spine.task", count))


async def test_the_slowest_backfill_is_one_all_the_same(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """A rate at which the second text would be due after the end of time makes its task, for years from now."""
    await chat.say(["one", "two"], tasks=False)
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        request = pb.BackfillRequest(rate_per_second=5e-324)
        call = stub.Backfill(request, metadata=deployment.metadata)
        await call.read()
        await until(lambda: _tasks(chat, 2))
        while (await call.read()).remaining != 1:
            pass
        call.cancel()


async def test_other_workspaces_see_nothing(
    embedder: Embedder, deployment: Deployment, chat: Chat
) -> None:
    """A key of another workspace counts no vectors of this one, and its backfill finds nothing missing here."""
    other = await deployment.other_workspace()
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        await chat.say(["secret"])
        await chat.settled()
        for metadata, count in ((deployment.metadata, 1), (other, 0)):
            listed = await stub.ListGenerations(pb.ListGenerationsRequest(), metadata=metadata)
            (generation,) = listed.generations
            assert (generation.vectors, generation.model) == (count, "fake")
            assert generation.state == pb.GENERATION_STATE_SERVING
            assert (generation.dimensions, generation.passage_prefix) == (384, "p: ")
        await chat.forget()
        replies = [r async for r in stub.Backfill(pb.BackfillRequest(), metadata=other)]
        assert [reply.missing_total for reply in replies] == [0] * len(replies)
        assert replies[-1].finished
        assert await chat.debt() == (1, 0)


async def test_generations_come_in_pages(embedder: Embedder, deployment: Deployment) -> None:
    """Generations are listed newest first, a page at a time."""
    for name in ("first", "second", "third"):
        async with embedder.serving(fake_models(FakeEncoder(), name)) as channel:
            stub = EmbedderServiceStub(channel)
    names, token = [], ""
    async with embedder.serving(fake_models(FakeEncoder(), "first")) as channel:
        stub = EmbedderServiceStub(channel)
        while True:
            request = pb.ListGenerationsRequest(page_size=2, page_token=token)
            page = await stub.ListGenerations(request, metadata=deployment.metadata)
            names.append([(generation.model, generation.state) for generation in page.generations])
            token = page.next_page_token
            if not token:
                break
    building, serving = pb.GENERATION_STATE_BUILDING, pb.GENERATION_STATE_SERVING
    assert names == [[("third", building), ("second", building)], [("first", serving)]]


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 16385])
async def test_bad_texts_are_refused(embedder: Embedder, deployment: Deployment, text: str) -> None:
    """An empty text, one with NUL and one that is too long are refused with the name of the field."""
    async with embedder.serving() as channel:
        stub = EmbedderServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Embed(pb.EmbedRequest(text=text), metadata=deployment.metadata)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "text" in (caught.value.details() or "")


@pytest.mark.parametrize(
    "failure", [None, ItemFailed("refused", "HTTP 400"), ComputeFailed("llama.cpp failed")]
)
async def test_unusable_answers_are_the_models_fault(
    embedder: Embedder, deployment: Deployment, failure: Exception | None
) -> None:
    """A query whose vector is not usable, or is refused, fails as MODEL_UNAVAILABLE, not as a defect or an answer."""

    class Broken(FakeEncoder):
        async def encode(
            self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
        ) -> Matrix:
            if failure is not None:
                raise failure
            return np.full((len(token_lists), self.dimensions), np.nan, np.float32)

    async with embedder.serving(fake_models(Broken())) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await EmbedderServiceStub(channel).Embed(
                pb.EmbedRequest(text="why"), metadata=deployment.metadata
            )
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
