"""What is said twice is known once: merged by meaning, linked, ended, and taken back when its messages go."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from services.common.database import Database, DatabaseSettings
from services.common.outbox import Task
from services.extractor import bonds, merging
from services.extractor.extraction import Extraction, Window
from services.extractor.merge_reconciliation import MergeReconciliation
from services.extractor.merging import MergeStage
from services.extractor.rules import NO_RULE
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.extractor.known import Knowledge, SayingEngine, knowing, replicas
from tests.extractor.saved import change, say
from tests.graphs import add_graph
from tests.meanwhile import meanwhile

DISK = "problem: The nightly backup fails because the archive disk of host db-2 is full"
DISK_AGAIN = "problem: The nightly backup fails again because the archive disk of host db-2 is full"
OTHER_DISK = "problem: The nightly backup fails because the archive disk of host db-7 is full"
SUNDAY = "decision: We release version two of the mobile client on Sunday morning instead"
FRIDAY = "decision: We release version two of the mobile client on Friday morning"
MONDAY = "decision: We release version two of the mobile client on Monday morning instead"
# Enough of other things that the scale knows what unrelated means.
SMALL_TALK = tuple(
    f"idea: {words}"
    for words in (
        "Paint both kitchens yellow before summer",
        "Every newcomer should meet an older colleague weekly",
        "Translate our handbook into Polish",
        "Order twenty chairs for the large hall",
        "Nobody reads minutes longer than ten lines",
        "Let interns choose which ticket they take",
        "Birthdays deserve cake paid by the company",
        "Rename confusing acronyms across contracts",
        "Lunch talks could be recorded",
        "Publish salaries openly within teams",
        "Swap desks twice per year",
        "Bring dogs only after noon",
    )
)
WAITS = "exists (select from pg_locks where not granted)"
LINES = (DISK, FRIDAY, "insight: Cold caches double the latency of the first hundred requests")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows close as soon as they are quiet, and hints come at once."""
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")
    monkeypatch.setenv("WINNOW_RELAY_IDLE_SECONDS", "0.05")
    monkeypatch.setenv("WINNOW_TASK_RETRY_SECONDS", "0.05")


async def tell(
    knowledge: Knowledge, *lines: str, source: UUID | None = None
) -> tuple[UUID, list[UUID]]:
    """Say lines in a conversation of their own, and wait until all is known."""
    talk = [("ann", line) for line in lines]
    found = await say(knowledge.deployment, talk, source)
    await knowledge.settled()
    return found


def title(line: str) -> str:
    """The title of the atom that a line becomes."""
    return line.partition(": ")[2][:80]


async def test_the_same_chat_from_another_source_adds_evidence_alone(
    deployment: Deployment,
) -> None:
    """Each atom stays one, rests on both messages, has a version that says so, and keeps one vector."""
    async with knowing(deployment) as knowledge:
        _, first = await tell(knowledge, *LINES)
        before = await knowledge.live()
        _, second = await tell(knowledge, *LINES)
        after = await knowledge.live()
        assert {atom.id for atom in after.values()} == {atom.id for atom in before.values()}
        for line, *messages in zip(LINES, first, second, strict=True):
            assert after[title(line)].messages == sorted(messages)
            assert after[title(line)].version == 2
        merged = [atom for atom in await knowledge.atoms() if not atom.is_live]
        assert {atom.merged_into for atom in merged} == {atom.id for atom in before.values()}
        vectors = await deployment.admin.fetchval(
            "select count(*) from embedder.vector where kind = 'atom'"
        )
        assert vectors == len(LINES)


@pytest.mark.parametrize("exact_max", [4000, 0])
async def test_other_words_of_the_same_are_merged_and_other_particulars_are_not(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, exact_max: int
) -> None:
    """One word more is the same problem, another host is another; whether all vectors are looked at or the graph."""
    monkeypatch.setattr(merging, "EXACT_MAX", exact_max)
    async with knowing(deployment) as knowledge:
        await tell(knowledge, *SMALL_TALK)
        known = set(await knowledge.live())
        await tell(knowledge, DISK)
        await add_graph(deployment.admin)
        await tell(knowledge, DISK_AGAIN)
        assert set(await knowledge.live()) == {*known, title(DISK)}
        await tell(knowledge, OTHER_DISK)
        assert set(await knowledge.live()) == {*known, title(DISK), title(OTHER_DISK)}
        assert (title(OTHER_DISK), "relates_to", title(DISK)) in await knowledge.links()


async def test_a_contradiction_ends_what_held_before(deployment: Deployment) -> None:
    """The older decision keeps its words and ends when the newer began; it holds again when that one goes."""
    async with knowing(deployment) as knowledge:
        await tell(knowledge, *SMALL_TALK)
        await tell(knowledge, FRIDAY)
        _, (message,) = await tell(knowledge, MONDAY)
        live = await knowledge.live()
        assert live[title(FRIDAY)].superseded_by == live[title(MONDAY)].id
        assert live[title(FRIDAY)].valid_to is not None
        assert live[title(MONDAY)].valid_to is None
        assert (title(MONDAY), "contradicts", title(FRIDAY)) in await knowledge.links()
        await change(deployment, message, deleted=True)
        await knowledge.settled()
        live = await knowledge.live()
        assert title(MONDAY) not in live
        assert (live[title(FRIDAY)].valid_to, live[title(FRIDAY)].superseded_by) == (None, None)


async def test_what_holds_again_is_compared_again(deployment: Deployment) -> None:
    """What a third statement contradicts ends with it once that which had ended it is gone."""
    async with knowing(deployment) as knowledge:
        await tell(knowledge, *SMALL_TALK)
        await tell(knowledge, FRIDAY)
        _, (message,) = await tell(knowledge, MONDAY)
        await tell(knowledge, SUNDAY)
        live = await knowledge.live()
        ends = [live[title(line)].superseded_by for line in (FRIDAY, MONDAY, SUNDAY)]
        assert ends == [live[title(MONDAY)].id, live[title(SUNDAY)].id, None]
        await change(deployment, message, deleted=True)
        await knowledge.settled()
        live = await knowledge.live()
        assert live[title(FRIDAY)].superseded_by == live[title(SUNDAY)].id


async def test_another_reading_does_not_undo_a_merge(deployment: Deployment) -> None:
    """Both windows are read again without a change of the words: the same atoms are merged, with the same evidence."""
    async with knowing(deployment) as knowledge:
        _, first = await tell(knowledge, DISK, "chatter")
        _, second = await tell(knowledge, DISK, "chatter")
        before = await knowledge.atoms()
        for message in (first[1], second[1]):
            await change(deployment, message, text="other chatter")
            await knowledge.settled()
        assert await knowledge.atoms() == before
        runs = await deployment.admin.fetchval("select count(*) from extractor.run")
        assert runs == 4


async def test_an_edit_takes_a_merge_back_and_a_second_one_makes_it_anew(
    deployment: Deployment,
) -> None:
    """Other words are compared anew: the atom stands for itself again, and joins again once they are the same."""
    async with knowing(deployment) as knowledge:
        _, (first,) = await tell(knowledge, DISK)
        _, (second,) = await tell(knowledge, DISK)
        await change(deployment, second, text=OTHER_DISK)
        await knowledge.settled()
        live = await knowledge.live()
        assert live[title(DISK)].messages == [first]
        assert live[title(OTHER_DISK)].messages == [second]
        await change(deployment, second, text=DISK)
        await knowledge.settled()
        live = await knowledge.live()
        assert live[title(DISK)].messages == sorted((first, second))


async def test_what_remains_stands_when_a_message_goes(deployment: Deployment) -> None:
    """The duplicate's message goes: evidence goes. The first one's goes too late: the duplicate takes its place."""
    async with knowing(deployment) as knowledge:
        _, (first,) = await tell(knowledge, DISK)
        _, (second,) = await tell(knowledge, DISK)
        _, (third,) = await tell(knowledge, DISK)
        oldest = (await knowledge.live())[title(DISK)]
        await change(deployment, third, deleted=True)
        await knowledge.settled()
        assert (await knowledge.live())[title(DISK)].messages == sorted((first, second))
        await change(deployment, first, deleted=True)
        await knowledge.settled()
        heir = (await knowledge.live())[title(DISK)]
        assert (heir.id != oldest.id, heir.messages) == (True, [second])


@pytest.mark.timeout(300)  # four replicas on a machine that runs other tests
async def test_replicas_leave_no_duplicate_and_lose_nothing(deployment: Deployment) -> None:
    """Four extractors read two hundred messages of three sources in overlapping windows: each thing is known once."""
    lines = [
        f"insight: Service {name} of region {number} needs {number + 2} replicas under load"
        for number in range(1, 11)
        for name in ("billing", "search", "mail", "auth", "cart", "feed", "chat")
    ]
    async with replicas(deployment, 4), knowing(deployment) as knowledge:
        told = [await say(deployment, [("ann", line) for line in lines]) for _ in range(3)]
        await _rested(deployment)
        await knowledge.settled()
        live = [atom for atom in await knowledge.atoms() if atom.is_live]
        titles = [atom.title for atom in live]
        assert len(titles) - len(set(titles)) < 0.02 * len(lines)
        assert set(titles) == {title(line) for line in lines}
        shown = {message for atom in live for message in atom.messages}
        assert shown == {message for _, messages in told for message in messages}


async def _rested(deployment: Deployment) -> None:
    """Return when nobody has anything left to do."""
    busy = """select (select count(*) from spine.task where state <> 'done')
                   + (select count(*) from extractor.pending_message) + vectors_missing from spine.gauges($1)"""
    async with asyncio.timeout(200):
        while await deployment.admin.fetchval(busy, deployment.workspace):  # noqa: ASYNC110 - the database changes
            await asyncio.sleep(0.2)


async def _place_meanwhile(deployment: Deployment, first: UUID, second: UUID) -> None:
    """Compare a second atom while the comparison of the first is not committed, if that need not be waited for."""
    admin = deployment.admin
    digests = {
        row["id"]: row["text_sha256"].hex()
        for row in await admin.fetch("select id, text_sha256 from extractor.atom")
    }
    stage = MergeStage(NO_RULE, lambda: None)

    async def place(connection: Any, atom: UUID) -> None:
        task = Task(deployment.workspace, uuid4(), atom, f"atom:{digests[atom]}", 1, 1)
        results = await stage.perform([task])
        await stage.lock(connection, deployment.workspace, results)
        await stage.write(connection, deployment.workspace, results)

    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:

        async def meanwhile() -> None:
            async with database.transaction(deployment.workspace) as connection:
                await place(connection, second)

        async with database.transaction(deployment.workspace) as connection:
            await place(connection, first)
            other = asyncio.create_task(meanwhile())
            while not other.done() and not await admin.fetchval(f"select {WAITS}"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await other


@pytest.mark.parametrize("guarded", [True, False])
async def test_comparing_is_one_at_a_time(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """While the second of three alike joins the first, the third waits; without the lock it joins what is gone."""
    if not guarded:
        monkeypatch.setitem(bonds.QUERIES, "lock_knowledge", "select $1::uuid")
    async with knowing(deployment, merges=False) as knowledge:
        for line in (DISK, DISK_AGAIN, f"{DISK_AGAIN} now"):
            await tell(knowledge, line)
        await tell(knowledge, *SMALL_TALK)
        _, second, third, *_ = [atom.id for atom in await knowledge.atoms()]
        await _place_meanwhile(deployment, second, third)
        assert bool(await knowledge.broken()) != guarded


class SummingEngine(SayingEngine):
    """Takes what messages of a window say in the same words for one atom."""

    async def extract(self, window: Window) -> Extraction:
        """Say everything once."""
        found = await super().extract(window)
        atoms = {atom.content: atom for atom in found.atoms}
        evidence = {
            content: [a.evidence[0] for a in found.atoms if a.content == content]
            for content in atoms
        }
        return replace(
            found,
            atoms=tuple(replace(a, evidence=tuple(evidence[a.content])) for a in atoms.values()),
        )


async def test_what_a_person_wrote_begins_with_the_evidence_that_is_left(
    deployment: Deployment,
) -> None:
    """An edited atom that no reading mentions any more holds since the first message that still proves it."""
    async with knowing(deployment, engine=SummingEngine()) as knowledge:
        _, said = await tell(knowledge, DISK, DISK)
        await deployment.admin.execute("update extractor.atom set origin = 'person'")
        await change(deployment, said[1], text=f"Look: {DISK}")
        await change(deployment, said[0], deleted=True)
        await knowledge.settled()
        atom = (await knowledge.live())[title(DISK)]
        assert atom.messages == [said[1]]
        row = await deployment.admin.fetchrow(
            """select a.valid_from, v.evidence_count, m.sent_at from extractor.atom a
               join extractor.atom_version v on v.atom_id = a.id and v.version = a.version, ingest.message m
               where a.id = $1 and m.id = $2""",
            *(atom.id, said[1]),
        )
        assert (row["valid_from"], row["evidence_count"]) == (row["sent_at"], 1)


ROOM = """
    insert into ingest.message (workspace_id, source_id, id, external_id, text, sent_at, content_sha256, text_sha256,
      importance_score, importance_label, importance_factors, importance_version)
    select $1, $2, uuidv7(), n::text, n::text, $3::timestamptz + n * interval '1 minute', sha256(n::text::bytea),
      sha256(n::text::bytea), 0, 'signal', '{}', '' from generate_series(1, $4::int) n"""
CITED = """
    insert into extractor.atom_evidence (workspace_id, atom_id, message_id, position, quote, quote_offset)
    select workspace_id, id, id, 0, text, 0 from ingest.message where workspace_id = $1"""
READ = """select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int from pg_stat_xact_user_tables
          where relid = 'ingest.message'::regclass"""


async def test_a_workspace_that_statistics_do_not_know_is_not_compared_with_itself(
    deployment: Deployment,
) -> None:
    """Atoms that share evidence are found without reading all messages again for each of them."""
    admin, size = deployment.admin, 400
    await deployment.other_workspace()
    newcomer = await admin.fetchval("select workspace_id from spine.workspace where name = 'other'")
    make = "insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', 'room') returning id"
    await admin.execute("set session_replication_role = replica")
    for workspace in (deployment.workspace, newcomer):
        source = await admin.fetchval(make, workspace)
        await admin.execute(ROOM, workspace, source, datetime(2026, 1, 1, tzinfo=UTC), size)
        await admin.execute(CITED, workspace)
        if workspace != newcomer:
            await admin.execute("analyze ingest.message; analyze extractor.atom_evidence")
    await admin.execute("reset session_replication_role")
    atom = await admin.fetchval(
        "select atom_id from extractor.atom_evidence where workspace_id = $1 limit 1", newcomer
    )
    async with (
        Database.open(DatabaseSettings.read(), "winnow_extractor", size=1) as database,
        database.transaction(newcomer) as connection,
    ):
        await connection.fetch(merging.QUERIES["same_evidence"], newcomer, atom, 10)
        assert await connection.fetchval(READ) < 3 * size


async def test_a_deadlock_does_not_end_the_reconciliation(
    deployment: Deployment, database_url: str
) -> None:
    """What was never compared is asked for in the end, though another transaction asks for it in another order."""
    async with knowing(deployment, merges=False) as knowledge:
        await tell(knowledge, DISK, FRIDAY)
        removed = await deployment.admin.fetch(
            "delete from spine.task where stage = 'merge' returning subject_id, spec"
        )
        first, last = sorted(removed, key=lambda row: row["subject_id"])
        other = await asyncpg.connect(database_url)
        reconciliation = MergeReconciliation(knowledge.databases["extractor"], 0.1, int)
        try:
            # Who waits first is the one that PostgreSQL stops.
            await other.execute("set deadlock_timeout = '1min'")
            ask = "select spine.enqueue($1, 'merge', array[$2::uuid], array[$3])"
            transaction = other.transaction()
            await transaction.start()
            await other.execute(f"set winnow.workspace_id = '{deployment.workspace}'")
            await other.execute(ask, deployment.workspace, *last)
            async with meanwhile(reconciliation.run()):
                await until_true(deployment.admin, WAITS)
                await other.execute(ask, deployment.workspace, *first)
                await transaction.rollback()
                await until_true(
                    deployment.admin, "count(*) = 2 from spine.task where stage = 'merge'"
                )
        finally:
            await other.close()
