"""Rows of the library as messages of the contract."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from winnow.extractor.v1 import extractor_pb2 as pb
from winnow.types.v1 import types_pb2 as types

Row = Any


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
    """An atom with its evidence, and the messages themselves where they are given."""
    return types.Atom(
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
    )


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
    )


def link(row: Row) -> pb.AtomLink:
    """A link."""
    return pb.AtomLink(
        from_atom_id=str(row["from_atom_id"]),
        to_atom_id=str(row["to_atom_id"]),
        type=number(types.LinkType, row["type"]),
        confidence=row["confidence"],
    )


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
