"""What is listed, page by page, against its definition."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.extractor import library

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SOURCES = [uuid4(), uuid4()]
HISTORIES = 8
SHOWN = (
    "id",
    "source_id",
    "title",
    "version",
    "atom_count",
    "message_count",
    "first_at",
    "last_at",
)


class History:
    """A workspace in which topics and messages come and go at random, on few moments, so that many are equal."""

    def __init__(self, admin: asyncpg.Connection, seed: int) -> None:
        self._admin, self._random = admin, random.Random(seed)
        self.workspace = uuid4()
        self._minutes = self._random.choice((3, 200))
        self._topics: list[UUID] = []
        self._messages: list[UUID] = []

    @property
    def middle(self) -> datetime:
        """A moment before which about half of it was said."""
        return BEGIN + timedelta(minutes=self._minutes // 2)

    async def unfold(self, many: int = 0) -> None:
        """Make topics, so many if that is given, messages and atoms, and let things happen to them."""
        many = many or self._random.choice((3, 12, 30))
        await self._add_topics(many)
        await self._add_messages(self._random.choice((many, 8 * many)))
        await self._add_atoms(many)
        for _ in range(many):
            await self._random.choice((self._delete, self._redate, self._retire, self._move))()

    def _moment(self) -> datetime:
        return BEGIN + timedelta(minutes=self._random.randrange(self._minutes))

    async def _add_topics(self, count: int) -> None:
        self._topics = [uuid4() for _ in range(count)]
        rows = [(t, self._random.choice(SOURCES), str(t), self._moment()) for t in self._topics]
        await self._add(
            """insert into extractor.topic (workspace_id, id, source_id, title, title_key, text_sha256, created_at)
               values ($1, $2, $3, $4, $4, sha256('x'), $5)""",
            rows,
        )

    async def _add_messages(self, count: int) -> None:
        self._messages = [uuid4() for _ in range(count)]
        rows = [(m, self._random.choice(SOURCES), str(m), self._moment()) for m in self._messages]
        await self._add(
            """insert into ingest.message (workspace_id, id, source_id, external_id, text, sent_at, content_sha256,
                 text_sha256, importance_score, importance_label, importance_factors, importance_version)
               values ($1, $2, $3, $4, 'x', $5, sha256('x'), sha256('x'), 1, 'signal', '{}', '')""",
            rows,
        )
        of_topics = [
            (topic, message)
            for message in self._messages
            for topic in self._random.sample(self._topics, self._random.choice((0, 1, 1, 2)))
        ]
        await self._add(
            """insert into extractor.topic_message (workspace_id, topic_id, message_id, window_id)
               values ($1, $2, $3, $1)""",
            of_topics,
        )

    async def _add_atoms(self, count: int) -> None:
        states = ("proposed", "proposed", "rejected")
        rows = [
            (
                uuid4(),
                self._random.choice(self._topics),
                self._moment(),
                self._random.choice(states),
            )
            for _ in range(count)
        ]
        await self._add(
            """insert into extractor.atom (workspace_id, id, source_id, window_id, topic_id, type, title, content,
                 text_sha256, confidence, valid_from, approval_state)
               values ($1, $2, $1, $1, $3, 'idea', 'x', 'x', sha256('x'), 1, $4, $5)""",
            rows,
        )

    async def _add(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        await self._admin.executemany(statement, [(self.workspace, *row) for row in rows])

    async def _delete(self) -> None:
        deleted = "update ingest.message set deleted_at = now() where workspace_id = $1 and id = $2"
        await self._admin.execute(deleted, self.workspace, self._random.choice(self._messages))

    async def _redate(self) -> None:
        redated = "update ingest.message set sent_at = $3 where workspace_id = $1 and id = $2"
        message = self._random.choice(self._messages)
        await self._admin.execute(redated, self.workspace, message, self._moment())

    async def _retire(self) -> None:
        retired = (
            "update extractor.topic set retired_at = now() where workspace_id = $1 and id = $2"
        )
        await self._admin.execute(retired, self.workspace, self._random.choice(self._topics))

    async def _move(self) -> None:
        await self._admin.execute(
            """update extractor.topic_message m set topic_id = $3 where m.workspace_id = $1 and m.topic_id = $2
               and not exists (select from extractor.topic_message o
                 where o.workspace_id = $1 and o.topic_id = $3 and o.message_id = m.message_id)""",
            self.workspace,
            *self._random.choices(self._topics, k=2),
        )

    async def listed(self, source: UUID | None, as_of: datetime | None) -> list[dict[str, Any]]:
        """What the contract says: live topics of a source, the one with the latest live message first.

        As of a time those that had been talked about, as far as they had been.
        """
        rows = await self._admin.fetch(
            """select t.id, t.source_id, t.title, t.version, t.created_at,
                 array(select m.sent_at from extractor.topic_message x join ingest.message m on m.id = x.message_id
                       where x.topic_id = t.id and m.deleted_at is null
                         and ($2::timestamptz is null or m.sent_at <= $2)) as times,
                 array(select m.source_id from extractor.topic_message x join ingest.message m on m.id = x.message_id
                       where x.topic_id = t.id and m.deleted_at is null) as sources,
                 (select count(*) from extractor.atom a where a.topic_id = t.id and a.retired_at is null
                    and a.approval_state <> 'rejected' and ($2 is null or a.valid_from <= $2)) as atom_count
               from extractor.topic t where t.workspace_id = $1 and t.retired_at is null""",
            self.workspace,
            as_of,
        )
        found = [
            {name: row[name] for name in SHOWN[:5]}
            | {
                "message_count": len(row["times"]),
                "first_at": min(row["times"], default=None),
                "last_at": max(row["times"], default=row["created_at"]),
            }
            for row in rows
            if source in (None, row["source_id"], *row["sources"]) and (row["times"] or not as_of)
        ]
        return sorted(found, key=lambda topic: (topic["last_at"], topic["id"]), reverse=True)

    async def pages(
        self, source: UUID | None, as_of: datetime | None, limit: int
    ) -> list[dict[str, Any]]:
        """The topics of all pages; the last is the first that is not full."""
        found: list[dict[str, Any]] = []
        before, is_full = None, True
        while is_full:
            rows = await library.topics(
                self._admin, self.workspace, limit=limit, source=source, before=before, as_of=as_of
            )
            found += [{name: row[name] for name in SHOWN} for row in rows]
            is_full = len(rows) == limit
            before = (found[-1]["last_at"], found[-1]["id"]) if is_full else None
        return found

    async def all_at_once(
        self, source: UUID | None, as_of: datetime | None
    ) -> list[dict[str, Any]]:
        """The topics as they are read where messages lie too far apart to tell them."""
        place = (self.workspace, source, None, None, None, 1_000, as_of)
        rows = await self._admin.fetch(library.QUERIES["topics"], *place)
        return [{name: row[name] for name in SHOWN} for row in rows]


@pytest.mark.parametrize(("messages", "wider"), [(20, 10), (1, 1)])
async def test_pages_of_topics_are_the_definition_cut_in_pieces(
    database_url: str, monkeypatch: pytest.MonkeyPatch, messages: int, wider: int
) -> None:
    """Whatever was deleted, dated anew, retired or moved, pages give each topic once, in order, with its counts.

    So they must where messages without a topic are skipped.
    """
    monkeypatch.setattr(library, "_MESSAGES_PER_TOPIC", messages)
    monkeypatch.setattr(library, "_WIDENING_MAX", wider)
    admin = await asyncpg.connect(
        database_url, server_settings={"session_replication_role": "replica"}
    )
    for seed in range(HISTORIES):
        history = History(admin, seed)
        await history.unfold()
        for source, as_of in product((None, SOURCES[0]), (None, history.middle)):
            listed = await history.listed(source, as_of)
            for limit in (1, 4):
                assert await history.pages(source, as_of, limit) == listed, (seed, limit)
            assert await history.all_at_once(source, as_of) == listed, seed
    await admin.close()


class Recording:
    """A connection that remembers what was asked."""

    def __init__(self, admin: asyncpg.Connection) -> None:
        self._admin, self.asked = admin, list[str]()

    async def fetch(self, query: str, *arguments: Any) -> Any:
        """Read rows."""
        self.asked.append(query)
        return await self._admin.fetch(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """Read a value."""
        return await self._admin.fetchval(query, *arguments)


async def test_messages_that_wait_to_be_read_are_skipped(database_url: str) -> None:
    """While the newest messages have no topic yet, not all topics may be read for a page of them."""
    admin = await asyncpg.connect(
        database_url, server_settings={"session_replication_role": "replica"}
    )
    history = History(admin, 0)
    await history.unfold(many=60)
    await admin.execute(
        """insert into ingest.message (workspace_id, id, source_id, external_id, text, sent_at, content_sha256,
             text_sha256, importance_score, importance_label, importance_factors, importance_version)
           select $1, uuidv7(), $2, 'new ' || n, 'x', $3::timestamptz + n * interval '1 minute', sha256('x'),
             sha256('x'), 1, 'signal', '{}', ''
           from generate_series(1, 200) n""",
        history.workspace,
        SOURCES[0],
        BEGIN + timedelta(days=1),
    )
    connection: Any = Recording(admin)
    rows = await library.topics(connection, history.workspace, limit=5)
    listed = await history.listed(None, None)
    assert [row["id"] for row in rows] == [each["id"] for each in listed[:5]]
    assert library.QUERIES["topics"] not in connection.asked
    await admin.close()


async def test_a_page_looks_at_each_topic_once_whatever_the_planner_believes(
    database_url: str,
) -> None:
    """Without statistics, as after an import, the first page does not join all topics with all of them."""
    admin = await asyncpg.connect(
        database_url, server_settings={"session_replication_role": "replica"}
    )
    history = History(admin, 0)
    await history.unfold(many=300)
    async with admin.transaction():
        for schema, table in (
            ("ingest", "message"),
            ("extractor", "topic"),
            ("extractor", "topic_message"),
        ):
            await admin.execute("select pg_clear_relation_stats($1, $2)", schema, table)
        query = f"explain (analyze, format json) {library.QUERIES['latest_topics']}"
        place = (history.workspace, None, *library._END, 50, 1_000, None, None)
        plan = json.loads(await admin.fetchval(query, *place))
    looked = [
        each["Actual Loops"] * each["Actual Rows"]
        for each in nodes(plan[0]["Plan"])
        if each.get("Relation Name") == "topic"
    ]
    assert looked
    assert sum(looked) <= 3 * 300
    await admin.close()


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan and all that is under it."""
    return [plan, *(each for part in plan.get("Plans", ()) for each in nodes(part))]
