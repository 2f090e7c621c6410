"""From saved messages to atoms, on real servers, through the extractor as it runs."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7
from services.common.outbox import TaskStore, complete
from services.common.work import Result
from services.extractor import bonds, library, manual, review, rules, store, topic_bonds
from services.extractor.grounded import GroundedEngine
from services.extractor.subscriptions import ExtractStage
from services.extractor.windows import WindowLimits
from tests.common.stages import until_true
from tests.conftest import Deployment
from tests.extractor.saved import TALK, change, say, settled
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.extractor.v1.extractor_pb2_grpc import ExtractorServiceStub
from winnow.pipeline.v1 import pipeline_pb2
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

LOOK_NOW = "update spine.task set available_at = now(), hint_at = now()"


@pytest.fixture(autouse=True)
def grounded(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read with structure alone, and close windows as soon as they are quiet."""
    monkeypatch.setenv("WINNOW_EXTRACTION_ENGINE", "grounded")
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "0.2")


async def gauges(
    deployment: Deployment, channel: grpc.aio.Channel
) -> pipeline_pb2.GetStatusResponse:
    """The state of the workspace."""
    return await PipelineServiceStub(channel).GetStatus(
        pipeline_pb2.GetStatusRequest(), metadata=deployment.metadata
    )


async def atoms(deployment: Deployment, channel: grpc.aio.Channel) -> pb.ListAtomsResponse:
    """All live atoms."""
    return await ExtractorServiceStub(channel).ListAtoms(
        pb.ListAtomsRequest(page_size=100), metadata=deployment.metadata
    )


async def test_a_conversation_becomes_grounded_atoms(deployment: Deployment) -> None:
    """Every atom cites messages with words that stand in them, and has its version, run and embed task."""
    async with deployment.serving("extractor") as channel:
        _, ids = await say(deployment, TALK)
        await settled(deployment)
        found = (await atoms(deployment, channel)).atoms
        assert len(found) >= 2
        texts = dict(zip(map(str, ids), (text for _, text in TALK), strict=True))
        for atom in found:
            assert atom.evidence
            for passage in atom.evidence:
                text = texts[passage.message_id]
                assert text[passage.offset : passage.offset + len(passage.quote)] == passage.quote
        stub = ExtractorServiceStub(channel)
        runs = (await stub.ListRuns(pb.ListRunsRequest(), metadata=deployment.metadata)).runs
        assert [(run.atoms, run.messages, run.messages_noise) for run in runs] == [
            (len(found), len(TALK), 2)
        ]
        state = await gauges(deployment, channel)
        assert (state.extractions_inconsistent, state.messages_unwindowed) == (0, 0)
        subject = UUID(found[0].id)
        request = pb.ListAtomVersionsRequest(atom_id=str(subject))
        versions = await stub.ListAtomVersions(request, metadata=deployment.metadata)
        assert [version.version for version in versions.versions] == [1]


async def test_runs_are_chosen_by_source_window_and_time(deployment: Deployment) -> None:
    """Who wonders how one chat or one message was read sees its runs alone, and those of a span."""
    async with deployment.serving("extractor") as channel:
        stub = ExtractorServiceStub(channel)
        source, _ = await say(deployment, TALK)
        await settled(deployment)

        async def listed(**fields: Any) -> list[pb.Run]:
            request = pb.ListRunsRequest(**fields)
            reply = await stub.ListRuns(request, metadata=deployment.metadata)
            return list(reply.runs)

        [run] = await listed()
        second, later = run.created_at, Timestamp(seconds=run.created_at.seconds + 60)
        for fields in (
            {"source_id": str(source)},
            {"window_id": run.window_id},
            {"created_after": second},
            {"created_before": later},
            {"source_id": str(source), "created_after": second, "created_before": later},
        ):
            assert await listed(**fields) == [run], fields
        for fields in (
            {"source_id": str(uuid4())},
            {"window_id": str(uuid4())},
            {"created_after": later},
            {"created_before": second},
        ):
            assert await listed(**fields) == [], fields
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listed(created_after=later, created_before=second)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_same_task_twice_makes_nothing_twice(deployment: Deployment) -> None:
    """A repeated request for the same messages opens no second window."""
    async with deployment.serving("extractor") as channel:
        source, ids = await say(deployment, TALK)
        await settled(deployment)
        before = len((await atoms(deployment, channel)).atoms)
        await deployment.admin.execute(
            "select spine.enqueue($1, 'window', array[$2::uuid], array[$3])",
            deployment.workspace,
            source,
            f"new:{ids[1]}:{ids[-1]}",
        )
        await settled(deployment)
        assert len((await atoms(deployment, channel)).atoms) == before
        assert (
            await deployment.admin.fetchval("select count(*) from extractor.conversation_window")
            == 1
        )


async def test_an_edit_reads_only_its_window_again(deployment: Deployment) -> None:
    """After an edit the window's atoms follow, those that still hold keep their ids."""
    async with deployment.serving("extractor") as channel:
        _, ids = await say(deployment, TALK)
        await settled(deployment)
        before = {atom.id: atom for atom in (await atoms(deployment, channel)).atoms}
        text = "Let's decide: we keep fourteen days of WAL, not thirty."
        await change(deployment, ids[4], text=text)
        await settled(deployment)
        after = {atom.id: atom for atom in (await atoms(deployment, channel)).atoms}
        assert before.keys() & after.keys()
        quotes = [passage.quote for atom in after.values() for passage in atom.evidence]
        assert any("fourteen" in quote for quote in quotes)
        assert not any("seven" in quote for quote in quotes)
        assert (await gauges(deployment, channel)).extractions_inconsistent == 0


async def test_a_reading_that_is_out_of_date_is_no_defect(deployment: Deployment) -> None:
    """What was to be read again and has changed before is left to a newer task; what was lost is still told."""
    async with deployment.serving("extractor") as channel:
        _, ids = await say(deployment, TALK)
        await settled(deployment)
        await change(deployment, ids[4], text="Let's decide: we keep fourteen days of WAL.")
        await settled(deployment)
        await deployment.admin.execute(
            """update spine.task
               set state = 'ready', attempts = 0, available_at = now(), hint_at = now(), hint_count = 0
               where id = (select task_id from extractor.run order by id limit 1)"""
        )
        await settled(deployment)
        assert (await gauges(deployment, channel)).extractions_inconsistent == 0
        await deployment.admin.execute("update extractor.run set atom_count = atom_count + 1")
        assert (await gauges(deployment, channel)).extractions_inconsistent == 1


async def test_a_text_that_returns_is_read_again(deployment: Deployment) -> None:
    """When an edit is taken back, the last reading is of the text that stands there, not of the one between."""
    async with deployment.serving("extractor") as channel:
        _, ids = await say(deployment, TALK)
        await settled(deployment)
        await change(deployment, ids[4], text="Let's decide: we keep fourteen days of WAL.")
        await settled(deployment)
        await change(deployment, ids[4], text=TALK[4][1])
        await settled(deployment)
        rows = await deployment.admin.fetch("select task_id from extractor.run order by id")
        first, between, last = (row["task_id"] for row in rows)
        assert first == last != between
        assert (await gauges(deployment, channel)).extractions_inconsistent == 0


async def test_a_text_that_returns_while_it_is_read_is_not_forgotten(
    deployment: Deployment,
) -> None:
    """A reading that found another text leaves its task open if the text it was to read is back when it ends."""
    async with deployment.serving("extractor"):
        await say(deployment, TALK)
        await settled(deployment)
    async with Database.open(DatabaseSettings.read(), "winnow_extractor") as database:
        tasks = TaskStore(database, 60, 5)
        row = await deployment.admin.fetchrow(
            """update spine.task set state = 'ready', hint_at = now() where stage = 'extract'
               returning id, workspace_id, spec"""
        )
        claimed = await tasks.claim(row["workspace_id"], "extract", [row["id"]], uuid4())
        stage = ExtractStage(database, GroundedEngine(), "", WindowLimits(), lambda: None)
        async with database.transaction(row["workspace_id"]) as connection:
            assert await complete(connection, claimed, [0])
            await stage.write(connection, row["workspace_id"], [Result(claimed[0], None, 0)])
    query = "select state from spine.task where stage = 'extract'"
    assert await deployment.admin.fetchval(query) == "ready"


async def test_a_tail_is_looked_at_however_often_it_changes(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open window closes although one that ended in the same message was looked at before, and was not ready."""
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "600")
    admin = deployment.admin
    async with deployment.serving("extractor"):
        source, (first, second, _) = await say(deployment, TALK[:3])
        look = "spec like 'tail:%' and state = 'ready'"
        await until_true(admin, f"exists (select from spine.task where {look})")
        # As if the look had come to nothing, and the first message had been cut away with others.
        done = "state = 'done', hint_at = null, finished_at = now()"
        await admin.execute(f"update spine.task set {done} where {look}")
        await admin.execute("delete from extractor.pending_message where message_id = $1", first)
        await admin.execute("update ingest.message set deleted_at = now() where id = $1", first)
        # Another message that was said before the last one arrives.
        await admin.execute(
            """insert into ingest.message (workspace_id, source_id, id, external_id, author_external_id, text,
                 sent_at, content_sha256, text_sha256, importance_score, importance_label, importance_factors,
                 importance_version)
               select workspace_id, source_id, $2, 'late', author_external_id, text, sent_at,
                 content_sha256, text_sha256, importance_score, importance_label, importance_factors, importance_version
               from ingest.message m where id = $1""",
            second,
            late := uuid7(),
        )
        call = "select spine.enqueue($1, 'window', array[$2::uuid], array[$3])"
        await admin.execute(call, deployment.workspace, source, f"new:{late}:{late}")
        await until_true(admin, f"exists (select from spine.task where {look})")
        await admin.execute(f"{LOOK_NOW} where {look}")
        await settled(deployment)
    assert await admin.fetchval("select count(*) from extractor.window_message") == 3


async def test_a_tail_that_was_due_closes_though_the_clock_was_put_back(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that is given out by a database whose clock is fast, and put right before it ends, is not lost."""
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "600")
    admin, looks = deployment.admin, "spec like 'tail:%'"
    async with deployment.serving("extractor"):
        await say(deployment, TALK)
        await until_true(admin, f"exists (select from spine.task where {looks})")
        # As a fast clock would, which is right again when the look asks what time it is.
        await admin.execute(f"{LOOK_NOW} where {looks}")
        await settled(deployment)
    assert await admin.fetchval("select count(*) from extractor.window_message") == len(TALK)


async def test_a_deleted_message_is_no_evidence(deployment: Deployment) -> None:
    """Atoms that rested on a deleted message are retired, and their vectors are asked to go."""
    async with deployment.serving("extractor") as channel:
        _, ids = await say(deployment, TALK)
        await settled(deployment)
        await change(deployment, ids[4], deleted=True)
        await settled(deployment)
        cited = {
            p.message_id for atom in (await atoms(deployment, channel)).atoms for p in atom.evidence
        }
        assert str(ids[4]) not in cited


async def test_noise_alone_costs_no_reading(deployment: Deployment) -> None:
    """A thousand messages of noise are put into windows, and none of them is read."""
    async with deployment.serving("extractor") as channel:
        await say(deployment, [("ann", "ok")] * 1000)
        await settled(deployment)
        assert await deployment.admin.fetchval("select count(*) from extractor.run") == 0
        assert (await gauges(deployment, channel)).messages_unwindowed == 0


async def test_an_open_window_closes_on_request(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ExtractNow reads what waits in open windows without waiting for silence."""
    monkeypatch.setenv("WINNOW_WINDOW_SETTLE_SECONDS", "3600")
    async with deployment.serving("extractor") as channel:
        await say(deployment, TALK)
        async with asyncio.timeout(60):
            while (await gauges(deployment, channel)).messages_in_open_windows != len(TALK):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        reply = await ExtractorServiceStub(channel).ExtractNow(
            pb.ExtractNowRequest(), metadata=deployment.metadata
        )
        assert reply.conversations == 1
        async with asyncio.timeout(60):
            while not (await atoms(deployment, channel)).atoms:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await gauges(deployment, channel)).messages_in_open_windows == 0
        reason = await deployment.admin.fetchval(
            "select closed_by from extractor.conversation_window"
        )
        assert reason == "request"


async def test_other_workspaces_see_nothing(deployment: Deployment) -> None:
    """Another workspace's key finds neither topics nor atoms, not even by id."""
    async with deployment.serving("extractor") as channel:
        await say(deployment, TALK)
        await settled(deployment)
        atom = (await atoms(deployment, channel)).atoms[0]
        stub, other = ExtractorServiceStub(channel), await deployment.other_workspace()
        assert not (await stub.ListAtoms(pb.ListAtomsRequest(), metadata=other)).atoms
        assert not (await stub.ListTopics(pb.ListTopicsRequest(), metadata=other)).topics
        with pytest.raises(grpc.aio.AioRpcError) as failure:
            await stub.GetAtom(pb.GetAtomRequest(atom_id=atom.id), metadata=other)
        assert failure.value.code() == grpc.StatusCode.NOT_FOUND


async def test_pages_hold_everything_once(deployment: Deployment) -> None:
    """Paging through topics and atoms with pages of one finds each once."""
    async with deployment.serving("extractor") as channel:
        await say(deployment, TALK)
        await settled(deployment)
        stub, seen, token = ExtractorServiceStub(channel), [], ""
        while True:
            request = pb.ListAtomsRequest(page_size=1, page_token=token)
            page = await stub.ListAtoms(request, metadata=deployment.metadata)
            seen += [atom.id for atom in page.atoms]
            token = page.next_page_token
            if not token:
                break
        assert sorted(seen) == sorted(a.id for a in (await atoms(deployment, channel)).atoms)
        topics = await stub.ListTopics(
            pb.ListTopicsRequest(page_size=1), metadata=deployment.metadata
        )
        topic = await stub.GetTopic(
            pb.GetTopicRequest(topic_id=topics.topics[0].id), metadata=deployment.metadata
        )
        assert topic.message_ids


async def test_every_query_prepares_under_its_role(deployment: Deployment) -> None:
    """The role of the extractor may run every query of the extractor."""
    async with (
        Database.open(DatabaseSettings.read(), "winnow_extractor") as database,
        database.transaction(deployment.workspace) as connection,
    ):
        queries = (store, library, review, bonds, topic_bonds, manual, rules)
        for query in (q for module in queries for q in module.QUERIES.values()):
            await connection.prepare(query)
