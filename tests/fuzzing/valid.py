"""Requests that a caller would send: fields filled as the contract's rules allow, with ids of rows that exist."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from tests.common.edge import class_of

DIMENSIONS = 384
FIRST_SECOND, LAST_SECOND, LATER_SECOND = 1_767_600_000, 1_767_690_000, 2_000_000_000
CONDITIONS_DEPTH = 3
WORDS = ("backup", "disk full", '"error 53100"', "резервна копія", "-archive backup", "pg_dump -Fc")
# What fields hold, by name, or by message and name where a name means several things.
VALUES: Mapping[str, Sequence[Any]] = {
    "query": WORDS,
    "text": WORDS,
    "texts": WORDS,
    "title": WORDS,
    "name": WORDS,
    "content": WORDS,
    "reason": ("", *WORDS),
    "model": ("fake",),
    "paths": ("type", "title", "content", "valid_to"),
    "version": (0, 0, 1, 2),
    "request_id": ("",),
    "cursor": ("", "1"),
    "key_suffix": ("", "-old"),
    "number_shift": (0, -1000),
    "outcome": ("OK", "NOT_FOUND"),
    "action": ("winnow.ingest.v1.IngestService/EraseSource",),
    "thread_id": ("", "t"),
    "thread_ids": ("", "t"),
    "author_external_id": ("ada", "bob"),
    "author_external_ids": ("ada", "bob", ""),
    "Author.external_id": ("ada", "bob"),
    "SourceRef.kind": (3,),
    "TextList.values": ("ada", "t", ""),
    "type": ("bold", "photo"),
    "rate_per_second": (0.0, 1000.0),
    "neighbours": (0, 1, 10),
    "Timestamp.seconds": (*range(FIRST_SECOND, LAST_SECOND, 10_000), *[LATER_SECOND] * 9),
    "Timestamp.nanos": (0, 0, 1000, 999_999_999),
    "Duration.seconds": (0,),
    "Duration.nanos": (0, 50_000_000),
}
_ROWS = """
select 'source_id' as name, id::text from ingest.source where workspace_id = $1
union all select 'SourceRef.external_id', external_id from ingest.source where workspace_id = $1
union all select 'external_id', external_id from ingest.message where workspace_id = $1
union all select 'message_id', id::text from ingest.message where workspace_id = $1 and deleted_at is null
union all select 'atom_id', id::text from extractor.atom where workspace_id = $1 and retired_at is null
union all select 'merged_atom', id::text from extractor.atom where workspace_id = $1 and merged_into is not null
union all select 'topic_id', id::text from extractor.topic where workspace_id = $1 and retired_at is null
union all select 'window_id', id::text from extractor.conversation_window where workspace_id = $1
union all select 'task_id', id::text from spine.task where workspace_id = $1
union all select 'operation_id', id::text from ingest.operation where workspace_id = $1
union all select 'generation_id', id::text from embedder.generation
union all select 'key_prefix', prefix from spine.api_key where workspace_id = $1
"""
_ORDERED = (
    *(("sent_after", "sent_before"), ("created_after", "created_before"), ("after", "before")),
    *(("begun_after", "begun_before"), ("since", "until")),
)


async def known_rows(admin: asyncpg.Connection, workspace: UUID) -> dict[str, list[str]]:
    """What fields may name of a workspace, by the names of the fields."""
    found: dict[str, list[str]] = {}
    for row in await admin.fetch(_ROWS, workspace):
        found.setdefault(row["name"], []).append(row["id"])
    found["IdList.values"] = found["source_id"] + found.get("topic_id", [])
    for name in [name for name in found if name.endswith("_id")]:
        found[name + "s"] = found[f"merged_{name}s"] = found[name]
    return found


@dataclass
class Valid:
    """Makes valid requests; the same dice and rows make the same."""

    dice: random.Random
    rows: Mapping[str, Sequence[Any]]
    _density: float = field(default=0.3, init=False)

    def request(self, method: MethodDescriptor) -> Any:
        """A request of a method that breaks no rule, nearly always."""
        self._density = self.dice.choice((0.0, 0.2, 0.4, 0.7))
        made: Any = class_of(method)()
        self._fill(made, 0)
        if method.name in AGREEING:
            AGREEING[method.name](made, self)
        return made

    def _fill(self, message: Any, depth: int) -> None:
        descriptor = message.DESCRIPTOR
        for each in descriptor.fields:
            if each.name == "page_token" or each.containing_oneof:
                continue
            if _is_required(each) or self.dice.random() < self._density:
                self.set(message, each, depth)
        for oneof in descriptor.oneofs:
            options = [each for each in oneof.fields if not self._nests_too_deep(each, depth)]
            if len(oneof.fields) > 1 or self.dice.random() < self._density:
                self.set(message, self.dice.choice(options), depth)
        for first, last in _ORDERED:
            if not {first, last} <= set(descriptor.fields_by_name):
                continue
            if message.HasField(first) and message.HasField(last):
                getattr(message, last).seconds = getattr(message, first).seconds + 86_400

    @staticmethod
    def _nests_too_deep(each: FieldDescriptor, depth: int) -> bool:
        return each.message_type is not None and (
            each.message_type.name == "FilterExpressionList" and depth >= CONDITIONS_DEPTH
        )

    def set(self, message: Any, each: FieldDescriptor, depth: int = 0) -> None:
        """Give a field a value that its rules allow."""
        rules = rules_of(each)
        if not each.is_repeated:
            if each.message_type is None:
                setattr(message, each.name, self._scalar(each, rules))
            else:
                getattr(message, each.name).SetInParent()
                self._fill(getattr(message, each.name), depth + 1)
        elif each.name == "query_vector":
            message.query_vector[:] = [self.dice.gauss(0, 1) for _ in range(DIMENSIONS)]
        else:
            most = min(3, rules.repeated.max_items or 3)
            values = getattr(message, each.name)
            for _ in range(self.dice.randint(1, most)):
                if each.message_type is not None:
                    self._fill(values.add(), depth + 1)
                elif (value := self._scalar(each, rules.repeated.items)) not in values:
                    values.append(value)

    def _scalar(self, each: FieldDescriptor, rules: Any) -> Any:
        names = (f"{each.containing_type.name}.{each.name}", each.name)
        for name in names[:1] if each.enum_type else names:
            for table in (self.rows, VALUES):
                if table.get(name):
                    return self.dice.choice(table[name])
        if each.enum_type is not None:
            allowed = getattr(rules.enum, "in") or each.enum_type.values_by_number
            # Rejected atoms are never found.
            bad = {*rules.enum.not_in, *([3] if rules.cel else [])}
            return self.dice.choice([number for number in allowed if number not in bad])
        if each.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self.dice.random() < 0.5
        if each.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            listed = getattr(rules.string, "in")
            return self.dice.choice(listed) if listed else "x"
        if each.cpp_type in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return self.dice.choice((0.0, 0.5, 1.0))
        most = getattr(rules, each_kind(each)).lte or 3
        return self.dice.choice((0, 1, min(2, most), most))


def rules_of(each: FieldDescriptor) -> Any:
    """What the contract says of a field."""
    return each.GetOptions().Extensions[validate_pb2.field]


def each_kind(each: FieldDescriptor) -> str:
    """The name that rules have for an integer field's type."""
    kinds = {
        FieldDescriptor.CPPTYPE_INT32: "int32",
        FieldDescriptor.CPPTYPE_INT64: "int64",
        FieldDescriptor.CPPTYPE_UINT32: "uint32",
        FieldDescriptor.CPPTYPE_UINT64: "uint64",
    }
    return kinds[each.cpp_type]


def _is_required(each: FieldDescriptor) -> bool:
    """Whether a request without the field is refused, or says nothing."""
    rules = rules_of(each)
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        return False
    return bool(
        rules.required
        or rules.string.min_len
        or rules.string.uuid
        or rules.repeated.min_items
        or 0 in rules.enum.not_in
        or each.name in ("messages", "query", "seconds", "keys", "texts")
    )


# --- what no rule of a single field says


def _get_message(request: Any, valid: Valid) -> None:
    if valid.dice.random() < 0.5:
        request.ClearField("source")
        request.ClearField("external_id")
        request.message_id = valid.dice.choice(valid.rows["message_id"])
    else:
        request.ClearField("message_id")
        valid.set(request, request.DESCRIPTOR.fields_by_name["source"])
        request.external_id = valid.dice.choice(valid.rows["external_id"])


def _erase_messages(request: Any, valid: Valid) -> None:
    fields = request.DESCRIPTOR.fields_by_name
    if valid.dice.random() < 0.8:
        request.ClearField("author_external_id")
        valid.set(request, fields["external_ids"])
        valid.set(request, fields["source_id"])
    else:
        request.ClearField("external_ids")
        request.author_external_id = "nobody"


def _extract_messages(request: Any, valid: Valid) -> None:
    if valid.dice.random() < 0.5:
        for name in ("since", "until", "source_id", "all"):
            request.ClearField(name)
        valid.set(request, request.DESCRIPTOR.fields_by_name["message_ids"])
    else:
        for name in ("all", "message_ids"):
            request.ClearField(name)
        request.dry_run = True


def _stream_knowledge(request: Any, valid: Valid) -> None:
    kept = valid.dice.choice(("cursor", "only_new", "since"))
    for name in {"cursor", "only_new", "since"} - {kept}:
        request.ClearField(name)


def _find_similar(request: Any, valid: Valid) -> None:
    request.kind = valid.dice.choice((1, 2, 3))
    name = ("message_id", "atom_id", "topic_id")[request.kind - 1]
    request.id = valid.dice.choice(valid.rows[name])


def _update_atom(request: Any, valid: Valid) -> None:
    for path in request.update_mask.paths:
        if path != "valid_to":
            valid.set(request, request.DESCRIPTOR.fields_by_name[path])
    request.type = request.type or 1
    request.title = request.title or "t"
    request.content = request.content or "c"


def _move_source(request: Any, valid: Valid) -> None:
    request.external_id = str(uuid4())


def _unmerge_atom(request: Any, valid: Valid) -> None:
    if merged := valid.rows.get("merged_atom"):
        request.atom_id = valid.dice.choice(merged)


def _review_atom(request: Any, valid: Valid) -> None:
    request.version = min(request.version, 1)


# Methods whose fields must agree with each other.
AGREEING: Mapping[str, Callable[[Any, Valid], None]] = {
    "GetMessage": _get_message,
    "EraseMessages": _erase_messages,
    "ExtractMessages": _extract_messages,
    "StreamKnowledge": _stream_knowledge,
    "FindSimilar": _find_similar,
    "UpdateAtom": _update_atom,
    "ReviewAtom": _review_atom,
    "UnmergeAtom": _unmerge_atom,
    "MoveSource": _move_source,
}


def parts_of(message: Message) -> list[tuple[Any, FieldDescriptor]]:
    """Every field that could be set in a message and in the messages in it, with the message that has it."""
    found = []
    for each in message.DESCRIPTOR.fields:
        found.append((message, each))
        if each.message_type is not None and not each.message_type.GetOptions().map_entry:
            value: Any = getattr(message, each.name)
            if each.is_repeated:
                found += [part for item in value for part in parts_of(item)]
            elif message.HasField(each.name):
                found += parts_of(value)
    return found
