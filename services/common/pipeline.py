"""PipelineService: every service answers for the rows, vectors and tasks of the caller's workspace."""

from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from services.common import pages
from services.common.database import Database
from services.common.rpc import current_caller
from services.common.service import Servicer
from winnow.pipeline.v1 import pipeline_pb2 as pb
from winnow.pipeline.v1 import pipeline_pb2_grpc

_NIL = UUID(int=0)
_STATES = {
    pb.TASK_STATE_UNSPECIFIED: "",
    pb.TASK_STATE_READY: "ready",
    pb.TASK_STATE_LEASED: "leased",
    pb.TASK_STATE_DONE: "done",
    pb.TASK_STATE_DEAD: "dead",
}
_STATE_NUMBERS = {name: number for number, name in _STATES.items()}


class PipelineRpc(pipeline_pb2_grpc.PipelineServiceServicer):
    """Reads the gauges and the task table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def GetStatus(self, request: pb.GetStatusRequest, context: Any) -> pb.GetStatusResponse:
        """Count rows, vectors and tasks of the workspace."""
        workspace = current_caller().workspace
        async with self._database.transaction(workspace) as connection:
            gauges = await connection.fetchrow("select * from spine.gauges($1)", workspace)
            rows = await connection.fetch("select * from spine.stages($1)", workspace)
        stages = [_stage(row) for row in rows]
        return pb.GetStatusResponse(
            **dict(gauges or {}),
            stages=stages,
            tasks_dead=sum(stage.dead for stage in stages),
            oldest_task_age_seconds=max((s.oldest_task_age_seconds for s in stages), default=0),
        )

    async def ListTasks(self, request: pb.ListTasksRequest, context: Any) -> pb.ListTasksResponse:
        """List tasks, oldest first."""
        size = pages.size_of(request.page_size)
        position = pages.decode(request, 1)
        after = position.uuid(0) if position else _NIL
        workspace = current_caller().workspace
        arguments = (workspace, _STATES[request.state], request.stage, after, size)
        async with self._database.transaction(workspace) as connection:
            rows = await connection.fetch(
                "select * from spine.tasks($1, $2, $3, $4, $5)", *arguments
            )
        token = pages.encode(request, [str(rows[-1]["id"])]) if len(rows) == size else ""
        return pb.ListTasksResponse(tasks=[_task(row) for row in rows], next_page_token=token)

    async def ReplayTasks(
        self, request: pb.ReplayTasksRequest, context: Any
    ) -> pb.ReplayTasksResponse:
        """Make dead tasks ready again."""
        workspace = current_caller().workspace
        ids = [UUID(task) for task in request.task_ids]
        async with self._database.transaction(workspace) as connection:
            replayed = await connection.fetchval(
                "select spine.replay($1, $2, $3, $4)",
                workspace,
                request.stage,
                ids,
                request.dry_run,
            )
        return pb.ReplayTasksResponse(replayed=replayed)


def pipeline_servicer(database: Database) -> Servicer:
    """The servicer that every service adds to its own."""
    return Servicer(
        "winnow.pipeline.v1.PipelineService",
        pipeline_pb2_grpc.add_PipelineServiceServicer_to_server,
        PipelineRpc(database),
        {"GetStatus": "read", "ListTasks": "read", "ReplayTasks": "admin"},
    )


def _stage(row: Any) -> pb.StageStatus:
    fields = dict(row)
    age = fields.pop("oldest_seconds")
    return pb.StageStatus(**fields, oldest_task_age_seconds=max(0.0, age))


def _task(row: Any) -> pb.Task:
    fields = dict(row)
    created_at, available_at = Timestamp(), Timestamp()
    created_at.FromDatetime(fields.pop("created_at"))
    available_at.FromDatetime(fields.pop("available_at"))
    state = _STATE_NUMBERS[fields.pop("state")]
    fields["id"], fields["subject_id"] = str(fields["id"]), str(fields["subject_id"])
    return pb.Task(**fields, state=state, created_at=created_at, available_at=available_at)
