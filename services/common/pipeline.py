"""PipelineService: every service answers for the rows, vectors and tasks of the caller's workspace."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from services.common import pages, replies
from services.common.database import Connection, Database
from services.common.errors import NotFound
from services.common.gauges import read_gauges
from services.common.keys import public_part
from services.common.moments import ALWAYS, Span
from services.common.rates import QuotaSettings
from services.common.rpc import current_caller
from services.common.service import Servicer
from services.common.stages import STAGES
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1 import pipeline_pb2_grpc

# How many tasks are made ready in one transaction, in some tenths of a second.
REPLAYED_MAX: Final = 5_000
# So few are done before what waits in backfills and history, and do not hold today's work up for long.
REPLAYED_SOON_MAX: Final = 100
_STATES = {
    pb.TASK_STATE_UNSPECIFIED: "",
    pb.TASK_STATE_READY: "ready",
    pb.TASK_STATE_LEASED: "leased",
    pb.TASK_STATE_DONE: "done",
    pb.TASK_STATE_DEAD: "dead",
}
SCOPES = {
    "GetStatus": "read",
    "ListTasks": "read",
    "GetMessageState": "read",
    "ReplayTasks": "admin",
    "ListAuditEntries": "admin",
}
_STATE_NUMBERS = {name: number for number, name in _STATES.items()}


class PipelineRpc(pipeline_pb2_grpc.PipelineServiceServicer):
    """Reads the gauges and the task table."""

    def __init__(self, database: Database, quotas: QuotaSettings) -> None:
        self._database, self._quotas = database, quotas

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        """Count rows, vectors and tasks of the workspace."""
        workspace = current_caller().workspace
        gauges = await read_gauges(self._database, workspace)
        async with self._database.transaction(workspace) as connection:
            rows = await connection.fetch("select * from spine.stages($1)", workspace)
            tokens_today = await connection.fetchval("select spine.tokens_today($1)", workspace)
        stages = [_stage(row) for row in rows]
        return pb.GetStatusResponse(
            **gauges,
            stages=stages,
            tasks_dead=sum(stage.dead for stage in stages),
            oldest_task_age_seconds=max((s.oldest_task_age_seconds for s in stages), default=0),
            quotas=pb.Quotas(
                calls_per_second=self._quotas.rate_calls_per_second,
                messages_per_second=self._quotas.rate_messages_per_second,
                llm_tokens_per_day=self._quotas.llm_tokens_per_day,
                llm_tokens_today=tokens_today,
            ),
        )

    async def ListTasks(self, request: pb.ListTasksRequest, context: Any) -> pb.ListTasksResponse:
        """List tasks, oldest first."""
        size = pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        wanted = Tasks(
            _STATES[request.state],
            request.stage,
            request.error_class,
            Span.read(request, "created_after", "created_before"),
        )
        after = position.uuid(0) if position else None
        workspace = current_caller().workspace
        async with self._database.transaction(workspace) as connection:
            rows = await list_tasks(connection, workspace, wanted, after, size)
        tasks, last = replies.page(rows, size, _task)
        token = pages.encode(request, [str(last["id"])]) if last else ""
        return pb.ListTasksResponse(tasks=tasks, next_page_token=token)

    async def GetMessageState(
        self, request: pb.GetMessageStateRequest, context: Any
    ) -> pb.GetMessageStateResponse:
        """Tell how far a message is."""
        workspace, message = current_caller().workspace, UUID(request.message_id)
        async with self._database.transaction(workspace) as connection:
            query = "select * from spine.message_state($1, $2)"
            row = await connection.fetchrow(query, workspace, message)
            if row is None:
                raise NotFound("message", request.message_id)
            subjects = [each for each in (message, row["window_id"]) if each]
            query = "select * from spine.tasks_of($1, $2)"
            tasks = await connection.fetch(query, workspace, subjects)
        return pb.GetMessageStateResponse(
            embeddable=row["embeddable"],
            embedded=row["embedded"],
            reading_state=_reading_state(row),
            window_id=str(row["window_id"] or ""),
            tasks=map(_task, tasks),
            atom_ids=map(str, row["atom_ids"]),
            topic_ids=map(str, row["topic_ids"]),
        )

    async def ReplayTasks(
        self, request: pb.ReplayTasksRequest, context: Any
    ) -> pb.ReplayTasksResponse:
        """Make dead tasks ready again; all of them a part at a time, each part in a transaction of its own."""
        workspace = current_caller().workspace
        if request.task_ids:
            ids = [UUID(task) for task in request.task_ids]
            async with self._database.transaction(workspace) as connection:
                replayed = await _replay(connection, workspace, request, ids, are_all=True)
            return pb.ReplayTasksResponse(replayed=replayed)
        replayed, after = 0, None
        wanted = Tasks("dead", request.stage)
        while True:
            place = (workspace, wanted, after, REPLAYED_MAX)
            async with self._database.transaction(workspace) as connection:
                ids = [row["id"] for row in await list_tasks(connection, *place)]
                if not ids:
                    return pb.ReplayTasksResponse(replayed=replayed)
                replayed += await _replay(
                    connection, workspace, request, ids, are_all=after is None
                )
            after = ids[-1]

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Any
    ) -> pb.ListAuditEntriesResponse:
        """List what was done with an admin's rights, newest first."""
        size = pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        begun = Span.read(request, "begun_after", "begun_before")
        before = position.uuid(0) if position else begun.last_id()
        asked = (request.action, request.outcome, begun.first, begun.end, begun.first_id(), before)
        workspace = current_caller().workspace
        async with self._database.transaction(workspace) as connection:
            rows = await _list_actions(connection, workspace, request.key_prefix, *asked, size)
        entries, last = replies.page(rows, size, _entry)
        token = pages.encode(request, [str(last["id"])]) if last else ""
        return pb.ListAuditEntriesResponse(entries=entries, next_page_token=token)


@dataclass(frozen=True)
class Tasks:
    """Which tasks are asked for: of a state, a stage and a class of failure, all if it is empty, and made in a span."""

    state: str
    stage: str
    error_class: str = ""
    made: Span = ALWAYS


async def list_tasks(
    connection: Connection, workspace: UUID, wanted: Tasks, after: UUID | None, limit: int
) -> list[Any]:
    """Return the next tasks after one of them, or the first, in order of id.

    Those that are not done and those that failed are looked for stage by stage, as their indexes have them: among all
    tasks they are few.
    """
    are_few = wanted.error_class or wanted.state not in ("", "done")
    stages = STAGES if are_few and not wanted.stage else [wanted.stage]
    made = wanted.made
    place = (made.first, made.end, after or made.first_id(), made.last_id(), limit)
    query = "select * from spine.tasks($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    found: list[Any] = []
    for stage in stages:
        asked = (workspace, wanted.state, stage, wanted.error_class)
        found += await connection.fetch(query, *asked, *place)
    return sorted(found, key=itemgetter("id"))[:limit]


async def _list_actions(
    connection: Connection, workspace: UUID, key_prefix: str, *asked: object
) -> list[Any]:
    """What is on record as spine.actions takes it, but of a key by its public part, or of all if that is empty."""
    key = None
    if key_prefix:
        query = "select spine.key_with_prefix($1, $2)"
        key = await connection.fetchval(query, workspace, public_part(key_prefix))
        if key is None:
            return []
    query = "select * from spine.actions($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    return list(await connection.fetch(query, workspace, key, *asked))


async def _replay(
    connection: Connection,
    workspace: UUID,
    request: pb.ReplayTasksRequest,
    ids: Sequence[UUID],
    *,
    are_all: bool,
) -> int:
    """Make some tasks ready; if they are all and a few, before what waits in backfills and history."""
    query = "select spine.replay($1, $2, $3, $4, $5)"
    soon = are_all and len(ids) <= REPLAYED_SOON_MAX
    arguments = (workspace, request.stage, ids, request.dry_run, soon)
    replayed: int = await connection.fetchval(query, *arguments)
    return replayed


def pipeline_servicer(database: Database) -> Servicer:
    """The servicer that every service adds to its own."""
    return Servicer(
        "winnow.pipeline.v1.PipelineService",
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server,
        PipelineRpc(database, QuotaSettings.read()),
        SCOPES,
    )


def _stage(row: Any) -> pb.StageStatus:
    fields = dict(row)
    age = fields.pop("oldest_seconds")
    return pb.StageStatus(**fields, oldest_task_age_seconds=max(0.0, age))


def _entry(row: Any) -> pb.AuditEntry:
    fields = dict(row)
    entry = pb.AuditEntry(id=str(fields.pop("id")), request_json=fields.pop("request"))
    entry.begun_at.FromDatetime(fields.pop("begun_at"))
    if ended_at := fields.pop("ended_at"):
        entry.ended_at.FromDatetime(ended_at)
    for name, value in fields.items():
        setattr(entry, name, value)
    return entry


def _reading_state(row: Any) -> "pb.ReadingState.ValueType":
    if row["window_id"]:
        return pb.READING_STATE_READ if row["read"] else pb.READING_STATE_WAITING
    return pb.READING_STATE_OPEN if row["pending"] else pb.READING_STATE_UNSPECIFIED


def _task(row: Any) -> pb.Task:
    fields = dict(row)
    created_at, available_at = Timestamp(), Timestamp()
    created_at.FromDatetime(fields.pop("created_at"))
    available_at.FromDatetime(fields.pop("available_at"))
    state = _STATE_NUMBERS[fields.pop("state")]
    fields["id"], fields["subject_id"] = str(fields["id"]), str(fields["subject_id"])
    return pb.Task(**fields, state=state, created_at=created_at, available_at=available_at)
