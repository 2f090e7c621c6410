"""What the extractor reacts to: messages that come, change or go, and windows that are ready to be read."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.common import metrics, tracing
from services.common.database import Connection, Database
from services.common.errors import DatabaseUnavailable
from services.common.failpoints import reach
from services.common.ids import uuid7
from services.common.outbox import Task, announce, awaited, enqueue, enqueue_embedding
from services.common.work import Result
from services.extractor import bonds, knowledge, rules, store
from services.extractor.conversations import close_window, conversations
from services.extractor.extraction import Engine, Extraction, MessageId, Window, WindowMessage
from services.extractor.readings import enqueue_reading
from services.extractor.rules import NO_RULE, ApprovalRule
from services.extractor.spending import Cost, Spending, metered
from services.extractor.store import RunRecord
from services.extractor.windows import WindowLimits, with_context
from winnow.events.v1.events_pb2 import AtomsExtracted

log = logging.getLogger(__name__)

_NEVER = datetime.min.replace(tzinfo=UTC)

_HASH_DIGITS = 64
# So many runs of new messages are taken up early, because others that came after them are being cut.
AWAITED_MAX = 40
# While more of them wait, a request to close is looked at again after so long.
CLOSE_AGAIN = timedelta(seconds=1)
# What was read, or its error, waits no longer than this for its cost to be counted.
BOOKING_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """What a task of the stage `window` asks: new messages of a source, a changed message, or another look.

    A message is rewritten if its text has changed, and not if it was deleted or is worth more than before.
    `moment` is when a look at a tail was due.
    """

    subject: UUID
    kind: str
    first: UUID | None = None
    last: UUID | None = None
    is_rewritten: bool = False
    is_deleted: bool = False
    moment: datetime | None = None

    @classmethod
    def read(cls, task: Task) -> "WindowRequest":
        """Read a spec: `new:<id>:<id>`, `changed:<hash>`, `tail:…` or `close:…`; ValueError for anything else."""
        kind, _, rest = task.spec.partition(":")
        if kind == "new":
            return cls(task.subject, kind, *span(task.spec))
        if kind == "tail":
            _, _, moment = rest.partition(":")
            return cls(
                task.subject, kind, moment=datetime.fromisoformat(moment) if moment else None
            )
        if kind not in ("changed", "close"):
            raise ValueError(f"spec: {task.spec!r} asks for nothing known")
        is_rewritten, is_deleted = len(rest) == _HASH_DIGITS, rest == "deleted"
        return cls(task.subject, kind, is_rewritten=is_rewritten, is_deleted=is_deleted)


def span(spec: str) -> tuple[UUID, UUID]:
    """The first and the last of the messages that a spec `new:<id>:<id>` means."""
    _, first, last = spec.split(":")
    return UUID(first), UUID(last)


class WindowStage:
    """Cuts conversations into windows; all of it is one short transaction.

    Hints come in any order and tasks may be late, but where windows end must not depend on it: what has been accepted
    of a source and waits for its own task is taken up first.
    """

    name = "window"

    def __init__(self, limits: WindowLimits, engine_version: str, kick: Callable[[], None]) -> None:
        self._limits, self._engine_version, self._kick = limits, engine_version, kick

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[WindowRequest]]:
        """Read what is asked."""
        return [Result(task, WindowRequest.read(task), 0) for task in tasks]

    async def lock(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[WindowRequest]]
    ) -> None:
        """Lock the sources, also of changed messages: nobody asks for the same windows in another order."""
        requests = [result.value for result in results]
        changed = sorted({r.subject for r in requests if r.kind == "changed"})
        sources = {r.subject for r in requests if r.kind != "changed"}
        await store.lock_for_writing(connection, workspace)
        touched = sources | await store.sources_of(connection, workspace, changed)
        await store.lock_sources(connection, workspace, touched)
        await reach("window.locked")

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[WindowRequest]]
    ) -> None:
        """Move messages into windows, and make a task for every window worth reading."""
        requests = [result.value for result in results]
        changed = sorted({r.subject for r in requests if r.kind == "changed"})
        closing = {r.subject for r in requests if r.kind == "close"}
        sources = {r.subject for r in requests if r.kind != "changed"}
        for request in requests:
            if request.first and request.last:
                ends = (request.first, request.last)
                await store.add_pending(connection, workspace, request.subject, *ends)
                await reach("window.pending_added")
        await store.drop_deleted_pending(connection, workspace, changed)
        rewritten = sorted({r.subject for r in requests if r.is_rewritten})
        windows = await store.windows_of(connection, workspace, rewritten)
        altered = sorted({r.subject for r in requests if r.is_rewritten or r.is_deleted})
        windows += await store.windows_that_quote(connection, workspace, altered, self._limits)
        # A text may return to what it was, whose reading is done long since; what only quotes another is the same.
        await enqueue_reading(connection, workspace, windows, self._engine_version, reopen=True)
        windows = await store.windows_of(connection, workspace, changed)
        for source in sorted(sources):
            before = await self._take_up(connection, workspace, source)
            closes = source in closing
            if closes and before is not None:
                await self._close_later(connection, workspace, source, before)
                closes = False
            due = [r.moment for r in requests if r.subject == source and r.moment]
            now = _NEVER if before is not None else await _now(connection, due)
            windows += await self._cut(connection, workspace, source, closes, before, now)
        await enqueue_reading(connection, workspace, windows, self._engine_version)
        await reach("window.reading_asked")

    def after_commit(self) -> None:
        """The relay may find windows to read."""
        self._kick()

    async def _take_up(self, connection: Connection, workspace: UUID, source: UUID) -> UUID | None:
        """Put what has come in of a source into its open windows; return the first message that must wait further."""
        asked = (self.name, source, "new:", AWAITED_MAX + 1)
        spans = [span(spec) for spec in await awaited(connection, workspace, *asked)]
        for first, last in spans[:AWAITED_MAX]:
            await store.add_pending(connection, workspace, source, first, last)
        return spans[AWAITED_MAX][0] if len(spans) > AWAITED_MAX else None

    async def _close_later(
        self, connection: Connection, workspace: UUID, source: UUID, before: UUID
    ) -> None:
        """Close a source's conversations when messages from `before` on are there, too: whoever asked has seen them."""
        moment = await connection.fetchval("select now() + $1::interval", CLOSE_AGAIN)
        place = (connection, workspace, self.name, [source], [f"close:{before}"])
        await enqueue(*place, moment, reopen=True)

    async def _cut(
        self,
        connection: Connection,
        workspace: UUID,
        source: UUID,
        close: bool,
        before: UUID | None,
        now: datetime,
    ) -> list[UUID]:
        """Close what can be closed of a source's conversations; return the new windows.

        While messages from `before` on wait for their task, a tail stays open: that task looks at it again.
        """
        limits = replace(self._limits, age_max=timedelta(0)) if close else self._limits
        place = (connection, workspace, self.name, [source])
        looks = set(await awaited(connection, workspace, self.name, source, "tail:", None))
        windows: list[UUID] = []
        for talk in await conversations(connection, workspace, source, limits, before):
            result = talk.cut(now if talk.is_whole else _NEVER, limits)
            for number, run in enumerate(result.runs):
                reason = "request" if close and run.reason == "age" else run.reason
                goes_on = talk.window if number == 0 else None
                own = run.messages[len(talk.kept) :] if goes_on else run.messages
                windows.append(
                    await close_window(connection, workspace, source, reason, own, goes_on)
                )
                await reach("window.window_added")
            if not talk.is_whole:
                # What is left goes on where this ends. A task that found all of it open is not repeated; one that made
                # room for more is, though it was done before.
                spec = f"{'close' if close else 'tail'}:{talk.waiting[-1].message_id}"
                await enqueue(*place, [spec], reopen=bool(windows))
            if result.tail and result.look_again_at:
                # The moment tells tails apart that end in the same message: the look at another one may be long done.
                spec = f"tail:{result.tail[-1].message_id}:{result.look_again_at.isoformat()}"
                if spec not in looks:
                    # A look that could not close it yet may be done, and the clock before its moment again.
                    moment, reopen = result.look_again_at, talk.is_whole and now != _NEVER
                    await enqueue(*place, [spec], moment, reopen=reopen)
                await reach("window.tail_asked")
        return windows


async def _now(connection: Connection, due: Sequence[datetime]) -> datetime:
    """The database's time, but no moment before those that were due: its clock may be put back after it said so.

    A look that came before its own moment would leave it to itself, and be done.
    """
    now: datetime = await connection.fetchval("select now()")
    return max([now, *due])


@dataclass(frozen=True, slots=True)
class Reading:
    """What an engine found in a window, and how that went; `context` are the texts it saw besides the window's own."""

    source_id: UUID
    record: RunRecord
    extraction: Extraction
    sent_at: dict[UUID, datetime]
    context: dict[UUID, str] = field(default_factory=dict)


class ExtractStage:
    """Reads windows with an engine."""

    name = "extract"

    def __init__(
        self,
        database: Database,
        engine: Engine,
        model: str,
        limits: WindowLimits,
        kick: Callable[[], None],
        spending: Spending | None = None,
        rule: ApprovalRule = NO_RULE,
    ) -> None:
        self._database, self._engine, self._model = database, engine, model
        self._spending, self._rule = spending, rule
        self._limits, self._kick = limits, kick

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[Reading | None]]:
        """Read each window; one that is being erased, or has changed since then, is left to a newer task."""
        return [await self._read(task) for task in tasks]

    async def _read(self, task: Task) -> Result[Reading | None]:
        async with self._database.transaction(task.workspace) as connection:
            erasing = await store.windows_being_erased(connection, task.workspace, [task.subject])
            stored = await store.read_window(
                connection, task.workspace, task.subject, self._limits.seen_max
            )
        await reach("extract.read")
        if erasing or task.spec.rpartition(":")[2] != stored.digest:
            return Result(task, None, 0, answered=False)
        # What is gone is taken away without a model, however much was spent.
        if self._model and self._spending and stored.noise_count < len(stored.messages):
            await self._spending.check(task.workspace)
        known: dict[MessageId, WindowMessage] = {m.id: m for m in stored.parents.values()}
        window = with_context(stored.messages, stored.previous, known, self._limits)
        began = time.monotonic()
        extraction = (
            await self._extract(task.workspace, window) if stored.messages else Extraction()
        )
        await reach("extract.extracted")
        record = RunRecord(
            stored.id,
            task.id,
            f"{self._engine.name} {self._engine.version}",
            self._model if extraction.model_calls else "",
            self._engine.version,
            time.monotonic() - began,
            len(stored.messages),
            stored.noise_count,
        )
        times: dict[UUID, datetime] = {m.id: m.sent_at for m in window.messages}  # type: ignore[misc]
        context: dict[UUID, str] = {m.id: m.text for m in window.messages[: window.context]}  # type: ignore[misc]
        reading = Reading(stored.source_id, record, extraction, times, context)
        asked = not self._model or extraction.model_calls > 0
        return Result(task, reading, len(extraction.atoms), answered=asked)

    async def _extract(self, workspace: UUID, window: Window) -> Extraction:
        with tracing.span(
            "engine extract", engine=self._engine.name, messages=len(window.messages)
        ):
            with metered() as cost:
                try:
                    extraction = await self._engine.extract(window)
                finally:
                    await self._book(workspace, cost)
            tracing.note(model_calls=extraction.model_calls, tokens_in=extraction.tokens_in)
        return extraction

    async def _book(self, workspace: UUID, cost: Cost) -> None:
        """Count what a reading cost, also one that failed or was stopped, unless the database keeps that from being
        written.
        """
        metrics.TOKENS.labels("generation", "in").inc(cost.tokens_in)
        metrics.TOKENS.labels("generation", "out").inc(cost.tokens_out)
        if self._spending is not None and cost.model_calls:
            try:
                async with asyncio.timeout(BOOKING_SECONDS_MAX):
                    await self._spending.book(workspace, cost)
            except (DatabaseUnavailable, TimeoutError) as error:
                log.warning("%d tokens are not counted: %r", cost.tokens_in, error)

    async def lock(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Reading | None]]
    ) -> None:
        """Let nobody erase meanwhile."""
        await store.lock_for_writing(connection, workspace)

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Reading | None]]
    ) -> None:
        """Save what was read, with the tasks that embed it and the fact that announces it.

        What was read of a text that has changed meanwhile is left to a newer task: it may be erased. Where a message
        that was only seen is gone or has another text, the window is read again.
        """
        subjects = sorted({result.task.subject for result in results})
        erasing = await store.windows_being_erased(connection, workspace, subjects)
        subjects = [subject for subject in subjects if subject not in erasing]
        texts = await store.window_texts(connection, workspace, subjects)
        current = {(text.window_id, text.digest) for text in texts}
        revived: set[UUID] = set()
        for result in sorted(results, key=lambda result: result.task.subject):
            task, reading = result.task, result.value
            is_current = (task.subject, task.spec.rpartition(":")[2]) in current
            if (
                reading
                and is_current
                and await store.still_say(connection, workspace, reading.context)
            ):
                revived |= await self._save(connection, workspace, reading)
                continue
            if is_current:
                # What it was read from is gone; or it was another text for a moment, and whoever changed it back found
                # this task taken.
                spec = [task.spec]
                await enqueue(connection, workspace, self.name, [task.subject], spec, reopen=True)
        await bonds.compare_again(connection, workspace, revived)

    async def _save(
        self, connection: Connection, workspace: UUID, reading: Reading
    ) -> frozenset[UUID]:
        """Save a reading; return the atoms that must be compared again once all embedding is asked for."""
        run, window = uuid7(), reading.record.window_id
        await store.add_run(connection, workspace, run, reading.record, reading.extraction)
        await reach("extract.run_added")
        place = (workspace, reading.source_id, window, run)
        change = await knowledge.write(connection, *place, reading.extraction, reading.sent_at)
        await rules.apply(connection, workspace, self._rule, sorted(change.touched))
        await reach("extract.knowledge_written")
        for kind, subjects in (("atom", change.atoms), ("topic", change.topics)):
            hashes = list(subjects.values())
            await enqueue_embedding(
                connection, workspace, kind, list(subjects), hashes, reopen=True
            )
            await reach("extract.vectors_asked", kind)
        fact = AtomsExtracted(
            run_id=str(run),
            window_id=str(window),
            atom_ids=[str(atom) for atom in change.atoms],
            topic_ids=[str(topic) for topic in change.topics],
        )
        await announce(connection, workspace, "atoms_extracted", fact)
        await reach("extract.announced")
        return change.revived

    def after_commit(self) -> None:
        """The relay may find atoms to embed."""
        self._kick()
