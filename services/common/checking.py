"""Requests against the limits in their protos, at a cost that has a limit itself: a refusal must not hold a service."""

from functools import cache
from typing import Any, Final

import protovalidate
from google.protobuf.descriptor import FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from services.common.errors import FieldViolation

# A mistake costs as much as checking a hundred values: where there are more values, only the first one is told.
ALL_TOLD_VALUES_MAX: Final = 2_000
# More messages within a message than any request needs; conditions may contain conditions.
PARTS_MAX: Final = 10_000
_BYTES_PER_VALUE_MIN: Final = 2
# The rules that people are told of in other words, by their ids: where the proto sets them to a value, and the words.
_WORDED: Final[dict[str, tuple[Any, str]]] = {
    "required": (True, "must be set"),
    "string.min_len": (1, "must not be empty"),
    "string.uuid_empty": (True, "must not be empty"),
    "enum.not_in": ([0], "must be set"),
    "string.not_contains": ("\0", "must not contain NUL"),
    "repeated.min_items": (1, "must not be empty"),
    "repeated.unique": (True, "must not have anything twice"),
}
_NUMBERS: Final = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def violations_of(validator: protovalidate.Validator, message: Message) -> list[FieldViolation]:
    """Check a message against the limits in its proto; return what breaks them, of countless values the first."""
    values = parts = 0
    if message.ByteSize() > _BYTES_PER_VALUE_MIN * ALL_TOLD_VALUES_MAX:
        values, parts = _counted(message)
    if parts > PARTS_MAX:
        return [FieldViolation("", f"the request has more than {PARTS_MAX:,} parts")]
    found = validator.collect_violations(message, fail_fast=values > ALL_TOLD_VALUES_MAX)
    return [
        FieldViolation(_path(violation), _worded(message.DESCRIPTOR, violation))
        for violation in found
    ]


def _counted(message: Message) -> tuple[int, int]:
    """How many values the lists in a message have, and how many of these are messages, at any depth.

    Stops when there are more than PARTS_MAX of them. Numbers of vectors do not count: none is checked by itself.
    """
    values = parts = 0
    waiting = [message]
    while waiting and parts <= PARTS_MAX:
        for field, value in waiting.pop().ListFields():
            if _is_ignored(field) or field.cpp_type in _NUMBERS:
                continue
            listed = value if field.is_repeated else [value]
            values += len(listed)
            if field.message_type is not None:
                parts += len(listed)
                waiting.extend(listed[: PARTS_MAX + 1])
    return values, parts


@cache
def _is_ignored(field: FieldDescriptor) -> bool:
    """Whether a field is not checked with the message that has it."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return bool(rules.ignore == validate_pb2.IGNORE_ALWAYS)


def _worded(message: Any, violation: Any) -> str:
    """What a rule says, as a person would: the validator counts "1 characters", and names no choices."""
    rule, field = violation.proto.rule_id, _field(message, violation)
    if rule == "string.in":
        return f"must be one of {', '.join(violation.rule_value)}"
    if isinstance(field, OneofDescriptor):
        return f"must be set to one of {', '.join(each.name for each in field.fields)}"
    if isinstance(field, FieldDescriptor) and (enum := field.enum_type) is not None:
        if rule == "enum.defined_only":
            return f"{violation.field_value} is no value of {enum.full_name}"
        if rule == "enum.in":
            names = (enum.values_by_number[number].name for number in violation.rule_value)
            return f"must be one of {', '.join(names)}"
    value, words = _WORDED.get(rule, (None, ""))
    return words if words and violation.rule_value == value else str(violation.proto.message)


def _field(message: Any, violation: Any) -> FieldDescriptor | OneofDescriptor | None:
    """What is at fault, a field or a oneof; None where a rule of a whole message is broken."""
    found: FieldDescriptor | OneofDescriptor | None = None
    for element in violation.proto.field.elements if violation.proto.has_field("field") else ():
        if isinstance(found, FieldDescriptor):
            message = found.message_type
        oneof = message.oneofs_by_name.get(element.field_name)
        found = oneof or message.fields_by_name[element.field_name]
    return found


def _path(violation: Any) -> str:
    """The field that is at fault; a rule of a whole message bears it as the first part of its id."""
    parts: list[str] = []
    for element in violation.proto.field.elements if violation.proto.has_field("field") else ():
        parts.append(element.field_name)
        if element.subscript:
            parts[-1] += f"[{element.subscript.value}]"
    return ".".join(parts) or str(violation.proto.rule_id).split(".")[0]
