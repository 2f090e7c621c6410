"""Conversations saved as ingest saves them, for tests of what the extractor makes of them."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.common.ids import uuid7
from tests.conftest import Deployment

BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)
TALK = [
    ("ann", "The nightly backup failed again with error 53100, disk full on db-2. Any idea why?"),
    ("bob", "The WAL archive was never pruned, so /var/lib/archive grew to 400 GB."),
    ("bob", "Fixed: I set archive_cleanup_command and freed the disk, the backup passes now."),
    ("ann", "thanks!"),
    ("ann", "Let's decide: we keep seven days of WAL, not thirty."),
    ("bob", "ok"),
]
NOISE = ("thanks!", "ok")


async def say(
    deployment: Deployment, talk: Sequence[tuple[str, str]], source: UUID | None = None
) -> tuple[UUID, list[UUID]]:
    """Save messages a minute apart as ingest would, and ask for their windows."""
    admin, workspace = deployment.admin, deployment.workspace
    if source is None:
        source = await admin.fetchval(
            """insert into ingest.source (workspace_id, kind, external_id) values ($1, 'api', $2)
               returning id""",
            workspace,
            str(uuid7()),
        )
    count = await admin.fetchval("select count(*) from ingest.message")
    ids = [uuid7() for _ in talk]
    for number, (identity, (author, text)) in enumerate(zip(ids, talk, strict=True), count):
        digest = hashlib.sha256(text.encode()).digest()
        label = "noise" if text in NOISE else "signal"
        await admin.execute(
            """insert into ingest.message (workspace_id, id, source_id, external_id,
                 author_external_id, text, sent_at, content_sha256, text_sha256,
                 importance_score, importance_label, importance_factors, importance_version)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $8, 0.5, $9, '[]', 'test')""",
            workspace,
            identity,
            source,
            str(number),
            author,
            text,
            BEGAN + timedelta(minutes=number),
            digest,
            label,
        )
    span = f"new:{ids[0]}:{ids[-1]}"
    await admin.execute(
        "select spine.enqueue($1, 'window', array[$2::uuid], array[$3])", workspace, source, span
    )
    return source, ids


async def settled(deployment: Deployment) -> None:
    """Wait until no task of the extractor is open and nothing waits in an open window."""
    for _ in range(1200):
        open_work = await deployment.admin.fetchval(
            """select (select count(*) from spine.task where state <> 'done' and stage in ('window', 'extract'))
                    + (select count(*) from extractor.pending_message)"""
        )
        if open_work == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(
        await deployment.admin.fetch("select * from spine.task where state <> 'done'")
    )


async def change(
    deployment: Deployment, message: UUID, text: str | None = None, deleted: bool = False
) -> None:
    """Edit or delete a message as ingest would."""
    digest = hashlib.sha256((text or "").encode()).digest()
    await deployment.admin.execute(
        """update ingest.message set text = coalesce($2, text), text_sha256 = $3,
             deleted_at = case when $4 then now() end where id = $1""",
        message,
        text,
        digest,
        deleted,
    )
    await deployment.admin.execute(
        "select spine.enqueue($1, 'window', array[$2::uuid], array[$3])",
        deployment.workspace,
        message,
        f"changed:{'deleted' if deleted else digest.hex()}",
    )


async def erase_content(deployment: Deployment, message: UUID) -> UUID:
    """Erase a message as ingest would, but for the tasks of the others; return the operation."""
    admin, workspace, operation = deployment.admin, deployment.workspace, uuid7()
    await admin.execute(
        "update ingest.message set text = '', text_sha256 = sha256(''), deleted_at = now() where id = $1",
        message,
    )
    await admin.execute(
        "insert into ingest.operation (workspace_id, id, kind) values ($1, $2, 'erase')",
        workspace,
        operation,
    )
    await admin.execute(
        "insert into ingest.erasure values ($1, $2, 0, array[$3::uuid])",
        workspace,
        operation,
        message,
    )
    return operation
