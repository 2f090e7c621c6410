"""Asks for windows to be read: which of them, and which before others."""

from collections.abc import Sequence
from uuid import UUID

from services.common.database import Connection
from services.common.outbox import enqueue_extraction
from services.common.stages import FRESH, HISTORY
from services.extractor import store


async def enqueue_reading(
    connection: Connection,
    workspace: UUID,
    windows: Sequence[UUID],
    engine_version: str,
    *,
    reopen: bool = False,
    revive: bool = False,
    is_waited_for: bool = False,
) -> None:
    """Ask for every window to be read as it stands now, unless it holds noise alone and never was.

    What was said long ago is read behind what is fresh, unless somebody waits for it. Of readings that were asked for
    before, those that are done are made again if reopened, and those that failed too often if revived.
    """
    texts = await store.window_texts(connection, workspace, sorted(set(windows)))
    known = await _windows_with_runs(connection, workspace, [text.window_id for text in texts])
    wanted = [text for text in texts if text.worth_reading or text.window_id in known]
    specs = [f"{engine_version}:{text.digest}" for text in wanted]
    subjects = [text.window_id for text in wanted]
    lanes = [FRESH if text.is_fresh or is_waited_for else HISTORY for text in wanted]
    place = (connection, workspace, subjects, specs, lanes)
    await enqueue_extraction(*place, reopen=reopen, revive=revive)


async def _windows_with_runs(
    connection: Connection, workspace: UUID, windows: Sequence[UUID]
) -> set[UUID]:
    rows = await connection.fetch(store.QUERIES["windows_with_runs"], workspace, windows)
    return {row["window_id"] for row in rows}
