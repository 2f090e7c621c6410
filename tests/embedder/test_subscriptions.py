"""The stage `embed` over a real database and bus: rows and vectors are equal, whatever happens."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from uuid import UUID

import asyncpg
import nats
import numpy as np
import pytest

from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Database, DatabaseSettings
from services.common.testing import FakeEncoder, Tokens, spell
from services.common.vectors import Matrix, from_halfvec
from services.embedder.embedding import ListsFailed, Unread, embed_texts
from tests.embedder.conftest import SENT_AT, Chat, Embedder, fake_models, sha256, until
from winnow.events.v1.events_pb2 import Event


class Recorder(FakeEncoder):
    """Remembers the texts of each call."""

    def __init__(self, context_tokens: int = 512) -> None:
        super().__init__(context_tokens=context_tokens)
        self.calls: list[list[str]] = []

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return the vectors of the fake."""
        self.calls.append([spell(tokens) for tokens in token_lists])
        return await super().encode(token_lists, urgent=urgent, can_wait=can_wait)


class Poisoned(Recorder):
    """Fails whenever the poison is among the texts."""

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return vectors, or raise."""
        vectors = await super().encode(token_lists, urgent=urgent, can_wait=can_wait)
        if any("poison" in text for text in self.calls[-1]):
            raise ValueError("cannot read this")
        return vectors


class Spoiling(FakeEncoder):
    """Answers with vectors that must not be stored."""

    def __init__(self, flaw: str) -> None:
        super().__init__()
        self._flaw = flaw

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return vectors with the flaw."""
        vectors = await super().encode(token_lists, urgent=urgent, can_wait=can_wait)
        spoilt = {
            "nan": vectors * np.float32("nan"),
            "zeros": vectors * 0,
            "long": vectors * 3,
            "dimensions": vectors[:, :-1],
            "short": vectors[:-1],
        }
        return spoilt[self._flaw]


class Interrupted(FakeEncoder):
    """Comes to the first text of a call alone."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return the vectors of the fake, or that of the first text."""
        vectors = await super().encode(token_lists)
        self.calls += 1
        if len(token_lists) == 1:
            return vectors
        vectors[1:] = 0
        raise ListsFailed(vectors, {place: Unread() for place in range(1, len(token_lists))})


class Slow(FakeEncoder):
    """Does not answer for the text "old" until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.released = asyncio.Event(), asyncio.Event()

    async def encode(
        self, token_lists: Sequence[Tokens], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """Return the vectors of the fake, in time."""
        if spell(token_lists[0]) == "p: old":
            self.entered.set()
            await self.released.wait()
        return await super().encode(token_lists, urgent=urgent, can_wait=can_wait)


async def test_message_becomes_vector(embedder: Embedder, chat: Chat) -> None:
    """A message that is saved gets the vector of its text after the passage prefix, and what filters need."""
    async with embedder.serving():
        (message,) = await chat.say(["Хто зламав деплой?"])
        await chat.settled()
        connection = chat.admin
        await connection.set_type_codec(
            "halfvec", schema="public", encoder=bytes, decoder=bytes, format="binary"
        )
        row = await connection.fetchrow("select * from embedder.vector")
    (expected,) = await embed_texts(FakeEncoder(), ["Хто зламав деплой?"], "p: ")
    assert (row["subject_id"], row["kind"], row["part"]) == (message, "message", 0)
    assert (row["source_id"], row["sent_at"]) == (chat.source, SENT_AT)
    assert float(from_halfvec(row["embedding"]) @ expected.rows[0]) > 0.999


async def test_every_kind_has_vectors(embedder: Embedder, chat: Chat) -> None:
    """Messages, atoms and topics are all embedded; a message without text is not."""
    ids = await chat.say(["hello", ""], tasks=False)
    await chat.ask("message", ids[:1], [sha256("hello")])
    atom, topic = await chat.learn("Pin it", "Pin the version."), await chat.name_topic("Deploys")
    async with embedder.serving(reconciling=True):
        await chat.settled()
    assert {subject for subject, _ in await chat.vectors()} == {ids[0], atom, topic}


async def test_long_text_has_a_row_a_part(embedder: Embedder, chat: Chat) -> None:
    """A text longer than the context has its whole and its parts; after a shorter edit only the whole is left."""
    encoder = Recorder(context_tokens=50)
    async with embedder.serving(fake_models(encoder)):
        (message,) = await chat.say(["x" * 120])
        await chat.settled()
        assert sorted(part for _, part in await chat.vectors()) == [0, 1, 2, 3]
        counts = await chat.admin.fetchval("select result_count from spine.task")
        assert counts == 4
        await chat.edit(message, "y")
        await chat.settled()
        assert await chat.vectors() == {(message, 0): sha256("y")}


async def test_edits_and_deletes(embedder: Embedder, chat: Chat) -> None:
    """An edited text has the vector of its new text alone, and a deleted message none, also when it comes back."""
    async with embedder.serving():
        first, second = await chat.say(["one", "two"])
        await chat.settled()
        await chat.edit(first, "uno")
        await chat.delete([second])
        await chat.settled()
        assert await chat.vectors() == {(first, 0): sha256("uno")}
        await chat.edit(first, "one")
        await chat.settled()
        assert await chat.vectors() == {(first, 0): sha256("one")}


async def test_random_history(embedder: Embedder, chat: Chat) -> None:
    """After any history of messages, edits and deletes, rows and vectors are equal."""
    dice = random.Random(7)
    live: dict[object, str] = {}
    async with embedder.serving():
        for step in range(120):
            action = dice.random()
            if action < 0.4 or not live:
                texts = [f"text {dice.randrange(40)}" for _ in range(dice.randrange(1, 30))]
                live |= zip(await chat.say(texts), texts, strict=True)
            elif action < 0.75:
                message = dice.choice(list(live))
                live[message] = f"text {dice.randrange(40)} of {step % 5}"
                await chat.edit(message, live[message])
            else:
                message = dice.choice(list(live))
                del live[message]
                await chat.delete([message])
            if step % 20 == 0:
                await asyncio.sleep(0.05)
        await chat.settled()
        assert await chat.vectors() == {(m, 0): sha256(text) for m, text in live.items()}


async def test_equal_texts_are_read_once(embedder: Embedder, chat: Chat) -> None:
    """Texts that are equal within a batch reach the model once and get the same vector."""
    encoder = Recorder()
    await chat.say(["+1"] * 60)
    async with embedder.serving(fake_models(encoder)):
        # Nothing was live when the messages came, so their tasks come from what is missing.
        await chat.ask("message", *await _missing(chat))
        await chat.settled()
    assert encoder.calls == [["p: +1"]]
    assert len(await chat.vectors()) == 60


async def _missing(chat: Chat) -> tuple[list[object], list[bytes]]:
    rows = await chat.admin.fetch("select id, text_sha256 from ingest.message")
    return [row["id"] for row in rows], [row["text_sha256"] for row in rows]


async def test_poison_is_isolated(embedder: Embedder, chat: Chat) -> None:
    """One text in 64 that always fails is tried five times, at the end alone, and nobody else lacks their vector."""
    encoder = Poisoned()
    async with embedder.serving(fake_models(encoder)):
        texts = [f"text {n}" for n in range(64)]
        texts[31] = "poison"
        messages = await chat.say(texts)
        await until(lambda: _dead(chat, 1))
        (dead,) = await chat.unfinished()
    assert (dead["subject_id"], dead["attempts"]) == (messages[31], 5)
    assert dead["error_class"] == "ValueError"
    assert {subject for subject, _ in await chat.vectors()} == {*messages} - {messages[31]}
    together = [call for call in encoder.calls if "p: poison" in call and len(call) > 1]
    assert len(encoder.calls) <= 13 + 4
    assert len(together) == 6


async def test_what_an_attempt_did_not_come_to_is_tried_again(
    embedder: Embedder, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that was left for later is not at fault: however often that happens its task lives, and is done."""
    monkeypatch.setenv("WINNOW_TASK_ATTEMPTS_MAX", "2")
    encoder = Interrupted()
    async with embedder.serving(fake_models(encoder)):
        messages = await chat.say([f"text {n}" for n in range(4)])
        await chat.settled()
    assert {subject for subject, _ in await chat.vectors()} == set(messages)
    assert encoder.calls == 4


async def test_poison_is_isolated_at_every_place(
    embedder: Embedder, chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in a batch of 64 the poison is, 13 calls at most find it: 63 vectors, and one task that is dead."""
    monkeypatch.setenv("WINNOW_TASK_ATTEMPTS_MAX", "1")
    monkeypatch.setenv("WINNOW_EMBED_HINTS_MAX", "1")
    monkeypatch.setenv("WINNOW_RELAY_HINTS_MAX", "64")
    async with embedder.serving():
        pass
    poison, healthy = set[UUID](), set[UUID]()
    for batch in range(64):
        texts = [f"{batch}: text {n}" for n in range(64)]
        texts[batch] = f"{batch}: poison"
        messages = await chat.say(texts)
        poison.add(messages[batch])
        healthy |= {*messages} - poison
    encoder = Poisoned()
    async with embedder.serving(fake_models(encoder)):
        await until(lambda: _dead(chat, 64))
    assert {row["subject_id"] for row in await chat.unfinished()} == poison
    assert {subject for subject, _ in await chat.vectors()} == healthy
    calls = Counter(call[0].removeprefix("p: ").partition(":")[0] for call in encoder.calls)
    assert (len(calls), max(calls.values())) == (64, 13)


async def _dead(chat: Chat, count: int) -> bool:
    return [row["state"] for row in await chat.unfinished()] == ["dead"] * count


@pytest.mark.parametrize("flaw", ["nan", "zeros", "long", "dimensions", "short"])
async def test_bad_vectors_are_not_stored(embedder: Embedder, chat: Chat, flaw: str) -> None:
    """Whatever a model answers, only finite unit vectors of the right shape are stored; the tasks die visibly."""
    async with embedder.serving(fake_models(Spoiling(flaw))):
        await chat.say(["one", "two"])
        await until(lambda: _dead(chat, 2))
    assert {row["error_class"] for row in await chat.unfinished()} == {"unusable_vectors"}
    assert await chat.vectors() == {}


async def test_two_workspaces_at_once(embedder: Embedder, chat: Chat) -> None:
    """Tasks of two workspaces in one batch of hints end in the vectors of each, and of no other."""
    workspace = await store_key(chat.admin, "other", "test", mint_key(), SCOPES)
    other = await Chat(chat.admin, workspace).open()
    async with embedder.serving():
        (first,) = await chat.say(["mine"])
        (second,) = await other.say(["theirs"])
        await chat.settled()
        await other.settled()
    assert await chat.vectors() == {(first, 0): sha256("mine")}
    assert await other.vectors() == {(second, 0): sha256("theirs")}


async def test_tasks_of_a_retired_generation_end(embedder: Embedder, chat: Chat) -> None:
    """A task of a generation that is not live completes with no rows."""
    async with embedder.serving():
        (message,) = await chat.say(["text"])
        await chat.settled()
        generation = "018f0000-0000-7000-8000-000000000000"
        await chat.admin.execute(
            "select spine.enqueue($1, 'embed', $2, $3)",
            chat.workspace,
            [message],
            [f"message:{generation}:{sha256('text').hex()}"],
        )
        await until(lambda: _all_done(chat))
    rows = await chat.admin.fetch("select result_count from spine.task order by id")
    assert [row["result_count"] for row in rows] == [1, 0]


async def _all_done(chat: Chat) -> bool:
    return not await chat.unfinished()


async def test_malformed_specs_die(embedder: Embedder, chat: Chat) -> None:
    """A spec that nothing makes is not completed silently: its task dies and says why."""
    async with embedder.serving():
        await chat.admin.execute(
            "select spine.enqueue($1, 'embed', $2, $3)", chat.workspace, [chat.source], ["what"]
        )
        await until(lambda: _dead(chat, 1))
    assert [row["error_class"] for row in await chat.unfinished()] == ["malformed_spec"]


async def test_written_vectors_are_announced(embedder: Embedder, chat: Chat, nats_url: str) -> None:
    """Every vector that is stored is announced once, with its generation, kind and subject."""
    async with embedder.serving():
        messages = await chat.say([f"text {n}" for n in range(5)])
        topic = await chat.name_topic("Topic")
        await chat.settled()
        client = await nats.connect(nats_url)
        subscription = await client.jetstream().subscribe("winnow.events.>")
        announced: list[tuple[int, str]] = []
        while len(announced) < 6:
            event = Event.FromString((await subscription.next_msg(timeout=60)).data)
            fact = event.vectors_written
            announced += [(fact.kind, subject) for subject in fact.subject_ids]
        await client.close()
    assert sorted(announced) == [(1, str(m)) for m in sorted(messages)] + [(3, str(topic))]


async def test_a_slow_write_never_wins_over_a_newer_text(embedder: Embedder, chat: Chat) -> None:
    """A batch whose text is edited while it is encoded stores nothing of the old text."""
    encoder = Slow()
    async with embedder.serving(fake_models(encoder)):
        (message,) = await chat.say(["old"])
        await encoder.entered.wait()
        await chat.edit(message, "new")
        await until(lambda: _has(chat, {(message, 0): sha256("new")}))
        encoder.released.set()
        await chat.settled()
        assert await chat.vectors() == {(message, 0): sha256("new")}
        assert await chat.admin.fetchval("select count(*) from spine.event") == 0


async def test_vectors_that_came_meanwhile_are_replaced(embedder: Embedder, chat: Chat) -> None:
    """A subject without a vector when its batch was read, and with some when it is written, ends with its own alone."""
    encoder = Slow()
    async with embedder.serving(fake_models(encoder)):
        (message,) = await chat.say(["old"])
        await encoder.entered.wait()
        await chat.admin.execute(
            """insert into embedder.vector (workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding,
                 source_id, sent_at)
               select $1, g.id, 'message', $2, part, $3, array_fill(0.1, array[g.dimensions])::halfvec, $4, $5
               from embedder.generation g, generate_series(0, 2) part""",
            chat.workspace,
            message,
            sha256("other"),
            chat.source,
            SENT_AT,
        )
        encoder.released.set()
        await chat.settled()
    assert await chat.vectors() == {(message, 0): sha256("old")}
    task = await chat.admin.fetchrow("select attempts, result_count from spine.task")
    assert tuple(task) == (1, 1)


async def _has(chat: Chat, vectors: object) -> bool:
    return await chat.vectors() == vectors


async def test_a_removal_waits_for_writers(embedder: Embedder, chat: Chat) -> None:
    """A removal that runs beside an open write of the same workspace sees the rows of that write."""
    async with embedder.serving():
        (message,) = await chat.say(["text"])
        await chat.settled()
        async with Database.open(DatabaseSettings.read(), "winnow_embedder") as database:
            async with database.transaction(chat.workspace) as connection:
                await connection.execute(
                    "select pg_advisory_xact_lock_shared(hashtextextended('embedder.vector:' || $1, 0))",
                    str(chat.workspace),
                )
                await chat.delete([message])
                await until(lambda: _someone_waits(chat.admin))
                assert await chat.vectors() != {}
            await chat.settled()
    assert await chat.vectors() == {}


async def _someone_waits(admin: asyncpg.Connection) -> bool:
    return bool(await admin.fetchval("select count(*) from pg_locks where not granted"))
