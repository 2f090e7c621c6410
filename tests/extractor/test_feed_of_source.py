"""Following one source or kind: what is told is what a plain filter leaves of all changes, and the rest is not read."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common.database import Connection, Database, DatabaseSettings
from services.extractor import feed
from services.extractor.feed import Feed, Wanted
from tests.conftest import Deployment

SOURCES = [uuid4(), uuid4(), uuid4()]
MANY = 12_000
SECONDS = 60
READ = """select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) as rows
          from pg_stat_xact_user_tables where schemaname in ('extractor', 'ingest')"""


SOURCE = """insert into ingest.source (workspace_id, id, kind, external_id)
            select $1, s, 'api', s::text from unnest($2::uuid[]) s"""
MESSAGE = """insert into ingest.message (workspace_id, id, source_id, external_id, text, sent_at, content_sha256,
               text_sha256, importance_score, importance_label, importance_factors, importance_version)
             select $1, s, s, 'm', 'hello', now(), sha256('a'), sha256('a'), 0.5, 'weak', '{}', 'x'
             from unnest($2::uuid[]) s"""
WINDOW = """insert into extractor.conversation_window (workspace_id, id, source_id, thread_id, closed_by,
              first_sent_at, last_sent_at, message_count, noise_count)
            values ($1, $1, $2, '', 'idle', now(), now(), 1, 0)"""
TOPIC = """insert into extractor.topic (workspace_id, source_id, title, title_key, text_sha256)
           select $1, $2, 't', uuidv7()::text, sha256('t') from generate_series(1, $3) returning id"""
ATOM = """insert into extractor.atom (workspace_id, source_id, window_id, type, title, content, text_sha256,
            confidence, valid_from) values ($1, $2, $1, 'idea', 't', 'c', sha256('a'), 0.5, now()) returning id"""
EVIDENCE = """insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset,
                via_atom_id) values ($1, $2, $3, 0, 'h', 0, $4)"""
DISCUSSED = """insert into extractor.topic_message (workspace_id, topic_id, message_id, window_id)
               values ($1, $2, $3, $1)"""
FATES = {
    "lives": "version = version",
    "is rejected": "approval_state = 'rejected'",
    "is retired": "retired_at = now()",
    "is invalidated": "retired_at = now(), invalidated_at = now()",
    "is merged": "retired_at = now(), merged_into = $2, merged_by = 'person'",
}


async def add_sources(admin: asyncpg.Connection, workspace: UUID) -> None:
    """Put the sources, a message in each, whose id is that of its source, and a window."""
    for query in (SOURCE, MESSAGE):
        await admin.execute(query, workspace, SOURCES)
    await admin.execute(WINDOW, workspace, SOURCES[0])


async def add_topics(
    admin: asyncpg.Connection, workspace: UUID, source: UUID, count: int
) -> list[UUID]:
    """Put live topics of a source."""
    return [row["id"] for row in await admin.fetch(TOPIC, workspace, source, count)]


async def make(deployment: Deployment, chance: random.Random) -> dict[UUID, set[UUID] | None]:
    """Atoms and topics in any order, with the sources that each has something of, or None where it is gone."""
    admin, workspace = deployment.admin, deployment.workspace
    await add_sources(admin, workspace)
    # What was said in the last source is deleted later: nothing has anything of it but what is of the source itself.
    deleted = SOURCES[2]
    made: dict[UUID, set[UUID] | None] = {}
    kept = await admin.fetchval(ATOM, workspace, SOURCES[0])
    made[kept] = {SOURCES[0]}
    for _ in range(40):
        source, other = chance.choice(SOURCES), chance.choice(SOURCES)
        atom = await admin.fetchval(ATOM, workspace, source)
        lender = chance.choice((kept, None))
        await admin.execute(EVIDENCE, workspace, atom, other, lender)
        fate = chance.choice(("lives", "lives", *FATES))
        place = [atom, kept] if fate == "is merged" else [atom]
        await admin.execute(f"update extractor.atom set {FATES[fate]} where id = $1", *place)
        is_live = fate in ("lives", "is rejected")
        made[atom] = {source, *({other} - {deleted} if lender else ())} if is_live else None
        source, other = chance.choice(SOURCES), chance.choice(SOURCES)
        [topic] = await add_topics(admin, workspace, source, 1)
        await admin.execute(DISCUSSED, workspace, topic, other)
        made[topic] = {source, *({other} - {deleted})}
        if chance.random() < 0.2:
            query = "update extractor.topic set retired_at = now() where id = $1"
            await admin.execute(query, topic)
            made[topic] = None
    await admin.execute("update ingest.message set deleted_at = now() where id = $1", deleted)
    return made


@asynccontextmanager
async def opened() -> AsyncIterator[Database]:
    """The database as the extractor sees it."""
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        yield database


@pytest.mark.parametrize(("at_once", "looks"), [(3, 7), (1, 1), (5, 1000)])
async def test_what_is_told_is_what_a_plain_filter_leaves(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, at_once: int, looks: int
) -> None:
    """Of a source and kinds it is all that lives there by its own or borrowed messages, and what is gone, in order."""
    monkeypatch.setattr(feed, "CHANGES_MAX", at_once)
    monkeypatch.setattr(feed, "LOOKS_MAX", looks)
    made = await make(deployment, random.Random(73))
    query = "select kind, subject_id as id, position from extractor.feed order by position"
    changes = await deployment.admin.fetch(query)
    assert {row["id"] for row in changes} == made.keys()
    async with opened() as database:
        for source, kinds in product((None, *SOURCES, uuid4()), ([], ["atom"], ["topic"])):
            wanted = [
                (row["position"], row["id"], made[row["id"]] is None)
                for row in changes
                if (not kinds or row["kind"] in kinds)
                and (source is None or source in (made[row["id"]] or {source}))
            ]
            following = Feed(database, poll_seconds=3600).follow(
                deployment.workspace, 0, Wanted(kinds, source)
            )
            told = []
            for _ in wanted:
                change = await asyncio.wait_for(anext(following), SECONDS)
                of = change.WhichOneof("change") or ""
                told.append((int(change.cursor), UUID(getattr(change, of).id), of == "removal"))
            assert told == wanted, (source, kinds)
            await following.aclose()  # type: ignore[attr-defined]


class Watched:
    """A database that counts its snapshots, and what rows of each table were read in the last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.snapshots = 0
        self.read: dict[str, int] = {}

    @asynccontextmanager
    async def snapshot(self, workspace: UUID) -> AsyncIterator[Connection]:
        """Lend a connection as the database does."""
        async with self._database.snapshot(workspace) as connection:
            yield connection
            self.snapshots += 1
            rows = await connection.fetch(READ)
            self.read = {row["relname"]: row["rows"] for row in rows}


async def test_one_of_many_is_told_without_reading_the_rest(deployment: Deployment) -> None:
    """What is rare comes after a few looks, and none of what was looked at is looked at again while nothing happens."""
    admin, workspace = deployment.admin, deployment.workspace
    await add_sources(admin, workspace)
    await add_topics(admin, workspace, SOURCES[0], MANY)
    rare = await add_topics(admin, workspace, SOURCES[1], 2)
    async with opened() as database:
        watched: Any = Watched(database)
        wanted = Wanted(["topic"], SOURCES[1])
        following = Feed(watched, poll_seconds=0.01).follow(workspace, 0, wanted)
        for each in rare:
            change = await asyncio.wait_for(anext(following), SECONDS)
            assert UUID(change.topic.id) == each
        assert watched.snapshots == 2
        told = asyncio.ensure_future(anext(following))
        async with asyncio.timeout(SECONDS):
            # A transaction of PostgreSQL's own, which analyses what is new, keeps the last of it unsettled meanwhile.
            while watched.snapshots < 4 or watched.read.get("feed", 0):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        [last] = await add_topics(admin, workspace, SOURCES[1], 1)
        assert UUID((await told).topic.id) == last
        await following.aclose()  # type: ignore[attr-defined]
