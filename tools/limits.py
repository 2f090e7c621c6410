"""The limits of a field in words, from its rules in the proto, but for NUL, which no text may have."""

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldOptions

from buf.validate import validate_pb2

# Only defined values of an enum are taken, as its type says; what a rule in CEL wants stands in the comment.
_UNSAID: Final = {"defined_only", "not_contains", "cel"}


def limits_of(options: FieldOptions) -> str:
    """What a field must be, as `not empty, at most 64 items`; raises LookupError for a rule without words."""
    rules = options.Extensions[validate_pb2.field]
    words = list(_words(rules))
    if words and rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        words[-1] += ", or empty"
    return ", ".join(words)


def _words(rules: Any) -> Iterator[str]:
    if rules.required:
        yield "must be set"
    kind = rules.WhichOneof("type")
    if kind is not None:
        yield from _of_kind(kind, getattr(rules, kind))


def _of_kind(kind: str, rules: Any) -> Iterator[str]:
    said = {field.name for field, _ in rules.ListFields()} - _UNSAID
    if {"gte", "lte"} <= said:
        yield f"{_value(rules.gte)} to {_value(rules.lte)}"
        said -= {"gte", "lte"}
    if wordless := said - _WORDS.keys():
        raise LookupError(f"no words for {kind}.{min(wordless)}")
    for name, word_of in _WORDS.items():
        if name in said and (word := word_of(getattr(rules, name))):
            yield word


def _one_of(values: Any) -> str:
    """What texts are taken; which values of an enum are stands in the comment, by their names."""
    if not isinstance(values[0], str):
        return ""
    return f"one of {', '.join(f'`{each}`' for each in values)}"


def _items(rules: Any) -> str:
    words = ", ".join(_words(rules))
    return f"each {words}" if words else ""


_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "uuid": lambda _: "a UUID",
    "in": _one_of,
    "not_in": lambda _: "must be set",
    "finite": lambda _: "finite",
    "gte": lambda value: f"from {_value(value)}",
    "lte": lambda value: f"at most {_value(value)}",
    "lt": lambda value: f"before {_value(value)}",
    "min_len": lambda count: "not empty" if count == 1 else f"at least {count:,} characters",
    "max_len": lambda count: f"at most {count:,} characters",
    "max_bytes": lambda count: f"at most {count:,} bytes",
    "min_items": lambda count: "not empty" if count == 1 else f"at least {count:,} items",
    "max_items": lambda count: f"at most {count:,} items",
    "unique": lambda _: "no two alike",
    "items": _items,
}


def _value(value: Any) -> str:
    if not hasattr(value, "DESCRIPTOR"):
        return f"{value:,.0f}" if value == int(value) else f"{value:g}"
    if value.DESCRIPTOR.name == "Timestamp":
        return f"{value.ToDatetime(tzinfo=UTC):%Y-%m-%d}"
    return f"{value.seconds} s"
