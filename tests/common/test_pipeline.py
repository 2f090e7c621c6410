"""Every service shows the tasks of the caller's workspace, and lets its people replay the dead ones."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from services.common import pages, pipeline
from services.common.database import Database, DatabaseSettings
from services.common.ids import uuid7_floor
from services.common.outbox import enqueue
from services.common.stages import STAGES
from tests.common.edge import details_of, failure
from tests.common.stages import STAGE, make, states
from tests.conftest import Deployment
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1.pipeline_pb2_grpc import PipelineServiceStub

NOTHING = pb.GetStatusResponse(quotas=pb.Quotas())
KILL = "update spine.task set state = 'dead', hint_at = null, attempts = 5, error_class = 'bad', error = 'no'"

SAY = """with place as (insert into ingest.source (workspace_id, id, kind, external_id)
             select workspace_id, uuidv7(), 'api', 'chat' from spine.workspace returning workspace_id, id)
           insert into ingest.message (workspace_id, id, source_id, external_id, text, sent_at, content_sha256,
             text_sha256, importance_score, importance_label, importance_factors, importance_version)
           select workspace_id, uuidv7(), id, '1', 'hello', now(), sha256('a'), sha256('a'), 0.5, 'weak', '{}', 'x'
           from place returning id"""


async def test_an_empty_workspace_owes_nothing(
    deployment: Deployment, stub: PipelineServiceStub
) -> None:
    """Before anything came in every count is 0."""
    status = await stub.GetStatus(pb.GetStatusRequest(), metadata=deployment.metadata)
    assert status == NOTHING


async def test_stages_are_counted(deployment: Deployment, stub: PipelineServiceStub) -> None:
    """Tasks are counted by stage and state, and the age of the oldest is told."""
    await make(deployment, *"abcdef")
    change = "update spine.task set {} where spec = any ($1)"
    for what, specs in [
        ("state = 'done', hint_at = null", "ab"),
        ("state = 'dead', hint_at = null", "c"),
        ("state = 'leased', lease_until = now() - interval '1 h'", "d"),
        ("available_at = now() + interval '1 h'", "e"),
        ("created_at = now() - interval '90 s', available_at = now() - interval '90 s'", "f"),
    ]:
        await deployment.admin.execute(change.format(what), list(specs))
    status = await stub.GetStatus(pb.GetStatusRequest(), metadata=deployment.metadata)
    [stage] = status.stages
    counts = (stage.ready, stage.scheduled, stage.leased, stage.done, stage.dead)
    assert (stage.stage, counts) == (STAGE, (1, 1, 1, 2, 1))
    assert 90 <= stage.oldest_task_age_seconds == status.oldest_task_age_seconds < 900
    assert (status.tasks_dead, status.leases_expired) == (1, 1)


async def test_pages_hold_every_task_once(
    deployment: Deployment, stub: PipelineServiceStub
) -> None:
    """Following the pages gives every task, oldest first, whatever their size."""
    ids = sorted(await make(deployment, *[f"s{n}" for n in range(11)]))
    for size in (1, 4, 11, 50):
        found: list[UUID] = []
        token = ""
        while True:
            request = pb.ListTasksRequest(page_size=size, page_token=token, stage=STAGE)
            reply = await stub.ListTasks(request, metadata=deployment.metadata)
            found += [UUID(task.id) for task in reply.tasks]
            if not (token := reply.next_page_token):
                break
        assert found == ids


async def test_tasks_are_chosen_by_state_and_stage(
    deployment: Deployment, stub: PipelineServiceStub
) -> None:
    """Filters leave out what does not match, and a dead task says why it died."""
    await make(deployment, "a", "b")
    await enqueue(deployment.admin, deployment.workspace, "window", [uuid4()], ["w"])
    await deployment.admin.execute(KILL + " where spec = 'a'")
    for request, specs in [
        (pb.ListTasksRequest(), {"a", "b", "w"}),
        (pb.ListTasksRequest(state=pb.TASK_STATE_READY), {"b", "w"}),
        (pb.ListTasksRequest(stage="window"), {"w"}),
        (pb.ListTasksRequest(stage="window", state=pb.TASK_STATE_DEAD), set()),
        (pb.ListTasksRequest(stage="erase"), set()),
    ]:
        reply = await stub.ListTasks(request, metadata=deployment.metadata)
        assert {task.spec for task in reply.tasks} == specs
    request = pb.ListTasksRequest(state=pb.TASK_STATE_DEAD)
    [dead] = (await stub.ListTasks(request, metadata=deployment.metadata)).tasks
    assert (dead.spec, dead.attempts, dead.error_class, dead.error) == ("a", 5, "bad", "no")


async def test_tasks_are_chosen_by_time_and_failure(
    deployment: Deployment, stub: PipelineServiceStub
) -> None:
    """Each page is full of what was asked for, whatever lies between, and its token is of that question alone."""
    day = datetime(2026, 5, 4, tzinfo=UTC)
    for hour in range(24):
        await deployment.admin.execute(
            """insert into spine.task (workspace_id, id, stage, subject_id, spec, created_at, state, error_class)
               values ($1, $2, 'embed', uuidv7(), $3, $4, 'dead', $5)""",
            deployment.workspace,
            UUID(int=uuid7_floor(day + timedelta(hours=hour)).int + hour),
            f"{hour}",
            day + timedelta(hours=hour),
            "rare" if hour in (1, 20) else "usual",
        )

    async def listed(size: int, **fields: Any) -> tuple[list[int], list[int]]:
        found, pages_held, token = list[int](), list[int](), ""
        while True:
            request = pb.ListTasksRequest(page_size=size, page_token=token, **fields)
            reply = await stub.ListTasks(request, metadata=deployment.metadata)
            found += [int(task.spec) for task in reply.tasks]
            pages_held.append(len(reply.tasks))
            if not (token := reply.next_page_token):
                return found, pages_held

    def at(hour: int) -> Timestamp:
        moment = Timestamp()
        moment.FromDatetime(day + timedelta(hours=hour))
        return moment

    assert await listed(50) == (list(range(24)), [24])
    assert (await listed(5))[0] == list(range(24))
    assert await listed(50, created_after=at(5), created_before=at(8)) == ([5, 6, 7], [3])
    assert (await listed(2, created_after=at(5), created_before=at(8)))[0] == [5, 6, 7]
    assert (await listed(50, created_before=at(3)))[0] == [0, 1, 2]
    assert await listed(3, error_class="rare") == ([1, 20], [2])
    assert await listed(1, error_class="rare") == ([1, 20], [1, 1, 0])
    assert await listed(3, error_class="rare", created_after=at(19)) == ([20], [1])
    assert await listed(3, error_class="none", created_after=at(19)) == ([], [0])
    first = await stub.ListTasks(pb.ListTasksRequest(page_size=5), metadata=deployment.metadata)
    other = pb.ListTasksRequest(page_token=first.next_page_token, error_class="rare")
    error = await failure(stub.ListTasks(other, metadata=deployment.metadata))
    assert details_of(error).reason == "INVALID_PAGE_TOKEN"
    none = pb.ListTasksRequest(created_after=at(8), created_before=at(8))
    error = await failure(stub.ListTasks(none, metadata=deployment.metadata))
    assert details_of(error).fields == {"created_before": "must be later than created_after"}


@pytest.mark.parametrize("request_", [pb.ListTasksRequest, pb.ReplayTasksRequest])
async def test_a_stage_that_is_none_is_refused(
    deployment: Deployment, stub: PipelineServiceStub, request_: type
) -> None:
    """A misspelt stage must not look like one without tasks: the caller is told which there are."""
    method = getattr(stub, request_.DESCRIPTOR.name.removesuffix("Request"))
    for stage in STAGES:
        await method(request_(stage=stage), metadata=deployment.metadata)
    error = await failure(method(request_(stage="embedding"), metadata=deployment.metadata))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details_of(error).fields == {"stage": f"must be one of {', '.join(STAGES)}"}


@pytest.mark.parametrize("position", [["zzz"], [5], [None], [{}], [["x"]], ["\ud800"], [1e400]])
async def test_a_forged_token_is_the_callers_fault(
    deployment: Deployment, stub: PipelineServiceStub, position: list[object]
) -> None:
    """A token that leads nowhere is INVALID_ARGUMENT, whatever is in it."""
    token = pages.encode(pb.ListTasksRequest(), position)
    request = pb.ListTasksRequest(page_token=token)
    error = await failure(stub.ListTasks(request, metadata=deployment.metadata))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = details_of(error)
    assert (details.reason, list(details.fields)) == ("INVALID_PAGE_TOKEN", ["page_token"])


async def test_dead_tasks_are_replayed(deployment: Deployment, stub: PipelineServiceStub) -> None:
    """A dry run only counts; a replay opens the chosen tasks again."""
    ids = await make(deployment, "a", "b", "c")
    await deployment.admin.execute(KILL)
    chosen = pb.ReplayTasksRequest(task_ids=[str(ids[0]), str(uuid4())], dry_run=True)
    reply = await stub.ReplayTasks(chosen, metadata=deployment.metadata)
    assert (reply.replayed, await states(deployment.admin)) == (1, {"dead": 3})
    chosen.dry_run = False
    reply = await stub.ReplayTasks(chosen, metadata=deployment.metadata)
    assert (reply.replayed, await states(deployment.admin)) == (1, {"dead": 2, "ready": 1})
    rest = pb.ReplayTasksRequest(stage=STAGE)
    assert (await stub.ReplayTasks(rest, metadata=deployment.metadata)).replayed == 2


async def test_many_dead_tasks_are_replayed_in_parts(
    deployment: Deployment, stub: PipelineServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are dead, one transaction opens some of them, and together they open each of the stage once."""
    monkeypatch.setattr(pipeline, "REPLAYED_MAX", 2)
    await make(deployment, *"abcde")
    await enqueue(deployment.admin, deployment.workspace, "window", [uuid4()], ["w"])
    await deployment.admin.execute(KILL)
    request = pb.ReplayTasksRequest(stage=STAGE, dry_run=True)
    assert (await stub.ReplayTasks(request, metadata=deployment.metadata)).replayed == 5
    assert await states(deployment.admin) == {"dead": 6}
    request.dry_run = False
    assert (await stub.ReplayTasks(request, metadata=deployment.metadata)).replayed == 5
    assert await states(deployment.admin) == {"dead": 1, "ready": 5}
    moments = "select count(distinct available_at) from spine.task where state = 'ready'"
    assert await deployment.admin.fetchval(moments) == 3
    everything = pb.ReplayTasksRequest()
    assert (await stub.ReplayTasks(everything, metadata=deployment.metadata)).replayed == 1


async def test_a_few_are_replayed_before_what_waits(
    deployment: Deployment, stub: PipelineServiceStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever replays a few dead tasks does not wait for a backfill or an import; many do not get in the way."""
    monkeypatch.setattr(pipeline, "REPLAYED_SOON_MAX", 2)
    ids = await make(deployment, *"abcde")
    await deployment.admin.execute("update spine.task set lane = 2")
    await deployment.admin.execute(KILL)
    named = pb.ReplayTasksRequest(task_ids=list(map(str, ids[:2])))
    lanes = "select array_agg(lane order by id) from spine.task where state = 'ready'"
    for request, found in (named, [0, 0]), (pb.ReplayTasksRequest(), [0, 0, 2, 2, 2]):
        await stub.ReplayTasks(request, metadata=deployment.metadata)
        assert await deployment.admin.fetchval(lanes) == found


async def test_what_is_not_done_is_found_among_all_that_is(deployment: Deployment) -> None:
    """Whoever lists what is dead does not wait until all that is done has been read, though elsewhere most is dead."""
    admin, workspace = deployment.admin, deployment.workspace
    many = """insert into spine.task (workspace_id, stage, subject_id, spec, state)
              select $1, (array['embed', 'window'])[1 + n % 2], uuidv7(), '', $2 from generate_series(1, 5000) n"""
    await admin.execute(many, workspace, "done")
    await admin.execute(many, uuid4(), "dead")
    await make(deployment, "a", "b", "c")
    await enqueue(admin, workspace, "window", [uuid4()], ["w"])
    await admin.execute(KILL + " where state = 'ready'")
    await admin.execute("analyze spine.task")
    async with (
        Database.open(DatabaseSettings.read(), "winnow_search") as database,
        database.transaction(workspace) as connection,
    ):
        wanted = pipeline.Tasks("dead", "")
        rows = await pipeline.list_tasks(connection, workspace, wanted, None, 3)
        read = await connection.fetchval(
            """select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
               from pg_stat_xact_user_tables where schemaname = 'spine' and relname = 'task'"""
        )
    assert sorted(row["spec"] for row in rows) == ["a", "b", "c"]
    assert read < 100


async def test_others_see_and_change_nothing(
    deployment: Deployment, stub: PipelineServiceStub
) -> None:
    """Another workspace's key finds no task, counts none and replays none, even when it names one."""
    [task] = await make(deployment, "a")
    await deployment.admin.execute(KILL)
    message = await deployment.admin.fetchval(SAY)
    asked = pb.GetMessageStateRequest(message_id=str(message))
    state = await stub.GetMessageState(asked, metadata=deployment.metadata)
    assert state == pb.GetMessageStateResponse(embeddable=True)
    metadata = await deployment.other_workspace()
    assert await stub.GetStatus(pb.GetStatusRequest(), metadata=metadata) == NOTHING
    assert not (await stub.ListTasks(pb.ListTasksRequest(), metadata=metadata)).tasks
    unknown = await failure(stub.GetMessageState(asked, metadata=metadata))
    assert unknown.code() is grpc.StatusCode.NOT_FOUND
    for request in (pb.ReplayTasksRequest(), pb.ReplayTasksRequest(task_ids=[str(task)])):
        assert (await stub.ReplayTasks(request, metadata=metadata)).replayed == 0
    assert await states(deployment.admin) == {"dead": 1}
