"""From rows to the wire."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.ingest.intake import Batch
from services.ingest.messages import NO_CONTENT_SHA256, Draft
from services.ingest.reading import (
    SOURCE_KINDS,
    Rejected,
    attachments_of,
    entities_of,
    origin_of,
)
from services.ingest.saving import Saved
from services.ingest.store import Kept, Score
from winnow.errors.v1.errors_pb2 import ErrorReason
from winnow.ingest.v1 import ingest_pb2 as pb
from winnow.types.v1 import types_pb2 as types

LABELS = {
    "noise": types.IMPORTANCE_LABEL_NOISE,
    "weak": types.IMPORTANCE_LABEL_WEAK,
    "signal": types.IMPORTANCE_LABEL_SIGNAL,
}
LABEL_NAMES = {number: name for name, number in LABELS.items()}
_KIND_NUMBERS = {name: number for number, name in SOURCE_KINDS.items()}


def message_of(row: Any, *, factors: bool) -> types.Message:
    """Render a stored message, with the factors of its importance if asked for."""
    score = Score(row["importance_score"], row["importance_label"], row["importance_factors"])
    return types.Message(
        id=str(row["id"]),
        source_id=str(row["source_id"]),
        external_id=row["external_id"],
        thread_id=row["thread_id"],
        reply_to_external_id=row["reply_to_external_id"],
        author=_author(row),
        text=row["text"],
        sent_at=time_of(row["sent_at"]),
        edited_at=time_of(row["edited_at"]),
        deleted_at=time_of(row["deleted_at"]),
        entities=entities_of(json.loads(row["entities"] or "[]")),
        attachments=attachments_of(json.loads(row["attachments"] or "[]")),
        importance=importance_of(score, row["importance_version"], factors=factors),
        received_at=time_of(row["received_at"]),
        source_title=row["source_title"],
        forwarded_from=origin_of(row["forwarded_from"]),
    )


def _author(row: Any) -> types.Author | None:
    author = types.Author(
        external_id=row["author_external_id"],
        name=row["author_name"],
        is_bot=row["author_is_bot"],
    )
    return author if author.ByteSize() else None


def importance_of(score: Score, version: str, *, factors: bool) -> types.Importance:
    """Render an importance."""
    return types.Importance(
        score=score.score,
        label=LABELS[score.label],
        factors=_factors(json.loads(score.factors).items()) if factors else (),
        version=version,
    )


def _factors(factors: Iterable[tuple[str, float]]) -> list[types.ImportanceFactor]:
    ordered = sorted(factors, key=lambda factor: (-factor[1], factor[0]))
    return [types.ImportanceFactor(name=name, value=value) for name, value in ordered]


def source_of(row: Any) -> pb.Source:
    """Render a stored source."""
    return pb.Source(
        id=str(row["id"]),
        kind=_KIND_NUMBERS[row["kind"]],
        external_id=row["external_id"],
        title=row["title"],
        created_at=time_of(row["created_at"]),
        message_count=row["message_count"],
    )


def time_of(moment: datetime | None) -> Timestamp | None:
    """Render a time."""
    if moment is None:
        return None
    rendered = Timestamp()
    rendered.FromDatetime(moment)
    return rendered


def is_asked_for_kept(frame: pb.StreamMessagesRequest) -> bool:
    """Whether the sender of a frame wants to know of what is kept instead of what was sent."""
    return frame.include_results or frame.include_superseded


class Results:
    """What became of a batch, as its sender is told."""

    def __init__(self, batch: Batch, saved: Saved, scorer_version: str, *, factors: bool) -> None:
        self._batch, self._saved, self._factors = batch, saved, factors
        self._scorer_version = scorer_version
        self._scores = {**batch.scored.scores, **saved.scored_again}

    def all(self) -> list[pb.IngestResult]:
        """One result a message, in the order sent."""
        return [self._result(each) for each in self._batch.sent]

    def acknowledgements(
        self, frames: Sequence[pb.StreamMessagesRequest]
    ) -> list[pb.StreamMessagesResponse]:
        """One for each of the frames that the batch was made of; they have no message in common."""
        found: list[pb.StreamMessagesResponse] = []
        start = 0
        for frame in frames:
            end = start + len(frame.messages)
            sent = self._batch.sent[start:end]
            found.append(self._acknowledgement(frame, sent))
            start = end
        return found

    def _acknowledgement(
        self, frame: pb.StreamMessagesRequest, sent: Sequence[Draft | Rejected]
    ) -> pb.StreamMessagesResponse:
        """The counts, with the results that were asked for and those of the rejected."""
        rejected = [each for each in sent if isinstance(each, Rejected)]
        keys = {each.external_id for each in sent if isinstance(each, Draft)}
        changed = [self._saved.changed[key] for key in keys & self._saved.changed.keys()]
        created = sum(each.created for each in changed)
        results = self._asked_for(frame, sent)
        return pb.StreamMessagesResponse(
            sequence=frame.sequence,
            created=created,
            updated=len(changed) - created,
            unchanged=len(sent) - len(changed) - len(rejected),
            rejected=len(rejected),
            results=results,
            superseded=sum(each.superseded for each in results),
        )

    def _asked_for(
        self, frame: pb.StreamMessagesRequest, sent: Sequence[Draft | Rejected]
    ) -> list[pb.IngestResult]:
        if frame.include_results:
            return [self._result(each) for each in sent]
        results = [
            self._result(each)
            for each in sent
            if isinstance(each, Rejected) or (frame.include_superseded and not self._is_saved(each))
        ]
        return [each for each in results if each.superseded or each.HasField("rejection")]

    def _is_saved(self, draft: Draft) -> bool:
        key = draft.external_id
        return key in self._saved.changed and self._batch.winners[key] is draft

    def _result(self, each: Draft | Rejected) -> pb.IngestResult:
        if isinstance(each, Rejected):
            return self._rejection(each)
        key, stored = each.external_id, self._saved.changed.get(each.external_id)
        winner = self._batch.winners[key]
        if stored is None or not self._is_saved(each):
            kept = (
                Kept(stored.id, winner.content_sha256, not stored.live)
                if stored
                else self._saved.unchanged[key]
            )
            is_erased = kept.content_sha256 == NO_CONTENT_SHA256
            return pb.IngestResult(
                external_id=self._called(key),
                outcome=pb.INGEST_OUTCOME_UNCHANGED,
                message_id=str(kept.id),
                superseded=each.content_sha256 != kept.content_sha256,
                erased=is_erased,
                deleted=kept.deleted and not is_erased,
            )
        created, updated = pb.INGEST_OUTCOME_CREATED, pb.INGEST_OUTCOME_UPDATED
        score, version = self._scores[key], self._scorer_version
        return pb.IngestResult(
            external_id=self._called(key),
            outcome=created if stored.created else updated,
            message_id=str(stored.id),
            importance=importance_of(score, version, factors=self._factors),
            deleted=not stored.live,
        )

    def _rejection(self, each: Rejected) -> pb.IngestResult:
        return pb.IngestResult(
            external_id=self._called(each.external_id),
            outcome=pb.INGEST_OUTCOME_REJECTED,
            rejection=pb.Rejection(
                reason=ErrorReason.ERROR_REASON_INVALID_FIELD,
                field=each.violation.field,
                description=each.violation.description,
            ),
        )

    def _called(self, key: str) -> str:
        """A key as it was sent."""
        return self._batch.called.get(key, key)
