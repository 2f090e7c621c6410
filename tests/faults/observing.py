"""What is left of a schedule: waits until nothing is left to do, and notes every row that the invariants look at."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import grpc
import nats
from nats.aio.msg import Msg

from services.common.bus import TASKS_STREAM
from services.common.channels import CHANNEL_OPTIONS
from tests.faults import journal
from tests.faults.history import History
from tests.faults.plans import POISON
from tests.faults.stack import AWAY, Stack
from winnow.search.v1 import search_pb2, search_pb2_grpc
from winnow.types.v1 import types_pb2

# Seconds on a quiet machine; on a crowded one, starting a process alone may take half a minute.
QUIET_SECONDS = 120.0
_REFUSED = "$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED"

_OPEN = """select
  (select count(*) from spine.task where workspace_id = $1 and state in ('ready', 'leased'))
  + (select count(*) from extractor.pending_message where workspace_id = $1)
  + (select count(*) from spine.event where workspace_id = $1)"""

_ROWS = {
    "message": """select m.id, m.external_id as key, s.external_id as source, m.text,
        m.deleted_at is not null as deleted, m.importance_label as label,
        (select count(*) from extractor.window_message w where w.workspace_id = $1 and w.message_id = m.id) as windows
      from ingest.message m join ingest.source s on s.workspace_id = $1 and s.id = m.source_id
      where m.workspace_id = $1""",
    "task": """select id, stage, subject_id as subject, spec, state, attempts, fence, result_count as results,
        error_class from spine.task where workspace_id = $1""",
    "run": """select id, task_id as task, window_id as window, outcome, atom_count as atoms from extractor.run
      where workspace_id = $1 order by id""",
    "window": """select w.id,
        (select count(*) from extractor.atom a where a.workspace_id = $1 and a.window_id = w.id
          and (a.retired_at is null or a.merged_into is not null)) as atoms,
        (select coalesce(bool_or(m.text like '%' || $2 || '%'), false) from ingest.message m
          where m.workspace_id = $1 and m.source_id = w.source_id) as poison,
        exists (select from extractor.window_message x
          join ingest.message m on m.workspace_id = $1 and m.id = x.message_id and m.edited_at is not null
          where x.workspace_id = $1 and x.window_id = w.id) as rewritten
      from extractor.conversation_window w where w.workspace_id = $1""",
    "misquote": """select e.atom_id as atom, e.quote from extractor.atom_evidence e
      join extractor.atom a on a.workspace_id = $1 and a.id = e.atom_id and a.retired_at is null
      join ingest.message m on m.workspace_id = $1 and m.id = e.message_id
      where e.workspace_id = $1 and (m.deleted_at is not null or strpos(m.text, e.quote) = 0)""",
    "vector": """select v.kind, v.subject_id as subject, encode(v.text_sha256, 'hex') as text_sha256,
        abs(l2_norm(v.embedding) - 1) < 0.01 as unit
      from embedder.vector v where v.workspace_id = $1""",
    "embeddable": """select kind, subject_id as subject, encode(text_sha256, 'hex') as text_sha256
      from spine.embeddable where workspace_id = $1""",
    # What structure read where the provider gave no answer may quote poison, and is as unfit for the model as that.
    "poisonous": """select k.id, e.subject_id is not null as embeddable
      from (select a.id, a.title || a.content as words from extractor.atom a where a.workspace_id = $1
        union all select t.id, t.title from extractor.topic t where t.workspace_id = $1) k
      left join spine.embeddable e on e.workspace_id = $1 and e.subject_id = k.id
      where k.words like '%' || $2 || '%'""",
    "journal": journal.ROWS,
    "ungrounded": """select a.id from extractor.atom a where a.workspace_id = $1 and a.retired_at is null
      and not exists (select from extractor.atom_evidence e where e.workspace_id = $1 and e.atom_id = a.id)""",
}


class Observer:
    """Looks at one workspace as nobody else may."""

    def __init__(self, stack: Stack, workspace: UUID, history: History) -> None:
        self._stack, self._workspace, self._history = stack, workspace, history

    async def until_quiet(self, seconds: float = QUIET_SECONDS) -> float | None:
        """Wait until nothing is open; return how long it took, or None if it did not end."""
        loop = asyncio.get_running_loop()
        began, left = loop.time(), -1
        while loop.time() < began + seconds:
            try:
                admin = await self._stack.admin()
                try:
                    while loop.time() < began + seconds:
                        left = await admin.fetchval(_OPEN, self._workspace)
                        if left == 0:
                            return loop.time() - began
                        await asyncio.sleep(0.1)
                finally:
                    await admin.close(timeout=1)
            except (OSError, TimeoutError, *AWAY):
                await asyncio.sleep(0.1)
        self._history.note("busy", open=left, tasks=await self._still_open())
        return None

    async def _still_open(self) -> list[dict[str, Any]]:
        admin = await self._stack.admin()
        rows = await admin.fetch(
            """select stage, state, attempts, fence, spec, error_class, error, hint_count,
                 hint_at::text as hint_at, lease_until::text as lease_until, now()::text as now from spine.task
               where workspace_id = $1 and state in ('ready', 'leased') limit 20""",
            self._workspace,
        )
        await admin.close()
        return [{name: str(value) for name, value in row.items()} for row in rows]

    @asynccontextmanager
    async def watching_lateness(self) -> AsyncIterator[None]:
        """Note how late this process itself was at the worst: no call can be blamed for that."""
        loop, worst = asyncio.get_running_loop(), 0.0

        async def watch() -> None:
            nonlocal worst
            while True:
                due = loop.time() + 0.05
                await asyncio.sleep(0.05)
                worst = max(worst, loop.time() - due)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            self._history.note("late", seconds=round(worst, 3))

    @asynccontextmanager
    async def watching_refusals(self) -> AsyncIterator[None]:
        """Note whenever a worker asks for a hint again, by the broker's clock."""

        async def note(message: Msg) -> None:
            told = json.loads(message.data)
            moment = datetime.fromisoformat(told["timestamp"][:26].rstrip("Z"))
            self._history.note(
                "refused",
                consumer=told["consumer"],
                hint=told["stream_seq"],
                moment=moment.replace(tzinfo=UTC).timestamp(),
            )

        client = await nats.connect(
            self._stack.nats.url,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,
            error_cb=_ignore,
        )
        try:
            await client.subscribe(f"{_REFUSED}.{TASKS_STREAM}.*", cb=note)
            yield
        finally:
            await client.close()

    async def note_rows(self) -> None:
        """Write down every row of the workspace."""
        admin = await self._stack.admin()
        for kind, query in _ROWS.items():
            arguments = [POISON] if "$2" in query else []
            for row in await admin.fetch(query, self._workspace, *arguments):
                values = {n: str(v) if isinstance(v, UUID) else v for n, v in row.items()}
                self._history.note("row", table=kind, **values)
        await admin.close()

    async def search(self, metadata: tuple[tuple[str, str], ...], words: list[str]) -> None:
        """Note for each word which messages a search for it finds."""
        async with grpc.aio.insecure_channel(
            self._stack.search_address, options=CHANNEL_OPTIONS
        ) as channel:
            stub = search_pb2_grpc.SearchServiceStub(channel)
            for word in words:
                request = search_pb2.SearchRequest(
                    query=word,
                    mode=search_pb2.SEARCH_MODE_KEYWORD,
                    kinds=[types_pb2.SUBJECT_KIND_MESSAGE],
                    page_size=5,
                )
                reply = await stub.Search(
                    request, metadata=metadata, timeout=60, wait_for_ready=True
                )
                found = [result.message.external_id for result in reply.results]
                self._history.note("found", word=word, keys=found)


async def _ignore(error: Exception) -> None:
    """The broker is meant to go away."""
