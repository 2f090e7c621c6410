"""What is done with an admin's rights is on record, by whom and with which outcome, and no service can unwrite it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.failures import USAGE
from services.common.audit import is_recorded, summary
from services.common.auth import SCOPES, mint_key, store_key
from services.common.database import Database, DatabaseSettings
from services.common.pipeline import pipeline_servicer
from services.common.service import Service, serving
from services.common.stages import STAGES
from tests.common.edge import METHODS, Handlers, call, failure, path_of, raising, servicers, valid
from tests.conftest import Deployment
from tests.forked import winnow
from winnow.ingest.v1 import ingest_pb2 as ingest
from winnow.ingest.v1.ingest_pb2_grpc import IngestServiceStub
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

REPLAY = "/winnow.pipeline.v1.PipelineService/ReplayTasks"
WRITES = [m for m in METHODS if not m.name.startswith(("Get", "List")) and not m.client_streaming]


@asynccontextmanager
async def served(
    deployment: Deployment, handlers: Handlers | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """The contract with all of it for admins; the pipeline service as it is unless there are handlers."""
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        made = servicers(handlers, "admin") if handlers else [pipeline_servicer(database)]
        async with (
            serving(Service("search", database, made)),
            grpc.aio.insecure_channel(deployment.address("search")) as channel,
        ):
            yield channel


async def entries(deployment: Deployment) -> list[asyncpg.Record]:
    """All that is on record, oldest first."""
    return list(await deployment.admin.fetch("select * from spine.audit order by id"))


async def test_every_admin_call_is_on_record(deployment: Deployment) -> None:
    """Each method that needs an admin and does not only read leaves an entry: who, from where, what, its outcome."""
    handlers = Handlers()
    async with served(deployment, handlers) as channel:
        for method in WRITES:
            # An empty request is not valid for every method: those are refused before anything is done.
            with contextlib.suppress(grpc.aio.AioRpcError):
                await call(channel, path_of(method), deployment.metadata, valid(method))
    found = await entries(deployment)
    called = [seen.path.lstrip("/") for seen in handlers.seen]
    assert [entry["action"] for entry in found] == called
    assert len(called) > 3
    assert {entry["outcome"] for entry in found} == {"OK"}
    assert {entry["peer"] for entry in found} == {"ipv4:127.0.0.1"}
    assert {entry["login"] for entry in found} == {"winnow_app"}
    prefix = deployment.api_key.removeprefix("wk_").partition(".")[0]
    key = await deployment.admin.fetchval("select id from spine.api_key where prefix = $1", prefix)
    assert {entry["key_id"] for entry in found} == {key}


@pytest.mark.parametrize("error", [RuntimeError("postgres://u:hunter2@db"), ValueError("x")])
async def test_outcomes_are_recorded(deployment: Deployment, error: Exception) -> None:
    """A call that fails is on record with its status, and with nothing of what the error says."""
    handlers = Handlers(act=raising(error))
    async with served(deployment, handlers) as channel:
        await failure(call(channel, REPLAY, deployment.metadata))
    [entry] = await entries(deployment)
    assert entry["outcome"] == "INTERNAL"
    assert "hunter2" not in str(dict(entry))


async def test_a_caller_who_leaves_is_on_record(deployment: Deployment) -> None:
    """A call that its caller cancels was begun, and says so."""
    started = asyncio.Event()

    async def act(context: Any) -> None:
        started.set()
        await asyncio.sleep(3600)

    async with served(deployment, Handlers(act=act)) as channel:
        calling = asyncio.create_task(call(channel, REPLAY, deployment.metadata))
        await asyncio.wait_for(started.wait(), 60)
        [begun] = await entries(deployment)
        assert (begun["outcome"], begun["ended_at"]) == (None, None)
        calling.cancel()
        async with asyncio.timeout(60):
            while (await entries(deployment))[0]["outcome"] is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    [ended] = await entries(deployment)
    assert ended["outcome"] == "CANCELLED"


async def test_a_call_that_takes_too_long_is_on_record(deployment: Deployment) -> None:
    """A call whose time was up is told from one that its caller gave up."""

    async def act(context: Any) -> None:
        await asyncio.sleep(3600)

    async with served(deployment, Handlers(act=act)) as channel:
        error = await failure(call(channel, REPLAY, deployment.metadata, seconds=3))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(60):
            while (await entries(deployment))[0]["outcome"] is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    [ended] = await entries(deployment)
    assert ended["outcome"] == "DEADLINE_EXCEEDED"


async def test_what_cannot_be_recorded_is_not_done(deployment: Deployment) -> None:
    """If the entry cannot be written, the call fails and its handler is never reached."""
    await deployment.admin.execute("alter table spine.audit add check (action = '') not valid")
    handlers = Handlers()
    async with served(deployment, handlers) as channel:
        await failure(call(channel, REPLAY, deployment.metadata))
    assert handlers.seen == []


async def test_the_record_is_read_page_by_page(deployment: Deployment) -> None:
    """An admin reads the entries of its own workspace, newest first; nobody else does, and reading leaves none."""
    async with served(deployment) as channel:
        stub = PipelineServiceStub(channel)
        for stage in STAGES[:5]:
            request = pb.ReplayTasksRequest(stage=stage, dry_run=True)
            await stub.ReplayTasks(request, metadata=deployment.metadata)
        read: list[pb.AuditEntry] = []
        token = ""
        while True:
            page = await stub.ListAuditEntries(
                pb.ListAuditEntriesRequest(page_size=2, page_token=token),
                metadata=deployment.metadata,
            )
            read += page.entries
            token = page.next_page_token
            if not token:
                break
        assert len(read) == 5
        assert [each.id for each in read] == sorted((each.id for each in read), reverse=True)
        assert json.loads(read[0].request_json) == {"stage": "erase", "dry_run": True}
        assert {each.key_name for each in read} == {"test"}
        assert all(each.ended_at.seconds >= each.begun_at.seconds > 0 for each in read)
        other = await stub.ListAuditEntries(
            pb.ListAuditEntriesRequest(), metadata=await deployment.other_workspace()
        )
        assert len(other.entries) == 0


async def test_the_record_is_asked_who_did_what_and_when(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin finds what one key did, one method, what failed and what was done in a span, and so does the command."""
    monkeypatch.setenv("WINNOW_API_KEY", deployment.api_key)
    other = mint_key()
    await store_key(deployment.admin, "test", "another", other, SCOPES)
    replay = pb.ReplayTasksRequest(dry_run=True)
    async with deployment.serving("ingest") as channel:
        stub = PipelineServiceStub(channel)
        await stub.ReplayTasks(replay, metadata=deployment.metadata)
        await stub.ReplayTasks(replay, metadata=(("authorization", f"Bearer {other.text}"),))
        erase = ingest.EraseMessagesRequest(author_external_id="user1", request_id=str(uuid4()))
        await IngestServiceStub(channel).EraseMessages(erase, metadata=deployment.metadata)
        await deployment.admin.execute(
            "update spine.audit set outcome = 'ABORTED' where action like '%EraseMessages'"
        )

        async def listed(**fields: Any) -> list[pb.AuditEntry]:
            request = pb.ListAuditEntriesRequest(**fields)
            reply = await stub.ListAuditEntries(request, metadata=deployment.metadata)
            return list(reply.entries)

        every = await listed()
        erased, second, first = every
        assert await listed(key_prefix=second.key_prefix) == [second]
        assert await listed(action="ReplayTasks") == [second, first]
        assert await listed(action=erased.action) == [erased]
        assert await listed(action="Replay") == []
        assert await listed(outcome="ABORTED") == [erased]
        assert await listed(begun_after=second.begun_at) == [erased, second]
        assert await listed(begun_before=second.begun_at) == [first]
        assert await listed(begun_after=first.begun_at, begun_before=second.begun_at) == [first]
        assert await listed(begun_after=Timestamp(seconds=erased.begun_at.seconds + 3600)) == []
        assert await listed(begun_before=Timestamp(seconds=first.begun_at.seconds - 3600)) == []

        async def shown(*options: str) -> list[str]:
            done = await asyncio.to_thread(winnow, "audit", "list", "--json", *options)
            assert done.returncode == 0, done.stderr
            return [entry["id"] for entry in json.loads(done.stdout)]

        assert await shown("--key", second.key_prefix) == [second.id]
        assert await shown("--key", f"wk_{second.key_prefix}") == [second.id]
        assert await shown("--action", "ReplayTasks", "--outcome", "ok") == [second.id, first.id]
        misspelt = await asyncio.to_thread(winnow, "audit", "list", "--outcome", "aborting")
        assert misspelt.returncode == USAGE
        with pytest.raises(grpc.aio.AioRpcError, match="outcome: must be one of OK, "):
            await listed(outcome="aborting")
        assert await shown("--since", "2026-01-01", "--until", "2026-01-02") == []


async def test_no_service_can_change_the_record(deployment: Deployment, database_url: str) -> None:
    """No role that a service may take can read, change or remove entries but through the functions made for it."""
    login = database_url.replace("postgres:", "winnow_app:", 1)
    connection = await asyncpg.connect(login)
    try:
        for name in ("ingest", "extractor", "embedder", "search", "relay"):
            await connection.execute(f"set role winnow_{name}")
            for statement in (
                "select * from spine.audit",
                "delete from spine.audit",
                "update spine.audit set outcome = 'OK'",
                "insert into spine.audit (workspace_id, action) values (uuidv7(), 'x')",
                "truncate spine.audit",
            ):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
    finally:
        await connection.close()


async def test_an_outcome_is_written_once(deployment: Deployment) -> None:
    """What came of a call cannot be said anew later, and an entry is bound to the workspace of its transaction."""
    async with Database.open(DatabaseSettings.read(), "winnow_search") as database:
        async with database.transaction(deployment.workspace) as connection:
            note = "select spine.note_action($1, null, 'peer', 'action', '{}')"
            entry = await connection.fetchval(note, deployment.workspace)
            for outcome in ("OK", "INTERNAL"):
                end = "select spine.end_action($1, $2, $3)"
                await connection.execute(end, deployment.workspace, entry, outcome)
        await deployment.other_workspace()
        other = await deployment.admin.fetchval(
            "select workspace_id from spine.workspace where name = 'other'"
        )
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            async with database.transaction(other) as connection:
                await connection.fetchval(note, deployment.workspace)
    [kept] = await entries(deployment)
    assert kept["outcome"] == "OK"


def test_a_summary_holds_no_text() -> None:
    """Of texts only the length is kept; ids, numbers and choices as they are; long lists are cut."""
    operation = "0192d1f0-0000-7000-8000-000000000000"
    request = ingest.EraseMessagesRequest(
        source_id=operation, author_external_id="ann.person", request_id=operation
    )
    assert summary(request) == {
        "source_id": operation,
        "author_external_id": "10 characters",
        "request_id": operation,
    }
    many = pb.ReplayTasksRequest(task_ids=[operation] * 30, dry_run=True)
    kept = summary(many)
    assert kept["dry_run"] is True
    assert kept["task_ids"] == [operation] * 20 + ["and 10 more"]
    nested = ingest.IngestMessagesRequest(
        source=ingest.SourceRef(kind=ingest.SOURCE_KIND_API, external_id="secret channel")
    )
    assert summary(nested) == {
        "source": {"kind": "SOURCE_KIND_API", "external_id": "14 characters"}
    }


@pytest.mark.parametrize(
    ("method", "scope", "recorded"),
    [
        ("/winnow.ingest.v1.IngestService/EraseMessages", "admin", True),
        ("/winnow.ingest.v1.IngestService/GetOperation", "admin", False),
        ("/winnow.ingest.v1.IngestService/ListOperations", "admin", False),
        ("/winnow.ingest.v1.IngestService/IngestMessages", "ingest", False),
        ("/winnow.embedder.v1.EmbedderService/PromoteGeneration", "operate", True),
    ],
)
def test_what_is_recorded(method: str, scope: str, recorded: bool) -> None:
    """Whatever needs an admin and changes something."""
    assert is_recorded(method, scope) is recorded
