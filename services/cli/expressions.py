"""Conditions as people write them: `author:ann and not (label:noise or lang:ru)`."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import click

from services.cli.values import MOMENTS, read_moment
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

# What stands in quotes is one value, whatever is in it.
_VALUE: Final = re.compile(r'"([^"]*)"|([^\s()",]+)')
_TOKEN: Final = re.compile(
    rf"\s*(?:(?P<sign>[()])|(?P<name>[a-z]+):(?P<values>(?:{_VALUE.pattern})(?:,(?:{_VALUE.pattern}))*)|(?P<word>\w+))"
)
NAMES: Final = "author, source, thread, topic, type, label, approval, lang, kind, after, before"
DEPTH_MAX: Final = 50


class WrongCondition(click.BadParameter):
    """A condition that cannot be read; the message says where."""

    def __init__(self, message: str) -> None:
        super().__init__(message, param_hint="--where")


def read_condition(text: str) -> pb.FilterExpression:
    """Read a condition. Raises WrongCondition."""
    reader = _Reader(text)
    found = reader.any_of()
    if reader.rest():
        raise WrongCondition(f"cannot read from here on: {reader.rest()}")
    return found


class _Reader:
    """Reads from left to right: `or` binds less than `and`, which binds less than `not`."""

    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0

    def rest(self) -> str:
        """What has not been read."""
        return self._text[self._at :].strip()

    def any_of(self) -> pb.FilterExpression:
        """One or more joined by or."""
        return self._joined("or", "any_of", self._all_of)

    def _all_of(self) -> pb.FilterExpression:
        return self._joined("and", "all_of", self._one)

    def _joined(
        self, word: str, field: str, read: Callable[[], pb.FilterExpression]
    ) -> pb.FilterExpression:
        parts = [read()]
        while self._take(word):
            parts.append(read())
        if len(parts) == 1:
            return parts[0]
        found = pb.FilterExpression()
        getattr(found, field).expressions.extend(parts)
        return found

    def _one(self) -> pb.FilterExpression:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise WrongCondition(f"brackets and nots may not go deeper than {DEPTH_MAX}")
        found = self._bare()
        self._depth -= 1
        return found

    def _bare(self) -> pb.FilterExpression:
        if self._take("not"):
            parts = [self._one()]
            return pb.FilterExpression(none_of=pb.FilterExpressionList(expressions=parts))
        match = _TOKEN.match(self._text, self._at)
        if match and match["sign"] == "(":
            self._at = match.end()
            found = self.any_of()
            if not self._take(")"):
                raise WrongCondition(f"a bracket is not closed: {self._text}")
            return found
        if not match or match["name"] is None:
            raise WrongCondition(f"expected NAME:VALUE ({NAMES}) at: {self.rest() or 'the end'}")
        self._at = match.end()
        values = [quoted or bare for quoted, bare in _VALUE.findall(match["values"])]
        return _leaf(match["name"], values)

    def _take(self, word: str) -> bool:
        match = _TOKEN.match(self._text, self._at)
        if match is None or (match["word"] or match["sign"] or "").casefold() != word:
            return False
        self._at = match.end()
        return True


def _leaf(name: str, values: list[str]) -> pb.FilterExpression:
    if name in ("after", "before"):
        span = pb.TimeRange()
        getattr(span, name).FromDatetime(_moment(",".join(values)))
        return pb.FilterExpression(sent=span)
    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "author": lambda: {"author_external_ids": pb.TextList(values=values)},
        "source": lambda: {"source_ids": pb.IdList(values=values)},
        "thread": lambda: {"thread_ids": pb.TextList(values=values)},
        "topic": lambda: {"topic_ids": pb.IdList(values=values)},
        "type": lambda: {"atom_types": pb.AtomTypeList(values=_enum(types.AtomType, values))},
        "label": lambda: {"labels": pb.LabelList(values=_enum(types.ImportanceLabel, values))},
        "approval": lambda: {
            "approval_states": pb.ApprovalStateList(
                values=_enum(types.ApprovalState, values, never="rejected")
            )
        },
        "lang": lambda: {"languages": pb.LanguageList(values=values)},
        "kind": lambda: {"kinds": pb.KindList(values=_enum(types.SubjectKind, values))},
    }
    if name not in kinds:
        raise WrongCondition(f"no such name: {name}; there are {NAMES}")
    return pb.FilterExpression(**kinds[name]())


def _enum(enum: Any, values: list[str], never: str = "") -> list[Any]:
    """The values of an enum by the names that people write; one of them may be what is never found."""
    prefix = enum.DESCRIPTOR.values[0].name.removesuffix("UNSPECIFIED")
    known = {
        each.name.removeprefix(prefix).lower(): each.number for each in enum.DESCRIPTOR.values[1:]
    }
    known.pop(never, None)
    for value in values:
        if value.lower() not in known:
            raise WrongCondition(f"no such value: {value}; there are {', '.join(known)}")
    return [known[value.lower()] for value in values]


def _moment(value: str) -> datetime:
    try:
        return read_moment(value)
    except (ValueError, OverflowError):
        raise WrongCondition(f"{value!r} is no time like {MOMENTS}") from None
