"""Rows of the library as messages of the contract."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Any, Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.replies import REPLY_BYTES_MAX, Space, fit_evidence
from services.common.stored import part_of
from services.extractor.differing import word_changes
from services.extractor.manual import Plan
from services.extractor.neighbours import Surroundings
from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types

Row = Any
LINKS_BYTES_MAX: Final = 1 << 19


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A point in time; None stays unset."""
    if moment is None:
        return None
    result = Timestamp()
    result.FromDatetime(moment)
    return result


def number(enum: Any, name: str) -> Any:
    """The number of an enum's value by the name that tables use, for example `solution`."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return enum.Value(prefix + name.upper())


def name(enum: Any, value: int) -> str:
    """The name that tables use for an enum's value; empty for the unspecified one."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return "" if value == 0 else str(enum.Name(value)).removeprefix(prefix).lower()


def topic(row: Row) -> types.Topic:
    """A topic with its counts."""
    return types.Topic(
        id=str(row["id"]),
        title=row["title"],
        message_count=row["message_count"],
        atom_count=row["atom_count"],
        version=row["version"],
        first_message_at=timestamp(row["first_at"]),
        last_message_at=timestamp(row["last_at"]),
        source_id=str(row["source_id"]),
    )


def atom(
    row: Row, passages: Sequence[Row], messages: Mapping[UUID, Row] | None = None
) -> types.Atom:
    """An atom with its evidence as far as a reply holds that, and the messages themselves where they are given."""
    made = types.Atom(
        id=str(row["id"]),
        type=number(types.AtomType, row["type"]),
        title=row["title"],
        content=row["content"],
        confidence=row["confidence"],
        approval_state=number(types.ApprovalState, row["approval_state"]),
        version=row["version"],
        topic_id=str(row["topic_id"] or ""),
        topic_title=row["topic_title"] or "",
        evidence=[_evidence(passage, messages or {}) for passage in passages],
        valid_from=timestamp(row["valid_from"]),
        valid_to=timestamp(row["valid_to"]),
        created_at=timestamp(row["created_at"]),
        updated_at=timestamp(row["updated_at"]),
        source_id=str(row["source_id"]),
        invalidated_at=timestamp(row["invalidated_at"]),
        merged_into_id=str(row["merged_into"] or ""),
        superseded_by_id=str(row["superseded_by"] or ""),
        merged_count=row["merged_count"],
        approved_by_rule=row["approved_by_rule"],
    )
    fit_evidence(made)
    return made


def _evidence(passage: Row, messages: Mapping[UUID, Row]) -> types.Evidence:
    row = messages.get(passage["message_id"])
    return types.Evidence(
        message_id=str(passage["message_id"]),
        quote=passage["quote"],
        offset=passage["quote_offset"],
        message=message(row) if row else None,
    )


def message(row: Row) -> types.Message:
    """A message as evidence shows it."""
    return types.Message(
        id=str(row["id"]),
        source_id=str(row["source_id"]),
        external_id=row["external_id"],
        thread_id=row["thread_id"],
        reply_to_external_id=row["reply_to_external_id"],
        author=types.Author(
            external_id=row["author_external_id"],
            name=row["author_name"],
            is_bot=row["author_is_bot"],
        ),
        text=row["text"],
        sent_at=timestamp(row["sent_at"]),
        edited_at=timestamp(row["edited_at"]),
        importance=types.Importance(
            score=row["importance_score"],
            label=number(types.ImportanceLabel, row["importance_label"]),
        ),
        source_title=row["source_title"],
        forwarded_from=_origin(row["forwarded_from"]),
    )


def _origin(stored: str | None) -> types.ForwardOrigin | None:
    return None if stored is None else part_of(types.ForwardOrigin, json.loads(stored))


def link(row: Row) -> pb.AtomLink:
    """A link."""
    return pb.AtomLink(
        from_atom_id=str(row["from_atom_id"]),
        to_atom_id=str(row["to_atom_id"]),
        type=number(types.LinkType, row["type"]),
        confidence=row["confidence"],
        origin=number(pb.LinkOrigin, row["origin"]),
    )


def surroundings(
    start: UUID, found: Surroundings, atoms: Mapping[UUID, types.Atom]
) -> pb.ListAtomLinksResponse:
    """The links of an atom and where they lead, as far as a reply holds that."""
    neighbours = [
        pb.Neighbour(atom=atoms[each.atom], depth=each.depth, confidence=each.confidence)
        for each in found.reached
    ]
    shown = list(takewhile(Space(REPLY_BYTES_MAX - LINKS_BYTES_MAX).holds, neighbours))
    near = {start, *(each.atom for each in found.reached[: len(shown)])}
    among = [
        link(row)
        for row in found.links
        if row["from_atom_id"] in near and row["to_atom_id"] in near
    ]
    links = list(takewhile(Space(LINKS_BYTES_MAX).holds, among))
    truncated = len(shown) < len(neighbours) or len(links) < len(among)
    return pb.ListAtomLinksResponse(links=links, neighbours=shown, truncated=truncated)


def topic_version(row: Row) -> pb.TopicVersion:
    """A version of a topic."""
    return pb.TopicVersion(
        version=row["version"],
        title=row["title"],
        created_at=timestamp(row["created_at"]),
        change=number(pb.VersionChange, row["change"]),
        cause_topic_id=str(row["cause_topic_id"] or ""),
        message_count=row["message_count"],
        diff=_diff(row, "title"),
    )


def _diff(row: Row, *fields: str) -> list[pb.WordChange]:
    """How the words of fields differ from the version before."""
    return [
        pb.WordChange(field=field, kind=number(pb.WordChangeKind, kind), text=text)
        for field in fields
        if row[f"{field}_before"] is not None
        for kind, text in word_changes(row[f"{field}_before"], row[field])
    ]


def version(row: Row) -> pb.AtomVersion:
    """A version of an atom."""
    return pb.AtomVersion(
        version=row["version"],
        type=number(types.AtomType, row["type"]),
        title=row["title"],
        content=row["content"],
        approval_state=number(types.ApprovalState, row["approval_state"]),
        created_at=timestamp(row["created_at"]),
        run_id=str(row["run_id"] or ""),
        origin=number(pb.AtomOrigin, row["origin"]),
        reason=row["reason"] or "",
        reviewed_at=timestamp(row["reviewed_at"]),
        change=number(pb.VersionChange, row["change"]),
        cause_atom_id=str(row["cause_atom_id"] or ""),
        evidence_count=row["evidence_count"],
        diff=_diff(row, "type", "title", "content"),
    )


def plan(found: Plan) -> pb.ExtractMessagesResponse:
    """What is read, and the estimate."""
    return pb.ExtractMessagesResponse(
        messages=found.messages,
        windows=found.load.windows,
        windows_noise=found.load.windows_noise,
        messages_read=found.load.messages,
        tokens_estimated=found.tokens,
        seconds_estimated=found.seconds,
        runs_measured=found.runs_measured,
    )


def run(row: Row) -> pb.Run:
    """A run."""
    return pb.Run(
        id=str(row["id"]),
        window_id=str(row["window_id"]),
        engine=row["engine"],
        model=row["model"],
        prompt_version=row["prompt_version"],
        outcome=number(pb.RunOutcome, row["outcome"]),
        tokens_in=row["tokens_in"],
        tokens_out=row["tokens_out"],
        model_calls=row["model_calls"],
        duration_seconds=row["duration_seconds"],
        messages=row["message_count"],
        messages_noise=row["noise_count"],
        atoms=row["atom_count"],
        rejected=json.loads(row["rejected"]),
        created_at=timestamp(row["created_at"]),
    )
