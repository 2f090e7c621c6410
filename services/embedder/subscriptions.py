"""The stage `embed`: texts in, vectors out, and never a vector of a text that has changed meanwhile."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.common.database import Connection, Database, Duplicate, LockTimeout
from services.common.errors import ItemFailed
from services.common.failpoints import reach
from services.common.outbox import Task, announce, enqueue
from services.common.work import Failed, Parked, Reason, Result
from services.embedder import store
from services.embedder.embedding import Encoder, Unread, embed_each
from services.embedder.generation_store import lock_for_writing
from services.embedder.generations import Generation, Generations
from services.embedder.outages import Outages
from services.embedder.specs import Spec, generation_of, parse
from services.embedder.store import Subject, SubjectText, SubjectVectors
from winnow.events.v1.events_pb2 import VectorsWritten
from winnow.types.v1 import types_pb2

KIND_NUMBERS = {
    "message": types_pb2.SUBJECT_KIND_MESSAGE,
    "atom": types_pb2.SUBJECT_KIND_ATOM,
    "topic": types_pb2.SUBJECT_KIND_TOPIC,
}


@dataclass(frozen=True)
class Gone:
    """A subject whose outdated vectors are to be removed."""

    kind: str
    subject_id: UUID
    generation: UUID


@dataclass(frozen=True)
class Left:
    """A subject that had its vectors when it was read, or another text than the one asked for."""


Outcome = SubjectVectors | Gone | Left | None
"""What a task comes to; None if there is nothing to do."""

Made = SubjectVectors | ItemFailed | Reason
"""What a text comes to: its vectors, its fault, or why its model is not asked."""

# Woken by whoever has the model; the hour is for replicas of a release that wakes nobody.
MODEL_MISSING = Reason(
    "model_missing", "the embedder that was asked lacks the model of the generation", 3600
)


class EmbedStage:
    """Embeds the subjects of tasks in the generations that their specs name; backfill can wait for all other work."""

    name = "embed"

    def __init__(
        self,
        database: Database,
        generations: Generations,
        outages: Outages,
        after_commit: Callable[[], None],
        *,
        can_wait: bool = False,
    ) -> None:
        self._database, self._generations, self._outages = database, generations, outages
        self._can_wait = can_wait
        self.after_commit = after_commit

    def divide(self, tasks: Sequence[Task]) -> Sequence[Sequence[Task]]:
        """Return the tasks of each generation, those last whose model has failed the most."""
        parts: dict[UUID | None, list[Task]] = defaultdict(list)
        for task in tasks:
            parts[generation_of(task.spec)].append(task)
        return [parts[each] for each in sorted(parts, key=self._failures)]

    def _failures(self, generation: UUID | None) -> int:
        return self._outages.failures(generation) if generation else 0

    def has_open_breaker(self) -> bool:
        """Whether the model of some live generation has been left alone, and has not answered since."""
        return self._outages.any_open(self._generations.live)

    async def perform(self, tasks: Sequence[Task]) -> Sequence[Result[Outcome] | Failed | Parked]:
        """Return what becomes of each task; what needs a model that is not here, or is left alone, is parked."""
        groups: dict[UUID, list[tuple[Task, Spec]]] = defaultdict(list)
        for task in tasks:
            spec = parse(task.spec)
            groups[spec.generation].append((task, spec))
        results: list[Result[Outcome] | Failed | Parked] = []
        for generation, asked in groups.items():
            results += await self._perform_in(await self._generations.find(generation), asked)
        return results

    async def _perform_in(
        self, generation: Generation | None, asked: Sequence[tuple[Task, Spec]]
    ) -> list[Result[Outcome] | Failed | Parked]:
        if generation is None:
            return [Result(task, None, 0) for task, _ in asked]
        subjects = await self._read(asked, generation.id)
        await reach("embed.read")
        wanted = [text for text in map(_wanted_of(subjects), asked) if text and not text.vectors]
        made = await self._make(generation, wanted)
        await reach("embed.encoded")
        return [_result(task, spec, subjects, made) for task, spec in asked]

    async def _make(
        self, generation: Generation, wanted: Sequence[SubjectText]
    ) -> dict[Subject, Made]:
        """Return what the model makes of texts, or why it is not asked; nothing else needs it."""
        if not wanted:
            return {}
        encoder = self._generations.encoder(generation)
        if encoder is None:
            return {text.key: MODEL_MISSING for text in wanted}
        why_not = self._outages.why_not(generation.id, can_wait=self._can_wait)
        if why_not:
            return {text.key: why_not for text in wanted}
        with self._outages.asking(generation.id, can_wait=self._can_wait):
            return await _embed(generation, encoder, wanted, self._can_wait)

    async def _read(
        self, asked: Sequence[tuple[Task, Spec]], generation: UUID
    ) -> dict[Subject, SubjectText]:
        workspace = asked[0][0].workspace
        keys = {(spec.kind, task.subject) for task, spec in asked if spec.text_sha256}
        if not keys:
            return {}
        async with self._database.transaction(workspace) as connection:
            return await store.read_subjects(connection, workspace, generation, keys)

    async def write(
        self, connection: Connection, workspace: UUID, results: Sequence[Result[Outcome]]
    ) -> None:
        """Store and remove vectors, and announce those that were stored.

        What had another text for a moment is asked for again: whoever changed it back found its task taken.
        """
        gone = [r.value for r in results if isinstance(r.value, Gone)]
        vectors = [r.value for r in results if isinstance(r.value, SubjectVectors)]
        if gone:
            await _remove(connection, workspace, gone)
            await reach("embed.removed")
        if vectors:
            await _write(connection, workspace, vectors)
        if left := [r.task for r in results if isinstance(r.value, Gone | Left)]:
            await _ask_again(connection, workspace, left)


def _wanted_of(
    subjects: dict[Subject, SubjectText],
) -> Callable[[tuple[Task, Spec]], SubjectText | None]:
    def find(asked: tuple[Task, Spec]) -> SubjectText | None:
        """The subject of a task if its text is still the one asked for."""
        task, spec = asked
        subject = subjects.get((spec.kind, task.subject))
        return subject if subject and subject.text_sha256 == spec.text_sha256 else None

    return find


async def _embed(
    generation: Generation, encoder: Encoder, wanted: Sequence[SubjectText], can_wait: bool
) -> dict[Subject, Made]:
    texts = [subject.text for subject in wanted]
    prefix = generation.model.passage_prefix
    embedded = await embed_each(encoder, texts, prefix, can_wait=can_wait)
    return {
        subject.key: vectors
        if isinstance(vectors, ItemFailed)
        else SubjectVectors(subject, generation.id, vectors.rows)
        for subject, vectors in zip(wanted, embedded, strict=True)
    }


def _result(
    task: Task,
    spec: Spec,
    subjects: dict[Subject, SubjectText],
    made: dict[Subject, Made],
) -> Result[Outcome] | Failed | Parked:
    key = (spec.kind, task.subject)
    subject = subjects.get(key)
    if spec.text_sha256 is None or subject is None:
        return Result(task, Gone(spec.kind, task.subject, spec.generation), 0)
    if subject.text_sha256 != spec.text_sha256:
        return Result(task, Left(), 0)
    if subject.vectors:
        return Result(task, Left(), subject.vectors)
    of_it = made[key]
    if isinstance(of_it, Unread):
        return Parked(task, Reason(of_it.error_class, str(of_it), 1))
    if isinstance(of_it, ItemFailed):
        return Failed(task, of_it)
    if isinstance(of_it, Reason):
        return Parked(task, of_it)
    return Result(task, of_it, len(of_it.rows))


async def _ask_again(connection: Connection, workspace: UUID, tasks: Sequence[Task]) -> None:
    """Reopen those of some tasks, which are done, whose text is current and has no vector all the same."""
    groups: dict[UUID, list[tuple[Task, Spec]]] = defaultdict(list)
    for task in tasks:
        spec = parse(task.spec)
        if spec.text_sha256:
            groups[spec.generation].append((task, spec))
    for generation, asked in groups.items():
        keys = {(spec.kind, task.subject) for task, spec in asked}
        wanted_of = _wanted_of(await store.read_subjects(connection, workspace, generation, keys))
        found = [(task, wanted_of((task, spec))) for task, spec in asked]
        if again := [task for task, subject in found if subject and not subject.vectors]:
            subjects, specs = [task.subject for task in again], [task.spec for task in again]
            await enqueue(connection, workspace, EmbedStage.name, subjects, specs, reopen=True)


async def _remove(connection: Connection, workspace: UUID, gone: Sequence[Gone]) -> None:
    await store.lock_for_removing(connection, workspace)
    groups: dict[UUID, list[Subject]] = defaultdict(list)
    for each in gone:
        groups[each.generation].append((each.kind, each.subject_id))
    for generation, subjects in groups.items():
        await store.remove_outdated(connection, workspace, generation, subjects)


async def _write(
    connection: Connection, workspace: UUID, vectors: Sequence[SubjectVectors]
) -> None:
    await store.lock_for_writing(connection, workspace)
    await reach("embed.locked")
    groups: dict[UUID, list[SubjectVectors]] = defaultdict(list)
    for each in vectors:
        groups[each.generation].append(each)
    for generation, group in sorted(groups.items()):
        if not await lock_for_writing(connection, generation):
            continue
        written = await write_current(connection, workspace, generation, group)
        await reach("embed.vectors_written")
        await store.ask_for_merging(connection, workspace, generation, written)
        await _announce(connection, workspace, generation, (each.key for each in written))
        await reach("embed.announced")


class _OutdatedError(Exception):
    """Some texts have changed since they were read."""

    def __init__(self, current: Sequence[SubjectVectors]) -> None:
        super().__init__()
        self.current = current


async def write_current(
    connection: Connection, workspace: UUID, generation: UUID, vectors: Sequence[SubjectVectors]
) -> Sequence[SubjectVectors]:
    """Write vectors and return those written; the vectors of texts that changed meanwhile are left out.

    The texts are looked at after the rows are written: a change that commits later makes a task whose own
    write waits for these rows, so the newest text always wins. LockTimeout if another holds for long what is written.
    """
    may_add = True
    while vectors:
        new = [v for v in vectors if may_add and not v.subject.held]
        others = [v for v in vectors if not may_add or v.subject.held]
        try:
            async with connection.transaction():
                await store.add_vectors(connection, workspace, generation, new)
                await store.replace_vectors(connection, workspace, generation, others)
                texts = await store.current_texts(connection, workspace, [v.key for v in vectors])
                current = [v for v in vectors if texts.get(v.key) == v.subject.text_sha256]
                if len(current) < len(vectors):
                    raise _OutdatedError(current)
            return vectors
        except (Duplicate, LockTimeout):
            if not may_add:
                # Trying on would keep the locks of this transaction for as long, and all who wait for them.
                raise
            may_add = False
        except _OutdatedError as error:
            vectors = error.current
    return vectors


async def _announce(
    connection: Connection, workspace: UUID, generation: UUID, subjects: Iterable[Subject]
) -> None:
    for kind, ids in store.by_kind(subjects).items():
        fact = VectorsWritten(
            generation_id=str(generation),
            kind=KIND_NUMBERS[kind],
            subject_ids=[str(subject) for subject in ids],
        )
        await announce(connection, workspace, "vectors_written", fact)
