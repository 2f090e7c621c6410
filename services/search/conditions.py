"""Conditions on results, joined by and, or and not, and their SQL: fixed fragments whose values are parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

DEPTH_MAX: Final = 8
LEAVES_MAX: Final = 64
VALUES_MAX: Final = 1_000


class Attribute(StrEnum):
    """What a condition looks at."""

    SOURCE = "source"
    AUTHOR = "author"
    SENT = "sent"
    THREAD = "thread"
    TOPIC = "topic"
    ATOM_TYPE = "atom_type"
    LABEL = "label"
    APPROVAL_STATE = "approval_state"
    LANGUAGE = "language"
    KIND = "kind"
    MADE_UNTIL = "made_until"
    WORDS = "words"
    PHRASE = "phrase"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One attribute is one of some values; of times, between two of which either may be None.

    Of a phrase: the regular expression that the text matches as words are spelt, and letters that it has as they are.
    """

    attribute: Attribute
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; so does an empty one."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Any_:
    """Some part holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class None_:
    """No part holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Said:
    """One message satisfies every part: the row itself, one that it rests on, or one that it holds.

    The parts are of authors, threads and times; when an atom was said is asked of the atom.
    """

    parts: tuple[Leaf, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """Some part holds; what satisfies each part is listed by itself, since no index serves several at once."""

    parts: tuple["Condition", ...]


Condition = Leaf | All | Any_ | None_ | Said | Listed

# A condition of these leaves little, and an index finds it.
_NARROW: Final = frozenset({Attribute.AUTHOR, Attribute.THREAD, Attribute.TOPIC})
# Where conditions stand the workspace is $10.
NO_FILTER: Final = "row(null, null, null, null, null, null, null, null, null)::search.filter"

_OF_MESSAGES: Final = """exists (
      select from extractor.topic_message tm
      join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
      where tm.workspace_id = $10 and tm.topic_id = s.id and {condition})"""
_OF_EVIDENCE: Final = """exists (
      select from extractor.atom_evidence e
      join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id and m.deleted_at is null
      where e.workspace_id = $10 and e.atom_id = s.id and {condition})"""
_CONTAINING: Final = (
    "s.id in (select c.id from search.containing($10, '{kind}', {value}::text::tsquery) c (id))"
)
# Of each row by itself: joined with all others, every text would be looked at.
_PHRASE: Final = """(select strpos({text}, {letters}::text) > 0
        and spine.plain({text}) collate "pg_c_utf8" ~* {pattern}::text
      from {table} x where x.workspace_id = $10 and x.id = s.id)"""
_LIST: Final = "select s.id from search.live_{kind}s({filter}, $10) s where {condition}"

_FIRST: Final = "'-infinity'"
_LAST: Final = "'infinity'"
_FROM: Final = "{row}.source_id = any ({{value}}::uuid[])"
# What is asked of one message, be it the row or one that belongs to it.
_AUTHOR: Final = "{row}.author_external_id = any ({{value}}::text[])"
_THREAD: Final = "{row}.thread_id = any ({{value}}::text[])"
_BETWEEN: Final = "({row}.sent_at >= {{after}} and {row}.sent_at < {{before}})"
_SAID: Final = {
    Attribute.AUTHOR: _AUTHOR.format(row="m"),
    Attribute.THREAD: _THREAD.format(row="m"),
    Attribute.SENT: _BETWEEN.format(row="m"),
}

# What each attribute asks of a row `s` of search.live_messages, live_atoms or live_topics; what a kind lacks is not so.
_FRAGMENTS: Final[dict[Attribute, dict[str, str]]] = {
    # What was merged into another source's stands for both.
    Attribute.SOURCE: {
        "message": _FROM.format(row="s"),
        "atom": f"({_FROM.format(row='s')} or "
        + _OF_EVIDENCE.format(condition="e.via_atom_id is not null and " + _FROM.format(row="m"))
        + ")",
        "topic": f"({_FROM.format(row='s')} or {_OF_MESSAGES.format(condition=_FROM.format(row='m'))})",
    },
    Attribute.AUTHOR: {
        "message": _AUTHOR.format(row="s"),
        "atom": _OF_EVIDENCE.format(condition=_SAID[Attribute.AUTHOR]),
        "topic": _OF_MESSAGES.format(condition=_SAID[Attribute.AUTHOR]),
    },
    Attribute.SENT: {
        "message": _BETWEEN.format(row="s"),
        "atom": _BETWEEN.format(row="s"),
        "topic": _OF_MESSAGES.format(condition=_SAID[Attribute.SENT]),
    },
    Attribute.THREAD: {
        "message": _THREAD.format(row="s"),
        "atom": _OF_EVIDENCE.format(condition=_SAID[Attribute.THREAD]),
        "topic": _OF_MESSAGES.format(condition=_SAID[Attribute.THREAD]),
    },
    Attribute.TOPIC: {
        "message": """exists (
      select from extractor.topic_message tm
      where tm.workspace_id = $10 and tm.message_id = s.id
        and tm.topic_id = any ({value}::uuid[]))""",
        "atom": "(s.topic_id is not null and s.topic_id = any ({value}::uuid[]))",
        "topic": "s.id = any ({value}::uuid[])",
    },
    Attribute.ATOM_TYPE: {"atom": "s.type = any ({value}::text[])"},
    Attribute.LABEL: {"message": "s.importance_label = any ({value}::text[])"},
    Attribute.APPROVAL_STATE: {"atom": "s.approval_state = any ({value}::text[])"},
    Attribute.LANGUAGE: dict.fromkeys(
        ("message", "atom", "topic"), "s.language = any ({value}::text[])"
    ),
    Attribute.MADE_UNTIL: dict.fromkeys(("message", "atom", "topic"), "s.id <= {value}::uuid"),
    Attribute.WORDS: {
        kind: _CONTAINING.replace("{kind}", kind) for kind in ("message", "atom", "topic")
    },
    Attribute.PHRASE: {
        kind: _PHRASE.replace("{table}", table).replace("{text}", text)
        for kind, table, text in (
            ("message", "ingest.message", "x.text"),
            ("atom", "extractor.atom", "(x.title || E'\\n' || x.content)"),
            ("topic", "extractor.topic", "x.title"),
        )
    },
}


# Of these there is one value.
_SINGLE: Final = frozenset({Attribute.MADE_UNTIL, Attribute.WORDS})


@dataclass(slots=True)
class Parameters:
    """The values of a statement's conditions, numbered after the parameters that it has itself."""

    first: int
    values: list[Any] = field(default_factory=list)

    def add(self, value: Any) -> str:
        """Take a value and return its placeholder; an equal one of before is used again."""
        if value not in self.values:
            self.values.append(value)
        return f"${self.first + self.values.index(value)}"


def to_sql(condition: Condition | None, kind: str, parameters: Parameters) -> str:
    """The condition on a row `s` of a kind; what is not set is always so."""
    if condition is None:
        return "true"
    if isinstance(condition, Leaf):
        return _leaf(condition, kind, parameters)
    if isinstance(condition, Said):
        return _said(condition, kind, parameters)
    parts = [to_sql(part, kind, parameters) for part in condition.parts]
    if isinstance(condition, All):
        return f"({' and '.join(parts)})" if parts else "true"
    if isinstance(condition, Listed):
        return _listed(parts, kind)
    joined = f"({' or '.join(parts)})" if parts else "false"
    return f"not {joined}" if isinstance(condition, None_) else joined


def _leaf(leaf: Leaf, kind: str, parameters: Parameters) -> str:
    if leaf.attribute is Attribute.KIND:
        return "true" if kind in leaf.values else "false"
    fragment = _FRAGMENTS[leaf.attribute].get(kind)
    return "false" if fragment is None else _filled(fragment, leaf, parameters)


def _filled(fragment: str, leaf: Leaf, parameters: Parameters) -> str:
    if leaf.attribute is Attribute.SENT:
        after, before = (parameters.add(end) if end else None for end in leaf.values)
        fragment = fragment.replace("{after}", f"{after or _FIRST}::timestamptz")
        return fragment.replace("{before}", f"{before or _LAST}::timestamptz")
    if leaf.attribute is Attribute.PHRASE:
        matched, letters = map(parameters.add, leaf.values)
        return fragment.replace("{pattern}", matched).replace("{letters}", letters)
    value = leaf.values[0] if leaf.attribute in _SINGLE else list(leaf.values)
    return fragment.replace("{value}", parameters.add(value))


def _said(said: Said, kind: str, parameters: Parameters) -> str:
    own = [
        part
        for part in said.parts
        if kind == "message" or (kind == "atom" and part.attribute is Attribute.SENT)
    ]
    asked = [_leaf(part, kind, parameters) for part in own]
    others = [
        _filled(_SAID[part.attribute], part, parameters) for part in said.parts if part not in own
    ]
    if others:
        of_messages = _OF_EVIDENCE if kind == "atom" else _OF_MESSAGES
        asked.append(of_messages.format(condition=" and ".join(others)))
    return f"({' and '.join(asked)})" if asked else "true"


def _listed(parts: Sequence[str], kind: str) -> str:
    lists = (_LIST.format(kind=kind, filter=NO_FILTER, condition=part) for part in parts)
    return f"s.id in ({' union all '.join(lists)})"


def listed(condition: Condition | None) -> Condition | None:
    """The same condition for a statement that lists what satisfies it: parts that leave little are listed each."""
    if isinstance(condition, All):
        return All(tuple(listed(part) or part for part in condition.parts))
    if isinstance(condition, Any_) and len(condition.parts) > 1 and _leaves_little(condition):
        return Listed(condition.parts)
    return condition


def _leaves_little(condition: Condition) -> bool:
    match condition:
        case Leaf(attribute):
            return attribute in _NARROW
        case All(parts):
            return any(map(_leaves_little, parts))
        case Any_(parts):
            return all(map(_leaves_little, parts))
    return False


def all_of(conditions: Sequence[Condition]) -> Condition | None:
    """The condition that all hold; none at all is no condition."""
    return conditions[0] if len(conditions) == 1 else All(tuple(conditions)) if conditions else None


def both(left: Condition | None, right: Condition | None) -> Condition | None:
    """The condition that both hold; None is no condition."""
    if left is None or right is None:
        return left or right
    return All((left, right))


@dataclass(frozen=True, slots=True)
class Size:
    """How large a condition is."""

    depth: int
    leaves: int
    values: int

    @property
    def fits(self) -> bool:
        """Whether it is within the limits."""
        return self.depth <= DEPTH_MAX and self.leaves <= LEAVES_MAX and self.values <= VALUES_MAX


def size_of(condition: Condition) -> Size:
    """Measure a condition."""
    if isinstance(condition, Leaf):
        return Size(1, 1, len(condition.values))
    sizes: Sequence[Size] = [size_of(part) for part in condition.parts]
    return Size(
        1 + max((each.depth for each in sizes), default=0),
        sum(each.leaves for each in sizes),
        sum(each.values for each in sizes),
    )
