"""The messages, atoms and topics of a page, in the words of the contract."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final, Self
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from services.common.database import Connection
from services.common.replies import fit_evidence
from services.common.stored import part_of
from services.search import store
from services.search.store import Row, Subject
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read, by id; an atom comes with its evidence and the messages that it is grounded in.

    Of evidence only what still stands, and no atom whose evidence is all gone: words that were deleted or edited away
    are gone at once, though the extractor has yet to read what is left.
    """

    messages: Mapping[UUID, Row] = field(default_factory=dict)
    atoms: Mapping[UUID, Row] = field(default_factory=dict)
    topics: Mapping[UUID, Row] = field(default_factory=dict)
    evidence: Mapping[UUID, Sequence[Row]] = field(default_factory=dict)

    @classmethod
    async def read(
        cls, connection: Connection, workspace: UUID, subjects: Sequence[Subject]
    ) -> Self:
        """Read subjects in one query a kind."""
        atom_ids = _ids(subjects, "atom")
        evidence = await store.evidence(connection, workspace, atom_ids) if atom_ids else {}
        grounds = {row["message_id"] for rows in evidence.values() for row in rows}
        message_ids = list(grounds.union(_ids(subjects, "message")))
        messages = await store.messages(connection, workspace, message_ids)
        standing = {atom: _standing(rows, messages) for atom, rows in evidence.items()}
        atoms = await store.atoms(connection, workspace, atom_ids)
        # What rested on words that are gone says them.
        kept = {atom: row for atom, row in atoms.items() if standing[atom] or not evidence[atom]}
        topics = await store.topics(connection, workspace, _ids(subjects, "topic"))
        return cls(messages, kept, topics, standing)

    def __contains__(self, subject: Subject) -> bool:
        return subject.id in self._of(subject.kind)

    def write(self, subject: Subject, result: pb.SearchResult) -> None:
        """Write a subject into the field that holds it."""
        row = self._of(subject.kind)[subject.id]
        if subject.kind == "message":
            write_message(row, result.message)
        elif subject.kind == "atom":
            result.atom.MergeFrom(atom(row, self.evidence[subject.id], self.messages))
        else:
            result.topic.MergeFrom(topic(row))

    def texts(self, subject: Subject) -> dict[str, str]:
        """The texts that a subject is found by, by the names of their fields."""
        row = self._of(subject.kind)[subject.id]
        names = {"message": ("text",), "atom": ("title", "content"), "topic": ("title",)}
        return {name: row[name] for name in names[subject.kind]}

    def _of(self, kind: str) -> Mapping[UUID, Row]:
        return {"message": self.messages, "atom": self.atoms, "topic": self.topics}[kind]


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A point in time; None stays unset."""
    if moment is None:
        return None
    made = Timestamp()
    _write_time(moment, made)
    return made


def _write_time(moment: datetime, into: Timestamp) -> None:
    # As FromDatetime has it, at a tenth of its cost: a page has dozens of them.
    since = moment - _EPOCH
    into.seconds, into.nanos = since.days * 86400 + since.seconds, since.microseconds * 1000


def message(row: Row) -> types.Message:
    """A message with all that is stored of it."""
    made = types.Message()
    write_message(row, made)
    return made


def write_message(row: Row, into: types.Message) -> None:
    """Write all that is stored of a message: in place, since protobuf copies whatever is put into another message."""
    into.id, into.source_id = str(row["id"]), str(row["source_id"])
    into.external_id, into.thread_id = row["external_id"], row["thread_id"]
    into.reply_to_external_id, into.source_title = row["reply_to_external_id"], row["source_title"]
    author, importance = into.author, into.importance
    author.external_id, author.name = row["author_external_id"], row["author_name"]
    author.is_bot = row["author_is_bot"]
    into.text = row["text"]
    _write_time(row["sent_at"], into.sent_at)
    _write_time(row["received_at"], into.received_at)
    if row["edited_at"] is not None:
        _write_time(row["edited_at"], into.edited_at)
    if row["entities"]:
        into.entities.extend(_parsed(row["entities"], types.Entity))
    if row["attachments"]:
        into.attachments.extend(_parsed(row["attachments"], types.Attachment))
    if row["forwarded_from"] is not None:
        origin = part_of(types.ForwardOrigin, json.loads(row["forwarded_from"]))
        into.forwarded_from.CopyFrom(origin)
    importance.score, importance.version = row["importance_score"], row["importance_version"]
    importance.label = number(types.ImportanceLabel, row["importance_label"])
    importance.factors.extend(_factors(row["importance_factors"]))


def atom(row: Row, evidence: Sequence[Row], messages: Mapping[UUID, Row]) -> types.Atom:
    """An atom with its evidence, as far as a reply holds that."""
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
        evidence=[_evidence(each, messages[each["message_id"]]) for each in evidence],
        valid_from=timestamp(row["valid_from"]),
        valid_to=timestamp(row["valid_to"]),
        created_at=timestamp(row["created_at"]),
        updated_at=timestamp(row["updated_at"]),
        source_id=str(row["source_id"]),
    )
    fit_evidence(made)
    return made


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


@cache
def number(enum: Any, name: str) -> Any:
    """The number of an enum's value by the name that tables use, for example `solution`."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return enum.Value(prefix + name.upper())


def name(enum: Any, value: int) -> str:
    """The name that tables use for an enum's value."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    return str(enum.Name(value)).removeprefix(prefix).lower()


def _standing(evidence: Sequence[Row], messages: Mapping[UUID, Row]) -> list[Row]:
    """The evidence whose words still stand in a message that may be shown."""
    return [
        row
        for row in evidence
        if row["message_id"] in messages and row["quote"] in messages[row["message_id"]]["text"]
    ]


def _evidence(row: Row, grounds: Row) -> types.Evidence:
    return types.Evidence(
        message_id=str(row["message_id"]),
        quote=row["quote"],
        offset=row["quote_offset"],
        message=message(grounds),
    )


def _parsed(value: str, kind: type[Any]) -> list[Any]:
    """Read a stored JSON list of spans or files."""
    return [part_of(kind, item) for item in json.loads(value)]


@lru_cache(maxsize=4096)
def _factors(value: str) -> tuple[types.ImportanceFactor, ...]:
    """Read a stored JSON object of factors, of which there are few different ones; the largest comes first."""
    factors = sorted(json.loads(value).items(), key=lambda item: (-item[1], item[0]))
    return tuple(types.ImportanceFactor(name=key, value=addend) for key, addend in factors)


def _ids(subjects: Sequence[Subject], kind: str) -> list[UUID]:
    return [subject.id for subject in subjects if subject.kind == kind]
