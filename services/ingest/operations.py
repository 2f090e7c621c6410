"""Long-running operations: begun in one transaction with their tasks, and followed by their ids."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from services.common import pages, replies, sql
from services.common.database import Connection, Database
from services.common.errors import FieldViolation, InvalidFields, NotFound
from services.ingest.rendering import time_of
from winnow.ingest.v1 import ingest_pb2 as pb

QUERIES = sql.load(Path(__file__).with_name("operations.sql"))
_KINDS = {"erase": pb.OPERATION_KIND_ERASE, "rescore": pb.OPERATION_KIND_RESCORE}


@dataclass(frozen=True, slots=True)
class NewOperation:
    """What is asked for, and in which request; the filters are those of a rescore."""

    kind: str
    request_id: UUID | None
    request_sha256: bytes | None
    dry_run: bool = False
    source_id: UUID | None = None
    sent_after: datetime | None = None
    sent_before: datetime | None = None


class Operations:
    """Begins operations and tells how far they are."""

    def __init__(self, database: Database, kick: Callable[[], None]) -> None:
        self._database, self._kick = database, kick

    async def begin(
        self,
        workspace: UUID,
        new: NewOperation,
        work: Callable[[Connection, UUID], Awaitable[None]],
    ) -> pb.Operation:
        """Make an operation and run `work` in its transaction, unless the request was made before."""

        async def attempt() -> UUID:
            async with self._database.transaction(workspace) as connection:
                return await _begin(connection, workspace, new, work)

        operation = await self._database.retrying(attempt)
        self._kick()
        return await self.get(workspace, operation)

    async def get(self, workspace: UUID, operation: UUID) -> pb.Operation:
        """Return an operation with its receipt, or raise NotFound."""
        async with self._database.transaction(workspace) as connection:
            row = await connection.fetchrow(QUERIES["operations"], workspace, operation, None, 1)
            if row is None:
                raise NotFound("operation", str(operation))
            return await _with_receipt(connection, workspace, row)

    async def page(
        self, workspace: UUID, request: pb.ListOperationsRequest
    ) -> pb.ListOperationsResponse:
        """Return a page of operations, newest first."""
        size, position = pages.size_of(request.page_size), pages.decode(request, 1)
        before = position.uuid(0) if position else None
        async with self._database.transaction(workspace) as connection:
            rows = await connection.fetch(QUERIES["operations"], workspace, None, before, size)
        listed, last = replies.page(rows, size, _operation)
        token = pages.encode(request, [str(last["id"])]) if last else ""
        return pb.ListOperationsResponse(operations=listed, next_page_token=token)


async def _begin(
    connection: Connection,
    workspace: UUID,
    new: NewOperation,
    work: Callable[[Connection, UUID], Awaitable[None]],
) -> UUID:
    if new.request_id:
        # Two requests at once with the same id: the second waits for the first, and finds it.
        await connection.execute(
            "select pg_advisory_xact_lock(hashtextextended('ingest.operation:' || $1::text, 0))",
            str(new.request_id),
        )
        known = await connection.fetchrow(
            QUERIES["operation_of_request"], workspace, new.request_id
        )
        if known and not _is_repeat(known, new):
            raise InvalidFields(FieldViolation("request_id", "another request had it"))
        if known:
            operation: UUID = known["id"]
            return operation
    if new.source_id:
        await check_source(connection, workspace, new.source_id)
    operation = await connection.fetchval(
        QUERIES["add_operation"],
        workspace,
        new.kind,
        new.dry_run,
        new.source_id,
        new.sent_after,
        new.sent_before,
        new.request_id,
        new.request_sha256,
    )
    await work(connection, operation)
    return operation


def _is_repeat(known: Any, new: NewOperation) -> bool:
    """Whether the request that made an operation asked for the same; of those from before only the kind is known."""
    same = known["request_sha256"] in (None, new.request_sha256)
    return same and bool(known["kind"] == new.kind)


async def check_source(connection: Connection, workspace: UUID, source: UUID) -> None:
    """Raise NotFound unless the workspace has the source."""
    if not await connection.fetchval(QUERIES["source_exists"], workspace, source):
        raise NotFound("source", str(source))


def _operation(row: Any) -> pb.Operation:
    done = not row["open"] and not row["dead"]
    return pb.Operation(
        id=str(row["id"]),
        kind=_KINDS[row["kind"]],
        state=pb.OPERATION_STATE_SUCCEEDED if done else pb.OPERATION_STATE_RUNNING,
        created_at=time_of(row["created_at"]),
        finished_at=time_of(row["finished_at"] or row["created_at"]) if done else None,
        tasks_dead=row["dead"],
    )


async def _with_receipt(connection: Connection, workspace: UUID, row: Any) -> pb.Operation:
    found, name = _operation(row), f"{row['kind']}_receipt"
    receipt = dict(await connection.fetchrow(QUERIES[name], workspace, row["id"]) or {})
    if row["kind"] == "erase":
        done = found.state == pb.OPERATION_STATE_SUCCEEDED
        verified = done and receipt["remaining"] == receipt["waiting"] == 0
        found.receipt.CopyFrom(pb.ErasureReceipt(**receipt, verified=verified))
        return found
    labels = sum(receipt[f"became_{label}"] for label in ("noise", "weak", "signal"))
    found.rescore_receipt.CopyFrom(
        pb.RescoreReceipt(**receipt, labels_changed=labels, dry_run=row["dry_run"])
    )
    return found
