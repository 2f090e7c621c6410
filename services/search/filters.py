"""What results must satisfy, from the words of the contract: the flat filter and the expression beside it."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from services.common.errors import FieldViolation, InvalidFields
from services.common.moments import read_span
from services.search import conditions
from services.search.conditions import All, Any_, Attribute, Condition, Leaf, None_, both, size_of
from services.search.contents import name
from services.search.store import Filter
from winnow.search.v1 import search_pb2 as pb
from winnow.types.v1 import types_pb2 as types

KIND_NAMES: Final = {
    types.SUBJECT_KIND_MESSAGE: "message",
    types.SUBJECT_KIND_ATOM: "atom",
    types.SUBJECT_KIND_TOPIC: "topic",
}
_EXPRESSION: Final = "filter_expression"
_LISTS: Final = {
    "source_ids": Attribute.SOURCE,
    "author_external_ids": Attribute.AUTHOR,
    "thread_ids": Attribute.THREAD,
    "topic_ids": Attribute.TOPIC,
    "languages": Attribute.LANGUAGE,
}


def read_filter(chosen: pb.SearchFilter, expression: pb.FilterExpression | None) -> Filter:
    """Return the filter that both make together; raise InvalidFields if the expression is too large."""
    after, before = read_span(chosen, "sent_after", "sent_before", "filter.")
    return Filter(
        source_ids=_uuids(chosen.source_ids),
        author_ids=tuple(chosen.author_external_ids) or None,
        sent_after=after,
        sent_before=before,
        atom_types=tuple(name(types.AtomType, each) for each in chosen.atom_types) or None,
        labels=tuple(name(types.ImportanceLabel, each) for each in chosen.labels) or None,
        topic_ids=_uuids(chosen.topic_ids),
        thread_ids=tuple(chosen.thread_ids) or None,
        condition=both(_flat_condition(chosen), _checked(expression)),
    )


def expression_of(request: object) -> pb.FilterExpression | None:
    """The expression of a request, if it has one."""
    found: pb.FilterExpression | None = None
    if request.HasField("filter_expression"):  # type: ignore[attr-defined]
        found = request.filter_expression  # type: ignore[attr-defined]
    return found


def _flat_condition(chosen: pb.SearchFilter) -> Condition | None:
    """What the database's own filter has no place for; states of approval leave messages and topics alone."""
    found: Condition | None = None
    if chosen.approval_states:
        states = tuple(name(types.ApprovalState, each) for each in chosen.approval_states)
        others = Leaf(Attribute.KIND, ("message", "topic"))
        found = Any_((others, Leaf(Attribute.APPROVAL_STATE, states)))
    if chosen.languages:
        found = both(found, Leaf(Attribute.LANGUAGE, tuple(chosen.languages)))
    return found


def _checked(expression: pb.FilterExpression | None) -> Condition | None:
    if expression is None:
        return None
    condition = _condition(expression, 1, _EXPRESSION)
    if not size_of(condition).fits:
        _refuse(
            f"at most {conditions.LEAVES_MAX} conditions and {conditions.VALUES_MAX} values in all"
        )
    return condition


def _refuse(description: str) -> None:
    raise InvalidFields(FieldViolation(_EXPRESSION, description))


def _condition(expression: pb.FilterExpression, depth: int, path: str) -> Condition:
    if depth > conditions.DEPTH_MAX:
        _refuse(f"at most {conditions.DEPTH_MAX} levels deep")
    which = str(expression.WhichOneof("expression"))
    joined: dict[str, type[All] | type[Any_] | type[None_]] = {
        "all_of": All,
        "any_of": Any_,
        "none_of": None_,
    }
    if which in joined:
        parts = enumerate(getattr(expression, which).expressions)
        inner = f"{path}.{which}.expressions"
        return joined[which](
            tuple(_condition(part, depth + 1, f"{inner}[{number}]") for number, part in parts)
        )
    return _leaf(which, getattr(expression, which), path)


def _leaf(which: str, found: object, path: str) -> Condition:
    if isinstance(found, pb.TimeRange):
        return _range(found, f"{path}.{which}")
    values = found.values  # type: ignore[attr-defined]
    if which in _LISTS:
        is_id = which in ("source_ids", "topic_ids")
        return Leaf(_LISTS[which], tuple(map(UUID, values)) if is_id else tuple(values))
    if which == "kinds":
        return Leaf(Attribute.KIND, tuple(KIND_NAMES[each] for each in values))
    attribute, enum = {
        "atom_types": (Attribute.ATOM_TYPE, types.AtomType),
        "labels": (Attribute.LABEL, types.ImportanceLabel),
        "approval_states": (Attribute.APPROVAL_STATE, types.ApprovalState),
    }[which]
    return Leaf(attribute, tuple(name(enum, each) for each in values))


def _range(found: pb.TimeRange, path: str) -> Condition:
    return Leaf(Attribute.SENT, read_span(found, "after", "before", f"{path}."))


def _uuids(texts: Iterable[str]) -> tuple[UUID, ...] | None:
    return tuple(UUID(text) for text in texts) or None
