"""Conversations that become knowledge through the real stages, over an engine and a model that a test foretells."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import numpy as np

from services.common.bus import Bus, BusSettings
from services.common.database import Database, DatabaseSettings
from services.common.outbox import TaskStore, complete
from services.common.relay import Relay, RelaySettings
from services.common.service import serving
from services.common.testing import FakeEncoder, spell
from services.common.vectors import Matrix
from services.common.waiting import end
from services.common.work import Locking
from services.embedder.erasing import EraseStage as EraseVectors
from services.embedder.generation_store import live_generations
from services.embedder.generations import Generations
from services.embedder.outages import Outages
from services.embedder.service import open_service as open_embedder
from services.embedder.subscriptions import EmbedStage
from services.extractor.erasing import EraseStage
from services.extractor.extraction import (
    ATOM_TYPES,
    AtomDraft,
    AtomType,
    Engine,
    Evidence,
    Extraction,
    TopicDraft,
    Window,
)
from services.extractor.merging import MergeStage
from services.extractor.rules import NO_RULE, ApprovalRule
from services.extractor.service import ExtractorSettings, Reader, workers_of
from services.extractor.spending import Spending
from services.extractor.subscriptions import ExtractStage, WindowStage
from services.extractor.windows import WindowLimits
from tests.conftest import Deployment
from tests.embedder.conftest import fake_models

SAID = re.compile(rf"(?:\[(?P<topic>[^\]]+)\] )?(?P<type>{'|'.join(ATOM_TYPES)}): (?P<words>.+)")
DIMENSIONS = 384
DIGEST = hashlib.sha256(b"words").hexdigest()
LIMITS = WindowLimits(settle=timedelta(0))


class WordsEncoder(FakeEncoder):
    """A model whose cosines are the shares of words that texts have in common."""

    def __init__(self) -> None:
        super().__init__(DIMENSIONS)

    async def encode(
        self, token_lists: Sequence[Any], *, urgent: bool = False, can_wait: bool = False
    ) -> Matrix:
        """A direction for each word, and a little of one that all texts share."""
        vectors = [self._of(spell(tokens)) for tokens in token_lists]
        return np.array(vectors, np.float32).reshape(len(vectors), DIMENSIONS)

    def _of(self, text: str) -> Any:
        total = _direction("") * 0.3
        for word in set(re.findall(r"\w+", text.casefold())):
            total = total + _direction(word)
        return (total / np.linalg.norm(total)).astype(np.float32)


def _direction(word: str) -> Any:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    values = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return values / np.linalg.norm(values)


class SayingEngine:
    """Takes every message `[topic] type: words` of a window for an atom, those of its context too."""

    name, version = "saying", "1"

    async def extract(self, window: Window) -> Extraction:
        """Say what the messages say."""
        found = [(message, SAID.fullmatch(message.text)) for message in window.messages]
        said = [(message, match) for message, match in found if match]
        atoms = tuple(
            AtomDraft(
                cast(AtomType, match["type"]),
                match["words"][:80],
                match["words"],
                (Evidence(message.id, message.text, 0, len(message.text)),),
                0.9,
            )
            for message, match in said
        )
        titles = dict.fromkeys(match["topic"] for _, match in said if match["topic"])
        topics = tuple(
            TopicDraft(
                title,
                tuple(message.id for message, match in said if match["topic"] == title),
                tuple(i for i, (_, match) in enumerate(said) if match["topic"] == title),
            )
            for title in titles
        )
        return Extraction(topics, atoms, outcome="ok" if atoms else "empty")


def _ideas(window: Window) -> tuple[AtomDraft, ...]:
    """An atom of every message."""
    return tuple(
        AtomDraft("idea", m.text, m.text, (Evidence(m.id, m.text, 0, len(m.text)),), 0.9)
        for m in window.own
    )


class OpeningEngine:
    """Makes one topic of a window, titled by the first word that is said, and an atom of every message."""

    name, version = "opening", "1"

    async def extract(self, window: Window) -> Extraction:
        """Title by the opening."""
        atoms = _ideas(window)
        ids = tuple(message.id for message in window.own)
        title = window.own[0].text.split()[0]
        return Extraction((TopicDraft(title, ids, tuple(range(len(atoms)))),), atoms, outcome="ok")


class TaggingEngine:
    """Makes a topic of every #tag, with all messages that have it; the atom of a message is of its last one."""

    name, version = "tagging", "1"

    async def extract(self, window: Window) -> Extraction:
        """Sort by tags."""
        atoms = _ideas(window)
        tags = [re.findall(r"#(\w+)", message.text) for message in window.own]
        topics = tuple(
            TopicDraft(
                tag,
                tuple(m.id for m, own in zip(window.own, tags, strict=True) if tag in own),
                tuple(i for i, own in enumerate(tags) if own and own[-1] == tag),
            )
            for tag in sorted({tag for own in tags for tag in own})
        )
        return Extraction(topics, atoms, outcome="ok")


@dataclass
class Atom:
    """A row of the table of atoms with the external ids of the messages it rests on."""

    id: UUID
    title: str
    is_live: bool
    merged_into: UUID | None
    superseded_by: UUID | None
    valid_to: Any
    version: int
    state: str
    messages: list[UUID]


@dataclass
class Knowledge:
    """What a deployment knows, read behind its back, and the stages that make it."""

    deployment: Deployment
    databases: dict[str, Database]
    stages: Sequence[Any]

    async def atoms(self) -> list[Atom]:
        """All atoms in the order they were made."""
        rows = await self.deployment.admin.fetch(
            """select a.id, a.title, a.retired_at is null as is_live, a.merged_into, a.superseded_by, a.valid_to,
                 a.version, a.approval_state as state,
                 array(select e.message_id from extractor.atom_evidence e where e.atom_id = a.id order by 1) as messages
               from extractor.atom a order by a.id"""
        )
        return [Atom(**dict(row)) for row in rows]

    async def live(self) -> dict[str, Atom]:
        """Live atoms by title; two with one title are an error."""
        found = [atom for atom in await self.atoms() if atom.is_live]
        titles = [atom.title for atom in found]
        assert len(set(titles)) == len(titles), f"duplicates among {titles}"
        return {atom.title: atom for atom in found}

    async def links(self) -> set[tuple[str, str, str]]:
        """Links as (from, type, to), atoms by title."""
        rows = await self.deployment.admin.fetch(
            """select f.title as source, l.type, t.title as target from extractor.atom_link l
               join extractor.atom f on f.id = l.from_atom_id join extractor.atom t on t.id = l.to_atom_id"""
        )
        return {(row["source"], row["type"], row["target"]) for row in rows}

    async def settled(self) -> None:
        """Do all work there is, stage by stage; rows and vectors are equal then, and nothing is broken."""
        for _ in range(20):
            if not sum([await self._work(stage) for stage in self.stages]):
                break
        gauges = await self.gauges()
        names = ("vectors_stale", "extractions_inconsistent", "leases_expired")
        assert {name: gauges[name] for name in names} == dict.fromkeys(names, 0)
        assert not await self.bare()
        assert not await self.broken()

    async def bare(self) -> list[Any]:
        """Atoms and topics without a current vector; messages are saved without any here."""
        return list(
            await self.deployment.admin.fetch(
                """select m.* from embedder.generation g, spine.missing_vectors($1, g.id) m
                   where g.state = 'serving' and m.kind <> 'message'""",
                self.deployment.workspace,
            )
        )

    async def _work(self, stage: Any) -> int:
        """Do what is ready in a stage as a worker does; return how much there was."""
        workspace = self.deployment.workspace
        rows = await self.deployment.admin.fetch(
            "select id from spine.task where stage = $1 and state <> 'done' and available_at <= now()",
            stage.name,
        )
        database = self.databases["embedder" if "embed" in stage.name else "extractor"]
        store = TaskStore(database, 60, 5)
        tasks = await store.claim(workspace, stage.name, [row["id"] for row in rows], uuid4())
        if tasks:
            results = await stage.perform(tasks)
            async with database.transaction(workspace) as connection:
                if isinstance(stage, Locking):
                    await stage.lock(connection, workspace, results)
                done = await complete(connection, tasks, [result.count for result in results])
                assert len(done) == len(tasks)
                await stage.write(connection, workspace, results)
        return len(tasks)

    async def gauges(self) -> Any:
        """The reconciliation gauges."""
        workspace = self.deployment.workspace
        return await self.deployment.admin.fetchrow("select * from spine.gauges($1)", workspace)

    async def broken(self) -> list[Any]:
        """Merged atoms that point to one that is merged itself or gone, and evidence that no live atom shows."""
        rows = await self.deployment.admin.fetch(
            """select a.id, 'chain' as why from extractor.atom a
               join extractor.atom c on c.id = a.merged_into
               where c.merged_into is not null or c.retired_at is not null and c.invalidated_at is null
               union all
               select a.id, 'hidden' from extractor.atom a join extractor.atom_evidence e on e.atom_id = a.id
               where a.merged_into is not null and not exists (
                 select from extractor.atom_evidence o
                 where o.atom_id = a.merged_into and o.message_id = e.message_id)"""
        )
        return list(rows)


@asynccontextmanager
async def knowing(
    deployment: Deployment,
    *,
    merges: bool = True,
    rule: ApprovalRule = NO_RULE,
    engine: Engine | None = None,
) -> AsyncIterator[Knowledge]:
    """Lend the stages over real databases, driven by hand; only their engine and model are doubles."""
    names = ("extractor", "embedder")
    async with AsyncExitStack() as stack:
        databases = {
            name: await stack.enter_async_context(
                Database.open(DatabaseSettings.read(), f"winnow_{name}", size=3)
            )
            for name in names
        }
        await deployment.admin.execute(
            "select embedder.open_generation('words', $1, $2, 'mean', '', '')", DIGEST, DIMENSIONS
        )
        stages = _stages(databases, rule, engine or SayingEngine())
        yield Knowledge(deployment, databases, stages if merges else stages[:-1])


def _stages(databases: dict[str, Database], rule: ApprovalRule, engine: Engine) -> list[Any]:
    extractor, embedder = databases["extractor"], databases["embedder"]

    async def read_live() -> Sequence[Any]:
        async with embedder.connection() as connection:
            return await live_generations(connection)

    generations = Generations(read_live, {DIGEST: WordsEncoder()}.get)
    spending = Spending(extractor, 0)
    return [
        WindowStage(LIMITS, engine.version, _nothing),
        EraseStage(engine.version, _nothing),
        ExtractStage(extractor, engine, "", LIMITS, _nothing, spending, rule),
        EmbedStage(embedder, generations, Outages(), _nothing),
        EraseVectors(embedder, _nothing),
        MergeStage(rule, _nothing),
    ]


def _nothing() -> None:
    """Nobody waits for a hint."""


@asynccontextmanager
async def replicas(deployment: Deployment, count: int) -> AsyncIterator[None]:
    """Run the embedder and so many extractors as they run, over their broker; only engine and model are doubles."""
    async with AsyncExitStack() as stack:
        embedder = await stack.enter_async_context(
            open_embedder(fake_models(WordsEncoder(), "words"))
        )
        await stack.enter_async_context(serving(embedder))
        loops: list[asyncio.Task[None]] = []
        for _ in range(count):
            loops += await _extractor(stack)
        try:
            yield
        finally:
            await end(loops)


async def _extractor(stack: AsyncExitStack) -> list[asyncio.Task[None]]:
    database = await stack.enter_async_context(
        Database.open(DatabaseSettings.read(), "winnow_extractor")
    )
    relaying = await stack.enter_async_context(
        Database.open(DatabaseSettings.read(), "winnow_relay", size=2)
    )
    bus = await stack.enter_async_context(Bus.open(BusSettings.read(), "extractor"))
    relay = Relay(relaying, bus, RelaySettings.read())
    reader = Reader(SayingEngine(), "")
    workers = workers_of(ExtractorSettings.read(), reader, database, bus, relay)
    return [asyncio.create_task(run()) for run in (*(w.run for w in workers), relay.run)]
